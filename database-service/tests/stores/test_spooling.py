"""The spool: all saves go on while the database is away, and reach it in order, once each."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import event

from database_service.batches import Batch, BatchRefused
from database_service.idempotency import Key, KeyName
from database_service.performance import TradeFilter
from database_service.signals import Cursor, SignalFilter
from database_service.stores import waiting
from database_service.stores.drain import QUICK_S, Drain
from database_service.stores.postgres import postgres_store
from database_service.stores.spool import Spool
from database_service.stores.spooling import SpoolingStore
from database_service.stores.sql import SqlStore
from shared.errors import FleetError, InvalidInput, Unavailable
from shared.sql.connections import Connections
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import explain, sqlite_engine, sqlite_url
from shared.testing.fakes import FakeClock

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
Make = Callable[..., Any]


class Place:
    """A database that can be taken away, and a spool before it."""

    def __init__(self, folder: Path, template: bytes, max_rows: int = 1000, name: str = "spool"):
        self.clock = FakeClock(NOON)
        self._spool_path = folder / f"{name}.sqlite3"
        self._max_rows = max_rows
        for path in (folder / "main.sqlite3", self._spool_path):
            if not path.exists():
                path.write_bytes(template)
        self._connections = Connections(sqlite_engine(sqlite_url(folder / "main.sqlite3")), self.clock, explain)
        self.main = SqlStore(self._connections, self.clock)
        assert self.main.prepare()
        self.open()

    def open(self) -> None:
        """As a new process would."""
        self.spool = Spool(self._spool_path, self.clock, self._max_rows)
        assert self.spool.prepare()
        self.store = SpoolingStore(self.main, self.spool)
        self.drain = Drain(self.main, self.spool, self.clock)

    def away(self, now: bool = True) -> None:
        self._connections.why_not = "gone" if now else None

    def back(self) -> None:
        """The database is there again, and what waits is moved."""
        self.away(False)
        while self.drain.waiting:
            self.drain.step()

    def ids(self, limit: int = 100, after: Cursor | None = None) -> list[str]:
        found = []
        while True:
            page = self.store.history(SignalFilter(), limit, after)
            found += [orjson.loads(document)["signal_id"] for document in page.documents]
            after = page.next
            if after is None:
                return found

    def exported(self, limit: int, after: Cursor | None) -> list[str]:
        """As `ids`, by the way that exports take."""
        found: list[str] = []
        while True:
            portion = self.store.portion(SignalFilter(), limit, after)
            found += [orjson.loads(line)["signal_id"] for line in portion.lines.splitlines()]
            after = portion.next
            if after is None:
                return found

    def numbered(self) -> list[str]:
        """The ids in the database, in the order in which they came there."""
        rows = self.main.newest(SignalFilter(), 1000)
        return [orjson.loads(text)["signal_id"] for _, text in sorted(rows, key=lambda row: row[0].number)]

    def pnls(self) -> tuple[list[int], bool]:
        """The trades' profits in order, and whether these are all."""
        trades = self.store.trades(TradeFilter())
        return [int(line.pnl) for line in trades], trades.complete

    def bound_pages(self, pages: int) -> None:
        """As if the spool's disk had room for no more: SQLite says the same of both."""
        self.spool._engine.dispose()
        event.listen(self.spool._engine, "connect", lambda link, _: link.execute(f"PRAGMA max_page_count={pages}"))

    def close(self) -> None:
        self.spool.close()
        self.main.close()


@pytest.fixture
def place(tmp_path: Path, migrated_sqlite: bytes) -> Iterator[Place]:
    place = Place(tmp_path, migrated_sqlite)
    yield place
    place.close()


def batch(
    signal: Make, *rows: str | FleetError, key: str | None = None, body_hash: str = "a body", atomic: bool = False
) -> Batch:
    """Signals of those names, and errors where rows were bad."""
    made = [signal(signal_id=row, timestamp=NOON).signal if isinstance(row, str) else row for row in rows]
    return Batch(made, Key(KeyName("/signals/batch", key), body_hash) if key else None, atomic)


def named(signal: Make, *names: str, **fields: Any) -> list[Any]:
    return [signal(signal_id=name, timestamp=NOON + n * SECOND, **fields) for n, name in enumerate(names)]


