"""Which SQL database the settings mean."""

from pathlib import Path

from database_service.stores.postgres import postgres_store
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import sqlite_store
from shared.clock import Clock
from shared.sql.leash import Leash
from shared.sql.sqlite import PREFIX


def open_url(url: str, clock: Clock, leash: Leash | None = None) -> SqlStore:
    """As `open_store`, by `DatabaseSettings.store_url`."""
    embedded = url.startswith(PREFIX)
    return sqlite_store(Path(url.removeprefix(PREFIX)), clock) if embedded else postgres_store(url, clock, leash)


def open_store(url: str | None, path: Path, clock: Clock, leash: Leash | None = None) -> SqlStore:
    """The store in PostgreSQL at `url`; without one in the embedded file. Opens nothing yet."""
    return postgres_store(url, clock, leash) if url else sqlite_store(path, clock)
