"""Writers that wait share a transaction; nobody is failed by a neighbour, and nobody waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from database_service.group_commit import GroupCommit
from database_service.idempotency import Verdict
from shared.errors import InvalidInput, Unavailable
from shared.testing.fakes import FakeClock
from shared.testing.net import wait_until

pytestmark = pytest.mark.unit
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)


class Database:
    """Takes names. `gate` holds a transaction up; `bad` is a row that fails the transaction it is in."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.moments: list[datetime] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def commit(self, rows: list[str], now: datetime) -> list[Verdict]:
        self.transactions.append(list(rows))
        self.moments.append(now)
        self.entered.set()
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        if "bad" in rows:
            raise InvalidInput("bad row")
        return [Verdict("stored", row) for row in rows]


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as threads:
        yield threads


def save(group: GroupCommit[str], name: str, now: datetime) -> Verdict:
    return group(name, now).result()


Held = Callable[..., GroupCommit[str]]


@pytest.fixture
def held(database: Database, pool: ThreadPoolExecutor) -> Iterator[Held]:
    """A group commit whose first transaction, with the row "first", is held up until `database.gate` opens."""

    def make(**bounds: float) -> GroupCommit[str]:
        group = GroupCommit(database.commit, FakeClock().monotonic, **bounds)  # type: ignore[arg-type]  # ints and floats
        database.gate.clear()
        pool.submit(save, group, "first", NOON)
        assert database.entered.wait(5)
        return group

    yield make
    database.gate.set()


def waiting(group: GroupCommit[str], count: int) -> None:
    wait_until(lambda: group.waiting == count, 5, what=f"{count} waiting writers")


def test_one_writer_is_answered_with_its_own_verdict(database: Database) -> None:
    group = GroupCommit(database.commit, FakeClock().monotonic)
    assert [save(group, name, NOON).id for name in "abc"] == ["a", "b", "c"]
    assert database.transactions == [["a"], ["b"], ["c"]]


def test_who_waits_while_a_transaction_is_written_shares_the_next(
    database: Database, pool: ThreadPoolExecutor, held: Held
) -> None:
    group = held()
    calls = {name: pool.submit(save, group, name, NOON + timedelta(seconds=n)) for n, name in enumerate("abcdefgh")}
    waiting(group, 9)
    database.gate.set()
    assert {name: call.result(5).id for name, call in calls.items()} == {name: name for name in "abcdefgh"}
    assert [sorted(rows) for rows in database.transactions] == [["first"], list("abcdefgh")]
    assert database.moments[1] == NOON + timedelta(seconds=7)


def test_a_transaction_has_a_bound(database: Database, pool: ThreadPoolExecutor, held: Held) -> None:
    group = held(max_batch=3)
    calls = [pool.submit(save, group, name, NOON) for name in "abcdefgh"]
    waiting(group, 9)
    database.gate.set()
    assert sorted(call.result(5).id for call in calls) == list("abcdefgh")
    assert [len(rows) for rows in database.transactions] == [1, 3, 3, 2]


def test_one_bad_row_fails_alone(database: Database, pool: ThreadPoolExecutor, held: Held) -> None:
    group = held()
    calls = {name: pool.submit(save, group, name, NOON) for name in ("a", "bad", "b")}
    waiting(group, 4)
    database.gate.set()
    assert (calls["a"].result(5).id, calls["b"].result(5).id) == ("a", "b")
    with pytest.raises(InvalidInput, match="bad row"):
        calls["bad"].result(5)
    assert sorted(database.transactions[2:]) == [["a"], ["b"], ["bad"]]


def test_a_database_that_is_away_is_asked_once_for_all(
    database: Database, pool: ThreadPoolExecutor, held: Held
) -> None:
    group = held()
    calls = [pool.submit(save, group, name, NOON) for name in "abc"]
    waiting(group, 4)
    database.error = Unavailable("away", retry_after_s=7)
    database.gate.set()
    errors = [call.exception(5) for call in calls]
    assert [(type(error), getattr(error, "retry_after_s", None)) for error in errors] == [(Unavailable, 7)] * 3
    assert len({id(error) for error in errors}) == 3  # tracebacks grow on an error that many raise
    assert len(database.transactions) == 2
    database.error = None
    assert save(group, "later", NOON).id == "later"


def test_too_many_waiting_writers_are_told_to_come_back(
    database: Database, pool: ThreadPoolExecutor, held: Held
) -> None:
    group = held(max_waiting=3)
    calls = [pool.submit(save, group, name, NOON) for name in "ab"]
    waiting(group, 3)
    with pytest.raises(Unavailable, match="nothing was stored") as full:
        group("c", NOON)
    assert full.value.retry_after_s
    database.gate.set()
    assert [call.result(5).id for call in calls] == ["a", "b"]
    waiting(group, 0)
    assert save(group, "c", NOON).id == "c"


def test_nobody_waits_longer_than_the_bound_behind_transactions_that_are_each_quick_enough(
    pool: ThreadPoolExecutor,
) -> None:
    def commit(rows: list[str], now: datetime) -> list[Verdict]:
        time.sleep(0.25)  # the database's own time, not a wait for luck
        return [Verdict("stored", row) for row in rows]

    group = GroupCommit(commit, time.monotonic, wait_s=0.4, max_batch=1)
    begun = time.monotonic()
    calls = [pool.submit(save, group, str(n), NOON) for n in range(20)]
    errors = [call.exception(10) for call in calls]
    assert errors.count(None) <= 4
    assert all("nothing was stored" in str(error) for error in errors if error is not None)
    assert time.monotonic() - begun < 3  # one after the other they would take 5 s


def fail(_outcome: object) -> None:
    raise RuntimeError("a receiver's own fault")


def test_a_receiver_that_fails_keeps_no_other_from_its_answer(database: Database, held: Held) -> None:
    group = held()
    broken, well = group("a", NOON), group("b", NOON)
    got: list[object] = []
    broken.then(fail)
    well.then(got.append)
    database.gate.set()
    wait_until(lambda: got == [Verdict("stored", "b")], 5)
    assert save(group, "later", NOON).id == "later"


def test_a_hung_database_holds_nobody_for_ever(database: Database, pool: ThreadPoolExecutor) -> None:
    group = GroupCommit(database.commit, time.monotonic, wait_s=0.2)
    database.gate.clear()
    begun = pool.submit(save, group, "begun", NOON)
    assert database.entered.wait(5)
    queued = pool.submit(save, group, "queued", NOON)
    with pytest.raises(Unavailable, match="stored or not"):
        begun.result(5)
    with pytest.raises(Unavailable, match="nothing was stored"):
        queued.result(5)
    with pytest.raises(Unavailable, match="does not answer; nothing was stored"):
        group("later", NOON)
    database.gate.set()
    wait_until(lambda: not group.late, 5, what="the end of the transaction that hung")
    assert save(group, "again", NOON).id == "again"
    assert database.transactions == [["begun"], ["again"]]
