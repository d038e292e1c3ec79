"""Which SQL database the settings mean."""

from pathlib import Path

from database_service.stores.leash import Leash
from database_service.stores.postgres import postgres_store
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import sqlite_store
from shared.clock import Clock


def open_store(url: str | None, path: Path, clock: Clock, leash: Leash | None = None) -> SqlStore:
    """The store in PostgreSQL at `url`; without one in the embedded file. Opens nothing yet."""
    return postgres_store(url, clock, leash) if url else sqlite_store(path, clock)
