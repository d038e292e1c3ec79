"""A writer process stores what it is given, once, also where it dies or hangs; without one this process writes."""

import logging
import os
import signal as signals
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from database_service.signals import SignalFilter, Submission
from database_service.stores import apart as apart_module
from database_service.stores.apart import Apart
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import sqlite_store
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.sql.sqlite import sqlite_url
from shared.testing.net import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
Make = Callable[..., Submission]


@pytest.fixture
def store(tmp_path: Path, migrated_sqlite: bytes) -> Iterator[SqlStore]:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(migrated_sqlite)
    store = sqlite_store(path, SystemClock())
    assert store.prepare()
    yield store
    store.close()


@pytest.fixture
def apart(store: SqlStore, tmp_path: Path) -> Iterator[Apart]:
    """Writers for this database; every group counts as large."""
    url = sqlite_url(tmp_path / "database.sqlite3")
    apart = Apart(store, url, lambda call: call(), logging.getLogger("test"), large=2)
    store.append_with = apart.append
    apart.start()
    yield apart
    apart.stop()


def works(apart: Apart, store: SqlStore, signal: Make) -> int:
    """Have a writer started; the process's number."""
    store.append([signal(signal_id="first"), signal(signal_id="second")], NOON)
    wait_until(lambda: apart.works, 10, what="a writer process")
    writer = apart._writer
    assert writer is not None
    return writer._process.pid


def stored(store: SqlStore) -> int:
    return len(store.newest(SignalFilter(), 1000))


def test_a_writer_answers_as_this_process_does(apart: Apart, store: SqlStore, signal: Make) -> None:
    works(apart, store, signal)
    rows = [
        signal(signal_id="a", metadata={"n": 2**63, "x": [1.5, None, "é"]}), signal(signal_id="a", price=2.0), signal(),
        signal(price=3.0), signal(key_text="k"), signal(key_text="k"), signal(key_text="k", body_hash="another"),
    ]  # fmt: skip
    apart_verdicts = store.append(rows, NOON)
    assert [verdict.status for verdict in apart_verdicts] == [
        "stored", "refused", "stored", "stored", "duplicate", "replayed", "refused",
    ]  # fmt: skip
    assert apart_verdicts[1].error is not None
    assert apart_verdicts[1].error.details[0]["field"] == "signal_id"
    again = store.append_here(rows, NOON)
    assert [verdict.id for verdict in again] == [verdict.id for verdict in apart_verdicts]
    assert [verdict.status for verdict in again[:4]] == ["duplicate", "refused", "duplicate", "duplicate"]
    assert store.counts().signals == stored(store) == 5
    checked, head = store.verify(1, 100)
    assert (checked.broken_at, head.sequence) == (None, 5)


def test_small_groups_and_the_first_ones_are_written_here(apart: Apart, store: SqlStore, signal: Make) -> None:
    assert store.append([signal()], NOON)[0].status == "stored"
    assert not apart.works


def test_a_writer_that_was_killed_loses_nothing_and_another_takes_its_place(
    apart: Apart, store: SqlStore, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart_module, "AGAIN_S", 0.1)
    pid = works(apart, store, signal)
    os.kill(pid, signals.SIGKILL)
    verdicts = store.append([signal(signal_id="a"), signal(signal_id="b")], NOON)
    assert [verdict.status for verdict in verdicts] == ["stored", "stored"]
    assert stored(store) == 4
    wait_until(lambda: not apart.works, 5, what="the writer's end")
    assert works(apart, store, signal) != pid


def test_a_writer_that_hangs_is_killed_and_what_it_may_have_stored_is_stored_once(
    apart: Apart, store: SqlStore, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart_module, "REPLY_S", 0.5)
    pid = works(apart, store, signal)
    os.kill(pid, signals.SIGSTOP)
    rows = [signal(signal_id="a", key_text="k"), signal(signal_id="b")]
    assert [verdict.id for verdict in store.append(rows, NOON)] == ["a", "b"]
    assert stored(store) == 4
    assert not apart.works


def test_a_writers_errors_are_the_stores(apart: Apart, store: SqlStore, signal: Make, tmp_path: Path) -> None:
    works(apart, store, signal)
    for path in tmp_path.glob("database.sqlite3*"):
        path.unlink()
    (tmp_path / "database.sqlite3").write_bytes(b"no database at all" * 1000)
    with pytest.raises(Unavailable):
        store.append([signal(signal_id="c"), signal(signal_id="d")], NOON)
    assert store._connections.write_failed


def test_a_database_that_was_exchanged_under_a_writer_is_noticed_here(
    apart: Apart, store: SqlStore, signal: Make, tmp_path: Path
) -> None:
    works(apart, store, signal)
    with closing(sqlite3.connect(tmp_path / "database.sqlite3")) as link:
        for table in ("signals", "signal_names", "alembic_version"):
            link.execute(f"DROP TABLE {table}")
    with pytest.raises(Unavailable):
        store.append([signal(signal_id="c"), signal(signal_id="d")], NOON)
    assert not store.prepared


def test_the_end_of_the_service_is_the_writers_end(apart: Apart, store: SqlStore, signal: Make) -> None:
    pid = works(apart, store, signal)
    apart.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
