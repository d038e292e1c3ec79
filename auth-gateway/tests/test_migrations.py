"""The migrations make exactly the tables that the code expects, and take them away again."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from auth_gateway.migrate import FOLDER, migrate
from auth_gateway.stores.schema import HEAD, VERSION_TABLE, metadata
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine, sqlite_url
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "auth.sqlite3")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


def engine_for(url: str) -> sa.Engine:
    return sqlite_engine(url) if url.startswith("sqlite") else postgres_engine(url)


def test_they_make_what_the_code_expects_and_take_it_away_again(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER / "migrations"))
    engine = engine_for(url)
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    for _ in range(2):
        migrate(url)
        with engine.connect() as link:
            context = MigrationContext.configure(link, opts={"compare_type": True, "version_table": VERSION_TABLE})
            assert compare_metadata(context, metadata) == []
        with engine.execution_options(writes=True).begin() as link:
            config.attributes["connection"] = link
            command.downgrade(config, "base")
            assert set(sa.inspect(link).get_table_names()) <= {VERSION_TABLE}
    engine.dispose()
