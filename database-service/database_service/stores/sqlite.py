"""The store in the embedded database: one SQLite file (`shared.sql.sqlite` says how it is opened)."""

from pathlib import Path

from database_service.stores.sql import SqlStore
from database_service.stores.sqlite_statements import SqliteStatements
from shared.clock import Clock
from shared.sql.connections import Connections
from shared.sql.sqlite import explain, sqlite_engine, sqlite_url


def sqlite_store(path: Path, clock: Clock) -> SqlStore:
    """The store in this file. Opens nothing yet."""
    return SqlStore(Connections(sqlite_engine(sqlite_url(path)), clock, explain), clock, SqliteStatements())
