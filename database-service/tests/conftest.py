"""What several tests of database-service use: values to store, and every store there is."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from database_service.config import DatabaseSettings
from database_service.idempotency import Key, KeyName
from database_service.migrate import migrate
from database_service.performance import ClosedTrade, TradeSubmission
from database_service.signals import NewSignal, Submission
from database_service.storage import Store
from database_service.stores.cache import CacheStore
from database_service.stores.memory import MemoryStore
from database_service.stores.postgres import postgres_store
from database_service.stores.schema import metadata
from database_service.stores.spool import Spool
from database_service.stores.spooling import SpoolingStore
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import sqlite_store
from shared.redis_cache import RedisCache
from shared.sql.connections import Connections
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import explain, sqlite_engine, sqlite_url
from shared.testing.fakes import FakeClock
from shared.testing.servers import ServerMissing
from shared.testing.timescale import TimescaleServer

from .client import Client, running, settings_for

NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
MakeSignal = Callable[..., Submission]
MakeTrade = Callable[..., TradeSubmission]


def key(route: str, text: str | None, body_hash: str) -> Key | None:
    return None if text is None else Key(KeyName(route, text), body_hash)


@pytest.fixture
def signal() -> MakeSignal:
    """signal(price=2, key="k"): a submission, ready to be appended."""

    def make(key_text: str | None = None, body_hash: str = "a body", **fields: Any) -> Submission:
        values: dict[str, Any] = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 1.0} | fields
        values.setdefault("timestamp", NOON)
        return Submission(NewSignal(**values), key("/signals/save", key_text, body_hash))

    return make


@pytest.fixture
def trade() -> MakeTrade:
    """trade(pnl="1.5", closed_at=…): a submission, ready to be tracked."""

    def make(key_text: str | None = None, body_hash: str = "a body", **fields: Any) -> TradeSubmission:
        values: dict[str, Any] = {"performance_id": uuid4().hex, "strategy": "rsi", "closed_at": NOON} | fields
        values["pnl"] = Decimal(fields.get("pnl", "1"))
        return TradeSubmission(ClosedTrade(**values), key("/performance/track", key_text, body_hash))

    return make


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty SQLite database at the newest migration, as the bytes of its file."""
    path = tmp_path_factory.mktemp("template") / "database.sqlite3"
    migrate(sqlite_url(path))
    return path.read_bytes()


@pytest.fixture(scope="session")
def migrated_postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL database at the newest migration."""
    url: str = request.getfixturevalue("postgres_server").create_database()
    migrate(url)
    return url


@pytest.fixture
def open_sqlite(tmp_path: Path, migrated_sqlite: bytes) -> Callable[[], Store]:
    """Opens the same SQLite database each time it is called."""
    path = tmp_path / "database.sqlite3"
    path.write_bytes(migrated_sqlite)
    return lambda: _prepared(sqlite_store(path, FakeClock()))


@pytest.fixture(scope="session")
def migrated_timescale() -> Iterator[str]:
    """A TimescaleDB database at the newest migration: TIMESCALE_DSN, else one of the tests' own if it is installed."""
    if url := os.environ.get("TIMESCALE_DSN"):
        yield from _borrowed(url)
        return
    try:
        server = TimescaleServer()
    except ServerMissing as missing:
        pytest.skip(f"{missing}, and TIMESCALE_DSN names no empty database with the extension timescaledb")
    with server:
        migrate(server.url)
        yield server.url


def _borrowed(url: str) -> Iterator[str]:
    """The database must be empty at first, and is so again at the end."""
    engine = postgres_engine(url)
    with engine.connect() as link:
        there = sa.inspect(link).get_table_names()
    engine.dispose()
    if there:
        pytest.fail(f"TIMESCALE_DSN's database is not empty, it holds {', '.join(there)}")
    migrate(url)
    yield url
    drop_everything(url)


