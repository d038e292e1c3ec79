"""Migrations: they make exactly the tables that the code expects, once, however many start at the same time."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from database_service.migrate import FOLDER, migrate, migrate_apart
from database_service.stores.postgres import postgres_engine
from database_service.stores.schema import HEAD, metadata
from database_service.stores.sqlite import sqlite_engine, sqlite_store, sqlite_url
from shared.errors import Unavailable
from shared.testing.fakes import FakeClock
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "database.sqlite3")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


def engine_for(url: str) -> sa.Engine:
    return sqlite_engine(url) if url.startswith("sqlite") else postgres_engine(url)


def test_the_code_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_make_what_the_code_expects(empty_url: str) -> None:
    migrate(empty_url)
    engine = engine_for(empty_url)
    with engine.connect() as link:
        assert compare_metadata(MigrationContext.configure(link, opts={"compare_type": True}), metadata) == []
    engine.dispose()


def test_many_at_once_migrate_once_and_all_succeed(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate_apart, [empty_url] * 4))
    engine = engine_for(empty_url)
    with engine.connect() as link:
        assert link.scalars(sa.text("SELECT version_num FROM alembic_version")).all() == [HEAD]
    engine.dispose()


def test_what_can_not_be_migrated_is_unavailable_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(Unavailable, match="file is not a database"):
        migrate_apart(sqlite_url(path))


def test_an_older_or_newer_schema_is_not_used(migrated_sqlite: bytes, tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(migrated_sqlite)
    with sqlite3.connect(path) as link:
        link.execute("UPDATE alembic_version SET version_num = '9999'")
    store = sqlite_store(path, FakeClock())
    assert not store.prepare()
    with pytest.raises(Unavailable, match="9999"):
        store.get("x")
    with pytest.raises(Unavailable, match="9999"):
        migrate_apart(sqlite_url(path))


