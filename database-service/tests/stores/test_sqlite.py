"""What only the embedded database has to keep: durability per connection, and clear words when the file fails."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from database_service.idempotency import KEEP
from database_service.signals import SignalFilter
from database_service.stores import sql
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import sqlite_store
from shared.errors import InvalidInput, Unavailable
from shared.sql import sqlite as sqlite_module
from shared.sql.connections import WRITE_S, Connections
from shared.sql.sqlite import explain, sqlite_engine, sqlite_url
from shared.testing.fakes import FakeClock

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
Make = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path, migrated_sqlite: bytes) -> Path:
    file = tmp_path / "database.sqlite3"
    file.write_bytes(migrated_sqlite)
    return file


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    engine = sqlite_engine(sqlite_url(path))
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> SqlStore:
    clock = FakeClock()
    store = SqlStore(Connections(engine, clock, explain), clock)
    assert store.prepare()
    return store


def test_every_connection_is_journalled_ahead_and_synced_at_each_commit(engine: sa.Engine) -> None:
    links = [engine.connect() for _ in range(8)]
    for link in links:
        assert link.exec_driver_sql("PRAGMA synchronous").scalar() == sqlite_module.FULL
        assert link.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        link.close()


def test_a_connection_that_would_not_sync_is_refused() -> None:
    engine = sqlite_engine("sqlite://")  # in memory there is no journal
    with pytest.raises(sa.exc.OperationalError, match="not be durable"):
        engine.connect()


def test_a_file_locked_by_another_program_is_unavailable_and_recovers(
    store: SqlStore, path: Path, signal: Make
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="locked") as error:
            store.append([signal()], NOON)
        assert error.value.retry_after_s
        other.execute("ROLLBACK")
    assert store.append([signal()], NOON)[0].status == "stored"


def test_a_full_disk_is_unavailable_acknowledges_nothing_and_recovers(
    store: SqlStore, engine: sa.Engine, signal: Make
) -> None:
    pages = {"max": 1}

    def limit(link: sa.Connection) -> None:
        link.exec_driver_sql(f"PRAGMA max_page_count={pages['max']}")

    event.listen(engine, "begin", limit)
    big = signal(metadata={"text": "x" * 60_000})
    with pytest.raises(Unavailable, match="disk is full"):
        store.append([big], NOON)
    with pytest.raises(Unavailable, match="disk is full"):
        store.append([big], NOON)
    pages["max"] = 1_000_000
    assert store.history(SignalFilter(), 10).documents == []
    assert store.append([big], NOON)[0].status == "stored"


@pytest.fixture
def read_only(engine: sa.Engine) -> dict[str, bool]:
    """read_only["now"] = True: from here on nothing can be written."""
    switch = {"now": False}

    def forbid(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA query_only={switch['now']}")

    event.listen(engine, "checkout", forbid)
    return switch


def test_a_read_only_file_is_unavailable_for_writes_alone(
    store: SqlStore, signal: Make, read_only: dict[str, bool]
) -> None:
    store.append([signal(signal_id="a")], NOON)
    read_only["now"] = True
    with pytest.raises(Unavailable, match="read-only"):
        store.append([signal(signal_id="b")], NOON)
    assert store.get("a") is not None


def test_health_stays_bad_after_a_failed_write_until_writing_works(
    store: SqlStore, signal: Make, read_only: dict[str, bool]
) -> None:
    read_only["now"] = True
    with pytest.raises(Unavailable):
        store.append([signal()], NOON)
    with pytest.raises(Unavailable, match="read-only"):
        store.probe()
    read_only["now"] = False
    store.probe()
    assert store.history(SignalFilter(), 10).documents == []


def test_an_exchanged_file_is_noticed(store: SqlStore, engine: sa.Engine) -> None:
    with engine.begin() as link:
        link.exec_driver_sql("DROP TABLE signal_names")
    with pytest.raises(Unavailable):
        store.get("x")
    assert not store.prepared


def test_old_keys_are_forgotten_and_young_ones_kept(store: SqlStore, engine: sa.Engine, signal: Make) -> None:
    store.append([signal("old")], NOON)
    later = NOON + KEEP
    store.append([signal("young", signal_id="b")], later)
    store.append([signal("now", signal_id="c")], later + timedelta(minutes=11))
    with engine.connect() as link:
        kept = link.scalars(sa.text("SELECT key FROM idempotency_keys ORDER BY key")).all()
    assert kept == ["now", "young"]


def test_history_walks_an_index_and_sorts_nothing(engine: sa.Engine) -> None:
    for condition in ("", "WHERE symbol = 'BTCUSDT' AND (timestamp, id) < (5, 5)"):
        query = f"SELECT document FROM signals {condition} ORDER BY timestamp DESC, id DESC LIMIT 100"
        with engine.connect() as link:
            plan = " ".join(row[3] for row in link.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
        assert "USING INDEX signals_by" in plan
        assert "TEMP B-TREE" not in plan


def test_a_crowded_place_takes_no_more_and_still_knows_what_it_has(
    store: SqlStore, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "MAX_AT_PLACE", 3)
    store.append([signal(price=float(n)) for n in range(1, 5)], NOON)
    full, known, own = store.append([signal(price=9.0), signal(price=4.0), signal(price=9.0, signal_id="own")], NOON)
    assert (known.status, own.status, full.status) == ("duplicate", "stored", "refused")
    assert isinstance(full.error, InvalidInput)
    assert full.error.details[0]["field"] == "timestamp"


MANY = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT count(*) FROM n"


def test_a_read_that_takes_too_long_is_cut_and_a_write_is_not(engine: sa.Engine) -> None:
    clock = FakeClock()
    connections = Connections(engine, clock, explain)
    connections.why_not = None
    with pytest.raises(Unavailable, match="narrow it"):
        connections.fetch(MANY, (), 0)
    with pytest.raises(Unavailable, match="narrow it"), connections.reading(0) as link:
        link.exec_driver_sql(MANY)
    assert connections.fetch("SELECT 1", (), 0) == [(1,)]
    assert not connections.known_away

    def write(link: sa.Connection) -> Any:
        clock.advance(WRITE_S)
        return link.exec_driver_sql(MANY).scalar()

    assert connections.transact(write) == 1_000_000


def test_a_file_that_can_not_be_opened_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = sqlite_store(tmp_path / "file" / "database.sqlite3", FakeClock())
    with pytest.raises(Unavailable, match="can't be opened"):
        store.prepare()
