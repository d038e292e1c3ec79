"""The migrations make exactly the tables that the code expects, beside whoever's, and take them away again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from auth_gateway.migrate import FOLDER, migrate, migrate_apart
from auth_gateway.stores.schema import HEAD, VERSION_TABLE, metadata
from shared.sql.sqlite import sqlite_url
from shared.testing.migrations import differences, engine_for, heads, take_away
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "auth.sqlite3")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


def test_the_code_knows_the_newest_migration() -> None:
    assert heads(FOLDER) == [HEAD]


def test_they_make_what_the_code_expects_and_take_it_away_and_make_it_again(empty_url: str) -> None:
    for _ in range(2):
        migrate(empty_url)
        assert differences(empty_url, metadata, VERSION_TABLE) == []
        assert take_away(empty_url, FOLDER) == {VERSION_TABLE}
    migrate(empty_url)
    assert differences(empty_url, metadata, VERSION_TABLE) == []


def test_many_at_once_migrate_once_and_all_succeed(empty_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate_apart, [empty_url] * 3))
    engine = engine_for(empty_url)
    with engine.connect() as link:
        assert link.scalars(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).all() == [HEAD]
    engine.dispose()


def test_tables_of_others_in_the_same_database_are_left_alone(empty_url: str) -> None:
    engine = engine_for(empty_url)
    with engine.execution_options(writes=True).begin() as link:
        link.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        link.execute(sa.text("INSERT INTO alembic_version VALUES ('0004')"))
    migrate(empty_url)
    assert take_away(empty_url, FOLDER) == {VERSION_TABLE, "alembic_version"}
    with engine.connect() as link:
        assert link.scalars(sa.text("SELECT version_num FROM alembic_version")).all() == ["0004"]
    engine.dispose()
