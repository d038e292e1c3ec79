"""Group commit: writers that wait at the same moment share one transaction, and each is answered after its COMMIT.

A commit waits for the disk, and the disk takes a hundred rows as fast as one. While one transaction is written the next
one gathers; nobody waits for a timer. The plain way, one transaction a writer, gives the same answers.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from database_service.idempotency import Verdict
from shared.errors import Unavailable

MAX_BATCH = 256  # rows in one transaction: past that the throughput no longer grows, only the wait of the first one
MAX_WAITING = 4096  # writers; more are told to come back
WAIT_S = 8.0  # the longest that a writer waits, whatever the database does; a hung one does nothing for ever

T = TypeVar("T")
Commit = Callable[[list[T], datetime], list[Verdict]]


class _Batch(Generic[T]):
    """Rows that share a transaction, and what became of them."""

    __slots__ = ("done", "items", "now", "outcomes")

    def __init__(self, now: datetime) -> None:
        self.items: list[T] = []
        self.now = now
        self.done = threading.Event()
        self.outcomes: list[Verdict | BaseException] = []


class GroupCommit(Generic[T]):
    """`commit(rows, now)` writes a list in one transaction and blocks; it is called by one thread at a time.

    Usable from threads and, in a process that gevent has patched, from greenlets; `commit` then has to leave the loop
    running by itself.
    """

    def __init__(
        self,
        commit: Commit[T],
        monotonic: Callable[[], float],
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        wait_s: float = WAIT_S,
    ) -> None:
        self._commit, self._monotonic = commit, monotonic
        self._max_batch, self._max_waiting, self._wait_s = max_batch, max_waiting, wait_s
        self._lock = threading.Lock()
        self._queue: deque[_Batch[T]] = deque()  # gathering; what is being written has left it
        self.waiting = 0  # writers not yet answered, those of a transaction that is being written included
        self._writing: _Batch[T] | None = None
        self._begun_at = 0.0
        self._running = False

    def __call__(self, item: T, now: datetime) -> Verdict:
        """Write one row together with whoever waits; returns after the COMMIT that holds it.

        Raises Unavailable: the database is away (nothing stored), too many wait (nothing stored), or it took longer
        than `wait_s` (its message says whether the row may have been stored). `now` is the moment of the request.
        """
        batch, place = self._join(item, now)
        if not batch.done.wait(self._wait_s) and not batch.done.is_set():
            self._leave(batch)
        outcome = batch.outcomes[place]
        if isinstance(outcome, Unavailable):  # the whole batch's: each caller raises one of its own
            raise Unavailable(outcome.message, retry_after_s=outcome.retry_after_s) from outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _join(self, item: T, now: datetime) -> tuple[_Batch[T], int]:
        with self._lock:
            self._refuse_if_late_or_full()
            if not self._queue or len(self._queue[-1].items) >= self._max_batch:
                self._queue.append(_Batch(now))
            batch = self._queue[-1]
            batch.items.append(item)
            batch.now = max(batch.now, now)
            self.waiting += 1
            start, self._running = not self._running, True
            place = len(batch.items) - 1
        if start:
            threading.Thread(target=self._run, name="group-commit", daemon=True).start()
        return batch, place

    def _refuse_if_late_or_full(self) -> None:
        if self._writing is not None and self._monotonic() - self._begun_at > self._wait_s:
            raise Unavailable("the database does not answer; nothing was stored")
        if self.waiting >= self._max_waiting:
            raise Unavailable(f"{self._max_waiting:,} requests wait for the database already; nothing was stored")

    def _leave(self, batch: _Batch[T]) -> None:
        """Give the batch up: unless it was begun, it never will be. Raises Unavailable unless it ended meanwhile."""
        with self._lock:
            if batch.done.is_set():
                return
            if batch in self._queue:
                self._queue.remove(batch)
                self._end(batch, [Unavailable("the database is too slow; nothing was stored")] * len(batch.items))
                return
        raise Unavailable(
            "the database is too slow; the row may be stored or not: retry under an Idempotency-Key, or with a "
            "timestamp of its own"
        )

    def _run(self) -> None:
        """Write batch after batch until nobody waits."""
        while (batch := self._take()) is not None:
            outcomes = self._write(batch)
            with self._lock:
                self._writing = None
                self._end(batch, outcomes)

    def _take(self) -> _Batch[T] | None:
        with self._lock:
            if not self._queue:
                self._running = False
                return None
            batch = self._writing = self._queue.popleft()
            self._begun_at = self._monotonic()
            return batch

    def _end(self, batch: _Batch[T], outcomes: list[Verdict | BaseException]) -> None:
        batch.outcomes = outcomes
        self.waiting -= len(batch.items)
        batch.done.set()

    def _write(self, batch: _Batch[T]) -> list[Verdict | BaseException]:
        try:
            return list(self._commit(batch.items, batch.now))
        except Unavailable as away:
            return [away] * len(batch.items)
        except BaseException as error:  # noqa: BLE001  # its caller gets it
            if len(batch.items) == 1:
                return [error]
        return [self._write_alone(item, batch.now) for item in batch.items]  # one row's fault is that row's alone

    def _write_alone(self, item: T, now: datetime) -> Verdict | BaseException:
        try:
            return self._commit([item], now)[0]
        except BaseException as error:  # noqa: BLE001  # its caller gets it
            return error