def drop_everything(url: str) -> None:
    """Take away what migrations made."""
    engine = postgres_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("DROP MATERIALIZED VIEW IF EXISTS performance_daily")
        for name in sa.inspect(link).get_table_names():
            link.exec_driver_sql(f"DROP TABLE {name}")
    engine.dispose()


@pytest.fixture
def open_plain(tmp_path: Path, migrated_sqlite: bytes) -> Callable[[], Store]:
    """The same, with the statements that no database has to itself: the hot ones must do what these do."""
    path = tmp_path / "database.sqlite3"
    path.write_bytes(migrated_sqlite)

    def open_it() -> Store:
        clock = FakeClock()
        return _prepared(SqlStore(Connections(sqlite_engine(sqlite_url(path)), clock, explain), clock))

    return open_it


@pytest.fixture
def open_postgres(migrated_postgres: str) -> Callable[[], Store]:
    """Opens the same PostgreSQL database each time it is called; empty at first."""
    return _opener(migrated_postgres)


@pytest.fixture
def open_timescale(migrated_timescale: str) -> Callable[[], Store]:
    """Opens the same TimescaleDB database each time it is called; empty at first."""
    return _opener(migrated_timescale)


def _opener(url: str) -> Callable[[], Store]:
    engine = postgres_engine(url)
    with engine.begin() as link:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        link.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))
    engine.dispose()
    return lambda: _prepared(postgres_store(url, FakeClock()))


@pytest.fixture
def open_spooling(tmp_path: Path, open_sqlite: Callable[[], Any], migrated_sqlite: bytes) -> Callable[[], Store]:
    """Opens the same database, which is there, and the same spool before it."""
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(migrated_sqlite)

    def open_both() -> Store:
        spool = Spool(path, FakeClock(), 1000)
        assert spool.prepare()
        return SpoolingStore(open_sqlite(), spool)

    return open_both


@pytest.fixture
def open_redis(request: pytest.FixtureRequest) -> Iterator[Callable[[], Store]]:
    """Opens the same keys in Redis each time it is called."""
    server = request.getfixturevalue("redis_server")
    cache = RedisCache("127.0.0.1", server.port, True)
    prefix = f"test:{uuid4().hex}:"
    yield lambda: CacheStore(cache.run, prefix)
    cache.close()


@pytest.fixture
def open_memory() -> Callable[[], Store]:
    """Opens an empty memory store."""
    return MemoryStore


MARKED = [
    "memory",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("sqlite", marks=pytest.mark.database),
    pytest.param("plain", marks=pytest.mark.database),
    pytest.param("postgres", marks=pytest.mark.database),
    pytest.param("spooling", marks=pytest.mark.database),
]
if os.environ.get("TIMESCALE_DSN"):  # the tests' own takes one connection at a time; test_timescale.py does with that
    MARKED.append(pytest.param("timescale", marks=pytest.mark.database))


@pytest.fixture
def opened() -> list[Store]:
    """Every store that a test opened."""
    return []


@pytest.fixture(params=MARKED)
def open_store(request: pytest.FixtureRequest, opened: list[Store]) -> Iterator[Callable[[], Store]]:
    """Every kind of store in turn; each call opens the same place, which is empty at first."""
    open_it: Callable[[], Store] = request.getfixturevalue(f"open_{request.param}")

    def open_and_note() -> Store:
        opened.append(open_it())
        return opened[-1]

    yield open_and_note
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """An empty store of each kind."""
    return open_store()


@pytest.fixture
def embedded(tmp_path: Path, migrated_sqlite: bytes) -> DatabaseSettings:
    (tmp_path / "database.sqlite3").write_bytes(migrated_sqlite)
    return settings_for(tmp_path)


@pytest.fixture
def client(embedded: DatabaseSettings) -> Iterator[Client]:
    """The service on its embedded database."""
    yield from running(embedded)


@pytest.fixture
def memory_client(tmp_path: Path) -> Iterator[Client]:
    """The service without any database."""
    yield from running(settings_for(tmp_path, DB_ENABLED="false"))


def _prepared(store: Any) -> Store:
    assert store.prepare()
    opened: Store = store
    return opened