def test_signals_saved_during_an_outage_are_readable_and_reach_the_database_in_order(
    place: Place, signal: Make
) -> None:
    place.store.append(named(signal, "a"), NOON)
    assert (place.store.source, place.store.state()) == ("database", None)
    place.away()
    for submission in named(signal, "x", "d", "m"):
        assert place.store.append([submission], NOON)[0].status == "stored"
    place.clock.advance(60)
    assert place.store.source == "database+spool"
    state = place.store.state()
    assert state is not None
    assert "3 signals and 0 trades wait in the local spool, which was last empty 60 s ago" in state["detail"]
    assert (state["spool_rows"], state["spool_age_s"]) == (3, 60.0)
    assert place.store.get("d") is not None
    assert place.ids() == ["m", "d", "x"]
    place.away(False)
    assert place.store.counts().signals == 4
    place.back()
    assert (place.store.source, place.store.state(), place.store.conflicts()) == ("database", None, [])
    assert place.main.verify(1, 10)[0].checked == 4
    assert place.numbered() == list("axdm")


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


@pytest.mark.parametrize("sent", [1, 2, 7, 14])
@pytest.mark.parametrize("moved", [2, 6, 12])
def test_pages_repeat_nothing_that_was_moved_between_two_of_them(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch, sent: int, moved: int
) -> None:
    place.store.append([signal(signal_id=f"s{n}", timestamp=NOON + SECOND * (n // 3)) for n in range(12)], NOON)
    place.away()
    place.store.append([signal(signal_id=f"w{n}", timestamp=NOON + SECOND * (n // 3)) for n in range(12)], NOON)
    place.away(False)
    whole = place.ids()
    after = place.store.history(SignalFilter(), sent).next
    monkeypatch.setattr(place.drain, "_portion", moved)
    place.drain.step()
    assert place.spool.rows.signals == 12 - moved
    assert place.ids(5, after) == place.exported(5, after) == whole[sent:]
    place.spool.close()
    place.open()
    assert place.ids(5, after) == whole[sent:]


def test_pages_repeat_nothing_that_is_in_both_places_for_a_moment(place: Place, signal: Make) -> None:
    place.away()
    place.store.append([signal(signal_id=f"w{n}") for n in range(6)], NOON)
    place.away(False)
    whole = place.ids()
    after = place.store.history(SignalFilter(), 3).next
    place.main.append([signal(signal_id=f"w{n}") for n in range(6)], NOON)
    assert place.ids(2, after) == whole[3:]


def test_a_retry_that_meets_the_outage_is_answered_alike(place: Place, signal: Make) -> None:
    [first] = place.store.append([signal("k", timestamp_given=False)], NOON)
    place.away()
    [again] = place.store.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON)
    assert (again.status, again.id) == ("replayed", first.id)
    assert place.store.append([signal("k", body_hash="another")], NOON)[0].status == "refused"
    assert not place.spool.waiting


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
        place.drain.step()
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


def test_batches_saved_during_an_outage_are_answered_alike_and_reach_the_database_with_their_keys(
    place: Place, signal: Make
) -> None:
    place.away()
    bad = InvalidInput.field("price", "is bad")
    first = place.store.append_batch(batch(signal, "b", "a", bad, key="k"), NOON)
    place.store.append_batch(batch(signal, "x"), NOON)
    place.store.append([signal(signal_id="m", timestamp=NOON + 9 * SECOND)], NOON)
    assert orjson.loads(first)["stored"] == 2
    assert place.store.append_batch(batch(signal, "b", "a", bad, key="k"), NOON) == first
    assert place.store.counts().signals == 4
    place.back()
    assert place.store.append_batch(batch(signal, "b", "a", bad, key="k"), NOON) == first
    assert (place.numbered(), place.store.conflicts()) == (["b", "a", "x", "m"], [])
    with pytest.raises(InvalidInput, match="another body"):
        place.main.append_batch(batch(signal, "c", key="k", body_hash="another"), NOON)


def test_an_atomic_batch_with_a_bad_row_is_refused_during_an_outage_too(place: Place, signal: Make) -> None:
    place.away()
    with pytest.raises(BatchRefused):
        place.store.append_batch(batch(signal, "a", InvalidInput("bad"), key="k", atomic=True), NOON)
    assert not place.spool.waiting


def test_trades_tracked_during_an_outage_are_counted_and_reach_the_database_in_order(place: Place, trade: Make) -> None:
    place.store.track([trade(pnl="1")], NOON)
    place.away()
    [first] = place.store.track([trade("k", pnl="2", closed_at=NOON - SECOND)], NOON)
    place.store.track([trade(pnl="3")], NOON)
    assert place.pnls() == ([2, 3], False)
    place.away(False)
    assert place.pnls() == ([2, 1, 3], True)
    assert place.store.counts().performance == 3
    assert place.store.track([trade("k")], NOON)[0].id == first.id
    place.back()
    assert place.pnls() == ([2, 1, 3], True)
    assert place.main.track([trade("k")], NOON)[0].id == first.id
    assert place.main.counts().performance == 3


def test_a_trade_that_the_database_committed_without_an_answer_is_stored_once(place: Place, trade: Make) -> None:
    unsure = [trade("k", pnl="5"), trade(pnl="6")]
    place.main.track(unsure, NOON)
    place.away()
    place.store.track(unsure, NOON)
    place.away(False)
    assert place.pnls() == ([5, 6], True)
    place.back()
    assert (place.pnls(), place.store.conflicts()) == (([5, 6], True), [])


def test_signals_that_the_database_committed_without_an_answer_are_stored_once(place: Place, signal: Make) -> None:
    singles = [signal("k", timestamp_given=False), signal(price=2.0, timestamp_given=False)]
    many = batch(signal, "a", "b", key="k")
    place.main.append(singles, NOON)
    place.main.append_batch(many, NOON)
    place.away()
    place.store.append(singles, NOON)
    place.store.append_batch(many, NOON)
    place.back()
    assert (len(place.ids()), place.store.conflicts()) == (4, [])


@pytest.mark.parametrize("restart", [False, True])
def test_keys_that_the_database_acknowledged_are_known_in_an_outage_on_every_route(
    place: Place, signal: Make, trade: Make, restart: bool
) -> None:
    [saved] = place.store.append([signal("k", timestamp_given=False)], NOON)
    [tracked] = place.store.track([trade("k")], NOON)
    answer = place.store.append_batch(batch(signal, "a", key="k"), NOON)
    place.spool.write_down_keys()
    if restart:
        place.spool.close()
        place.open()
    place.away()
    assert place.store.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON)[0].id == saved.id
    assert place.store.track([trade("k")], NOON)[0].id == tracked.id
    assert place.store.append_batch(batch(signal, "a", key="k"), NOON) == answer
    assert place.store.track([trade("k", body_hash="another")], NOON)[0].status == "refused"
    assert not place.spool.waiting


def test_a_key_that_was_given_to_a_signal_that_waits_already_waits_as_well(place: Place, signal: Make) -> None:
    place.away()
    place.store.append([signal()], NOON)
    place.store.append([signal("k")], NOON)
    place.back()
    [again] = place.main.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON)
    assert again.status == "replayed"


def test_of_a_batch_that_another_process_answered_meanwhile_our_rows_are_conflicts(place: Place, signal: Make) -> None:
    place.away()
    place.store.append_batch(batch(signal, "ours", "both", key="k"), NOON)
    place.away(False)
    place.main.append_batch(batch(signal, "theirs", "both", key="k"), NOON)
    place.back()
    assert set(place.ids()) == {"theirs", "both"}
    [conflict] = place.store.conflicts()
    assert (conflict["signal_id"], conflict["document"]["signal_id"]) == ("ours", "ours")
    assert "same Idempotency-Key" in conflict["reason"]


def test_of_a_trade_that_another_process_answered_meanwhile_ours_is_a_conflict(place: Place, trade: Make) -> None:
    place.away()
    [ours] = place.store.track([trade("k", pnl="1")], NOON)
    place.away(False)
    place.main.track([trade("k", pnl="2")], NOON)
    place.back()
    assert place.pnls() == ([2], True)
    [conflict] = place.store.conflicts()
    assert (conflict["performance_id"], conflict["document"]["pnl"]) == (ours.id, 1.0)


def test_no_row_overtakes_its_key_where_answers_are_too_long_for_one_step(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MAX_ANSWERS", 0)
    place.away()
    place.store.append([signal("first", signal_id="a"), signal("second", signal_id="ours")], NOON)
    place.away(False)
    place.main.append([signal("second", signal_id="theirs")], NOON)
    place.back()
    assert set(place.ids()) == {"a", "theirs"}
    assert [conflict["signal_id"] for conflict in place.store.conflicts()] == ["ours"]


def test_a_row_that_the_database_never_takes_is_a_conflict_and_holds_up_no_other(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.away()
    place.store.append(named(signal, *"abcdefg"), NOON)
    place.away(False)
    append = place.main.append

    def picky(rows: Any, now: datetime) -> Any:
        if any(row.signal.signal_id == "e" for row in rows):
            raise InvalidInput("the database does not take this row")
        return append(rows, now)

    monkeypatch.setattr(place.main, "append", picky)
    place.back()
    assert place.numbered() == list("abcdfg")
    assert [conflict["signal_id"] for conflict in place.store.conflicts()] == ["e"]


def test_a_crash_between_the_two_commits_stores_no_trade_twice_and_counts_none_twice(
    place: Place, trade: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.away()
    place.store.track([trade(pnl=str(n), closed_at=NOON + n * SECOND) for n in range(3)], NOON)
    place.away(False)

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place.spool, "done", crash)
    with pytest.raises(KeyboardInterrupt):
        place.drain.step()
    assert place.pnls() == ([0, 1, 2], True)
    place.spool.close()
    place.open()
    place.back()
    assert place.pnls() == ([0, 1, 2], True)


def test_what_was_added_while_the_rest_is_moved_stays_behind_it(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.away()
    place.store.append(named(signal, "a", "b"), NOON)
    place.away(False)
    take_keys = place.drain._take_keys

    def while_a_writer_goes_on(answers: Any) -> None:
        place.store.append([signal("late", signal_id="c", timestamp=NOON + 5 * SECOND)], NOON)
        monkeypatch.setattr(place.drain, "_take_keys", take_keys)
        take_keys(answers)

    monkeypatch.setattr(place.drain, "_take_keys", while_a_writer_goes_on)
    place.drain.step()
    assert (place.numbered(), place.store.source) == (["a", "b"], "database+spool")
    place.back()
    assert place.numbered() == ["a", "b", "c"]


def test_only_after_a_quick_step_the_last_one_may_hold_up_the_writers(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.away()
    place.store.append(named(signal, "a"), NOON)
    place.away(False)
    assert not place.drain.nearly_done
    append = place.main.append

    def slow(*given: Any) -> Any:
        place.clock.advance(QUICK_S)
        return append(*given)

    with monkeypatch.context() as patch:
        patch.setattr(place.main, "append", slow)
        place.drain.step()
    assert not place.drain.nearly_done
    place.drain.step()
    assert place.drain.nearly_done


def test_several_processes_drain_into_one_database_side_by_side(
    tmp_path: Path, migrated_sqlite: bytes, signal: Make, trade: Make
) -> None:
    places = [Place(tmp_path, migrated_sqlite, name=f"spool-{n}") for n in range(3)]
    for n, place in enumerate(places):
        place.away()
        place.store.append([signal(signal_id=f"{n}-{m}", timestamp=NOON + m * SECOND) for m in range(40)], NOON)
        place.store.track([trade(pnl=str(n)) for _ in range(5)], NOON)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Place.back, places))
    numbered = places[0].numbered()
    for n in range(3):
        assert [one for one in numbered if one.startswith(f"{n}-")] == [f"{n}-{m}" for m in range(40)]
    assert (len(numbered), len(places[0].pnls()[0])) == (120, 15)
    assert places[0].main.verify(1, 1000)[0].checked == 120
    for place in places:
        place.close()


def test_the_spool_has_a_bound(tmp_path: Path, migrated_sqlite: bytes, signal: Make, trade: Make) -> None:
    place = Place(tmp_path, migrated_sqlite, max_rows=3)
    place.away()
    place.store.append(named(signal, "a"), NOON)
    place.store.track([trade(), trade()], NOON)
    for call in (
        lambda: place.store.append(named(signal, "c"), NOON),
        lambda: place.store.track([trade()], NOON),
        lambda: place.store.append_batch(batch(signal, "c"), NOON),
    ):
        with pytest.raises(Unavailable, match="spool is full; nothing was stored") as full:
            call()
        assert full.value.retry_after_s == 5
    place.back()
    assert place.store.append(named(signal, "c"), NOON)[0].status == "stored"
    place.close()


def test_a_spool_whose_disk_is_full_acknowledges_nothing_and_recovers(place: Place, signal: Make, trade: Make) -> None:
    place.away()
    place.store.append(named(signal, "a"), NOON)
    with place.spool._reading() as link:
        pages = link.exec_driver_sql("PRAGMA page_count").scalar_one()
    place.bound_pages(pages)
    big = {"text": "x" * 100_000}
    for call in (
        lambda: place.store.append([signal("k", signal_id="b", metadata=big)], NOON),
        lambda: place.store.track([trade(metadata=big)], NOON),
        lambda: place.store.append_batch(Batch([signal(signal_id="c", metadata=big).signal]), NOON),
    ):
        with pytest.raises(Unavailable, match=r"can't take it \(the disk is full\); nothing was stored"):
            call()
    assert place.ids() == ["a"]
    place.bound_pages(1_000_000)
    assert place.store.append([signal("k", signal_id="b", metadata=big)], NOON)[0].status == "stored"
    place.back()
    assert sorted(place.ids()) == ["a", "b"]


def test_what_is_stored_is_acknowledged_although_reading_fails_right_after(
    place: Place, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise Unavailable("the disk fails")

    place.away()
    with monkeypatch.context() as patch:
        patch.setattr(place.spool, "_reading", fail)
        assert place.store.append([signal("k", signal_id="a")], NOON)[0].status == "stored"
    place.back()
    assert place.numbered() == ["a"]
    assert place.main.append([signal("k", signal_id="a")], NOON)[0].status == "replayed"


def test_what_was_noted_while_the_disk_was_full_is_written_down_later(place: Place, signal: Make) -> None:
    with place.spool._reading() as link:
        pages = link.exec_driver_sql("PRAGMA page_count").scalar_one()
    place.bound_pages(pages)
    keys = [f"{n}-{'k' * 200}" for n in range(500)]
    place.store.append([signal(key, signal_id=str(n), timestamp_given=False) for n, key in enumerate(keys)], NOON)
    with pytest.raises(Unavailable, match="disk is full"):
        place.spool.write_down_keys()
    place.bound_pages(1_000_000)
    place.away()
    again = place.store.append([signal(key, timestamp_given=False) for key in keys], NOON)
    assert [verdict.id for verdict in again] == [str(n) for n in range(500)]


def test_settings_need_the_database_itself(place: Place, signal: Make) -> None:
    place.away()
    place.store.append(named(signal, "a"), NOON)
    with pytest.raises(Unavailable) as away:
        place.store.save_settings("ann", 0, "{}", NOON)
    assert away.value.retry_after_s


def test_an_unknown_id_is_not_denied_while_the_database_may_know_it(place: Place) -> None:
    place.away()
    with pytest.raises(Unavailable):
        place.store.get("nobody")


def test_without_a_spool_a_database_that_is_away_is_unavailable(place: Place, signal: Make) -> None:
    place.spool._connections.why_not = "the disk fails"
    state = place.store.state()
    assert state is not None
    assert "no local spool would help in an outage: the disk fails" in state["detail"]
    assert place.store.append(named(signal, "a"), NOON)[0].status == "stored"
    place.away()
    for call in (
        lambda: place.store.append(named(signal, "b"), NOON),
        lambda: place.store.history(SignalFilter(), 10),
        lambda: place.store.trades(TradeFilter()),
        place.store.state,
    ):
        with pytest.raises(Unavailable):
            call()


def test_a_query_that_takes_too_long_is_refused_and_not_answered_with_nothing(
    tmp_path: Path, migrated_sqlite: bytes, migrated_postgres: str
) -> None:
    (tmp_path / "spool.sqlite3").write_bytes(migrated_sqlite)
    clock = FakeClock(NOON)
    database, spool = postgres_store(migrated_postgres, clock), Spool(tmp_path / "spool.sqlite3", clock, 1000)
    assert database.prepare()
    assert spool.prepare()
    store = SpoolingStore(database, spool)
    engine = postgres_engine(migrated_postgres)
    with engine.begin() as link:  # held for longer than any query may take
        link.exec_driver_sql("LOCK TABLE signals, performance IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="too long"):
            store.history(SignalFilter(), 10)
        with pytest.raises(Unavailable, match="too long"):
            store.portion(SignalFilter(), 10)
        with pytest.raises(Unavailable, match="too long"):
            store.trades(TradeFilter())
    engine.dispose()
    assert store.history(SignalFilter(), 10).complete
    store.close()
