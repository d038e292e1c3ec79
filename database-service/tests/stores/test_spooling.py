"""The spool: signals go on being stored while the database is away, and reach it in order, once each."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from database_service.batches import Batch
from database_service.signals import SignalFilter
from database_service.stores.connections import Connections
from database_service.stores.spool import Spool
from database_service.stores.spooling import SpoolingStore
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import explain, sqlite_engine, sqlite_url
from shared.errors import Unavailable
from shared.testing.fakes import FakeClock

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
Make = Callable[..., Any]


class Place:
    """A database that can be taken away, and a spool before it."""

    def __init__(self, folder: Path, template: bytes, max_rows: int = 100):
        self.clock = FakeClock(NOON)
        self._spool_path = folder / "spool.sqlite3"
        self._max_rows = max_rows
        for name in ("main", "spool"):
            (folder / f"{name}.sqlite3").write_bytes(template)
        self._connections = Connections(sqlite_engine(sqlite_url(folder / "main.sqlite3")), self.clock, explain)
        self.main = SqlStore(self._connections, self.clock)
        assert self.main.prepare()
        self.open()

    def open(self) -> None:
        """As a new process would."""
        self.spool = Spool(self._spool_path, self.clock, self._max_rows)
        assert self.spool.prepare()
        self.store = SpoolingStore(self.main, self.spool, self.clock)

    def away(self, now: bool = True) -> None:
        self._connections.why_not = "gone" if now else None

    def back(self) -> None:
        """The database is there again, and what waits is moved."""
        self.away(False)
        while self.store.drain():
            pass

    def ids(self, limit: int = 100) -> list[str]:
        found, after = [], None
        while True:
            page = self.store.history(SignalFilter(), limit, after)
            found += [orjson.loads(document)["signal_id"] for document in page.documents]
            after = page.next
            if after is None:
                return found

    def close(self) -> None:
        self.spool.close()
        self.main.close()


@pytest.fixture
def place(tmp_path: Path, migrated_sqlite: bytes) -> Iterator[Place]:
    place = Place(tmp_path, migrated_sqlite)
    yield place
    place.close()


def named(signal: Make, *names: str, **fields: Any) -> list[Any]:
    return [signal(signal_id=name, timestamp=NOON + n * SECOND, **fields) for n, name in enumerate(names)]


def test_signals_saved_during_an_outage_are_readable_and_reach_the_database_in_order(
    place: Place, signal: Make
) -> None:
    place.store.append(named(signal, "a"), NOON)
    assert (place.store.source, place.store.state()) == ("database", None)
    place.away()
    place.clock.advance(60)
    for submission in named(signal, "x", "d", "m"):
        assert place.store.append([submission], NOON)[0].status == "stored"
    assert place.store.source == "database+spool"
    state = place.store.state()
    assert state is not None
    assert "3 signals wait in the local spool, the oldest for 60 s" in state["detail"]
    assert place.store.get("d") is not None
    assert place.ids() == ["m", "d", "x"]
    place.away(False)
    assert place.store.counts().signals == 4
    place.back()
    assert (place.store.source, place.store.state(), place.store.conflicts()) == ("database", None, [])
    assert place.main.verify(1, 10)[0].checked == 4
    rows = place.main.newest(SignalFilter(), 10)
    assert [orjson.loads(text)["signal_id"] for row, text in sorted(rows, key=lambda r: r[0].number)] == list("axdm")


def test_what_waits_stays_in_front_until_it_is_moved(place: Place, signal: Make) -> None:
    place.away()
    place.store.append(named(signal, "first"), NOON)
    place.away(False)
    place.store.append(named(signal, "second"), NOON)
    assert place.main.get("second") is None
    place.back()
    assert place.main.get("second") is not None


def test_a_name_can_wait_again_in_a_second_outage(place: Place, signal: Make) -> None:
    for _ in range(2):
        place.away()
        assert place.store.append(named(signal, "a"), NOON)[0].status == "stored"
        place.back()
    assert (place.ids(), place.store.conflicts()) == (["a"], [])


def test_pages_go_on_over_both_places_without_gap_or_repeat(place: Place, signal: Make) -> None:
    place.store.append([signal(signal_id=f"s{n}", timestamp=NOON + SECOND * (n // 3)) for n in range(12)], NOON)
    place.away()
    place.store.append([signal(signal_id=f"w{n}", timestamp=NOON + SECOND * (n // 3)) for n in range(12)], NOON)
    place.away(False)
    whole = place.ids()
    assert len(set(whole)) == 24
    assert [place.ids(limit) for limit in (1, 2, 5, 23)] == [whole] * 4


def test_a_retry_that_meets_the_outage_is_answered_alike(place: Place, signal: Make) -> None:
    [first] = place.store.append([signal("k", timestamp_given=False)], NOON)
    place.away()
    [again] = place.store.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON)
    assert (again.status, again.id) == ("replayed", first.id)
    assert place.store.append([signal("k", body_hash="another")], NOON)[0].status == "refused"
    assert place.store.source == "database"  # nothing waits


def test_a_retry_after_the_outage_is_answered_alike(place: Place, signal: Make) -> None:
    place.away()
    [first] = place.store.append([signal("k", timestamp_given=False)], NOON)
    place.back()
    [again] = place.store.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON)
    assert (again.status, again.id) == ("replayed", first.id)
    assert len(place.ids()) == 1


def test_a_crash_between_the_two_commits_stores_nothing_twice(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.away()
    place.store.append([*named(signal, "a", "b"), signal("k", price=3.0)], NOON)
    place.away(False)

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place.spool, "done", crash)
    with pytest.raises(KeyboardInterrupt):
        place.store.drain()
    assert len(place.ids()) == 3  # both places have them
    place.spool.close()
    place.open()
    assert place.store.source == "database+spool"
    place.back()
    assert (len(place.ids()), place.store.conflicts()) == (3, [])


def test_a_conflict_is_kept_and_shown(place: Place, signal: Make) -> None:
    place.away()
    place.store.append([*named(signal, "a", "b", "c"), signal("k", price=7.0, signal_id="d")], NOON)
    place.away(False)
    place.main.append([signal(signal_id="b", price=9.0), signal("k", price=7.0, signal_id="elsewhere")], NOON)
    place.back()
    by_id = {row["signal_id"]: row for row in place.store.conflicts()}
    assert by_id.keys() == {"b", "d"}
    assert "already names a different signal" in by_id["b"]["reason"]
    assert "answered the same Idempotency-Key with elsewhere" in by_id["d"]["reason"]
    assert orjson.loads(orjson.dumps(by_id["d"]["document"]))["price"] == 7.0
    assert place.main.get("a") is not None
    assert place.main.get("c") is not None


def test_the_spool_has_a_bound(tmp_path: Path, migrated_sqlite: bytes, signal: Make) -> None:
    place = Place(tmp_path, migrated_sqlite, max_rows=2)
    place.away()
    place.store.append(named(signal, "a", "b"), NOON)
    with pytest.raises(Unavailable, match="spool is full; nothing was stored") as full:
        place.store.append(named(signal, "c"), NOON)
    assert full.value.retry_after_s == 5
    place.back()
    assert place.store.append(named(signal, "c"), NOON)[0].status == "stored"
    place.close()


def test_what_needs_the_database_itself_says_so(place: Place, signal: Make, trade: Make) -> None:
    place.away()
    place.store.append(named(signal, "a"), NOON)
    for call in (
        lambda: place.store.track([trade()], NOON),
        lambda: place.store.save_settings("ann", 0, "{}", NOON),
        lambda: place.store.append_batch(Batch([], None, False), NOON),
    ):
        with pytest.raises(Unavailable):
            call()
