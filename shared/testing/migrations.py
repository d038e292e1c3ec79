"""What tests ask of a service's migrations: do they make what its code expects, and take it away again?"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine


def engine_for(url: str) -> sa.Engine:
    """An engine as the services have it, for SQLite or PostgreSQL."""
    return sqlite_engine(url) if url.startswith("sqlite") else postgres_engine(url)


def alembic_config(folder: Path) -> Config:
    """`folder` is the service's package, which holds `migrations`."""
    config = Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    return config


def heads(folder: Path) -> list[str]:
    """The newest migrations; more than one means that two were written side by side."""
    return list(ScriptDirectory.from_config(alembic_config(folder)).get_heads())


def differences(url: str, metadata: sa.MetaData, version_table: str = "alembic_version") -> list[Any]:
    """What the database has otherwise than the code expects."""
    engine = engine_for(url)
    with engine.connect() as link:
        options = {"compare_type": True, "version_table": version_table}
        found: list[Any] = compare_metadata(MigrationContext.configure(link, opts=options), metadata)
    engine.dispose()
    return found


def take_away(url: str, folder: Path) -> set[str]:
    """Undo every migration. The tables that are left."""
    config, engine = alembic_config(folder), engine_for(url)
    with engine.execution_options(writes=True).begin() as link:
        config.attributes["connection"] = link
        command.downgrade(config, "base")
        names = set(sa.inspect(link).get_table_names())
    engine.dispose()
    return names
