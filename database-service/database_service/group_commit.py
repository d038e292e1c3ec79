"""Group commit: writers that wait at the same moment share one transaction, and each is answered after its COMMIT.

A commit waits for the disk, and the disk takes a hundred rows as fast as one. While one transaction is written the next
one gathers; nobody waits for a timer. The plain way, one transaction a writer, gives the same answers.

Two threads work as long as there is work, and linger (greenlets in a process that gevent has patched): one writes, the
other answers. Answering a batch takes as long as writing one, so the next transaction must not wait for it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from database_service.idempotency import Verdict
from shared.errors import Unavailable
from shared.later import Later

MAX_BATCH = 256  # rows in one transaction: past that the throughput no longer grows, only the wait of the first one
MAX_WAITING = 4096  # writers; more are told to come back
WAIT_S = 8.0  # the longest that a writer waits, whatever the database does; a hung one does nothing for ever
LOOKS = 8  # at the clock in that time
LINGER_S = 10.0  # starting a thread takes longer than writing a row
NOT_STORED = "the database is too slow; nothing was stored"
UNSURE = (
    "the database is too slow; the row may be stored or not: retry under an Idempotency-Key, or with a timestamp of "
    "its own"
)

T = TypeVar("T")
Commit = Callable[[list[T], datetime], list[Verdict]]
Outcomes = Sequence[Verdict | BaseException]


class _Waiter(NamedTuple, Generic[T]):
    """A row, when it was asked for by both clocks, and who waits for it."""

    item: T
    now: datetime
    asked_at: float
    answer: Later[Verdict]


class GroupCommit(Generic[T]):
    """`commit(rows, now)` writes a list in one transaction and blocks; it is called by one thread at a time.

    In a process that gevent has patched, `commit` has to leave the loop running by itself.
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
        self._queue: deque[_Waiter[T]] = deque()  # gathering; what is being written has left it
        self._written: deque[tuple[list[_Waiter[T]], Outcomes]] = deque()  # to be answered
        self._work = threading.Event()  # for who writes
        self._news = threading.Event()  # for who answers
        self._writing: list[_Waiter[T]] = []
        self._begun_at = 0.0
        self._given_up = False  # what is being written was answered already
        self._writer_runs = self._answerer_runs = False

    @property
    def waiting(self) -> int:
        """Writers not yet answered, those of a transaction that is being written included."""
        written = sum(len(batch) for batch, _ in tuple(self._written))
        return len(self._queue) + written + (0 if self._given_up else len(self._writing))

    def __call__(self, item: T, now: datetime) -> Later[Verdict]:
        """Write one row together with whoever waits; the verdict comes after the COMMIT that holds it.

        Raises Unavailable, or it is the outcome: the database is away (nothing stored), too many wait (nothing
        stored), or it took longer than `wait_s` (its message says whether the row may have been stored). `now` is the
        moment of the request.
        """
        if self._writing and self.late:
            raise Unavailable("the database does not answer; nothing was stored")
        if len(self._queue) + len(self._writing) >= self._max_waiting:
            raise Unavailable(f"{self._max_waiting:,} requests wait for the database already; nothing was stored")
        answer: Later[Verdict] = Later()
        # Without a lock: a deque takes it in one step.
        self._queue.append(_Waiter(item, now, self._monotonic(), answer))
        if not self._work.is_set():
            self._work.set()
        if not (self._writer_runs and self._answerer_runs):
            self._start()
        return answer

    def _start(self) -> None:
        with self._lock:
            write, self._writer_runs = not self._writer_runs, True
            answers, self._answerer_runs = not self._answerer_runs, True
        if write:
            threading.Thread(target=self._write_all, name="group-commit", daemon=True).start()
        if answers:
            threading.Thread(target=self._answer_all, name="group-answers", daemon=True).start()

    @property
    def late(self) -> bool:
        """True while a transaction is being written that takes longer than anybody waits."""
        return bool(self._writing) and self._monotonic() - self._begun_at > self._wait_s

    # --- writing

    def _write_all(self) -> None:
        """Write batch after batch until nobody has come for a while."""
        while self._work.wait(LINGER_S) or not self._may_end():
            while batch := self._take():
                outcomes = self._write(batch)
                with self._lock:
                    if not self._given_up:
                        self._written.append((batch, outcomes))
                    self._writing, self._given_up = [], False
                self._news.set()

    def _take(self) -> list[_Waiter[T]]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
            if batch:
                self._begun_at = self._monotonic()
                self._writing = batch
                return batch
            self._work.clear()
        if self._queue:  # one came between the look and the clearing
            self._work.set()
        return batch

    def _may_end(self) -> bool:
        with self._lock:
            self._writer_runs = False
            if self._queue:  # it came when we still ran, so nobody else was started
                self._writer_runs = True
            return not self._writer_runs

    def _write(self, batch: list[_Waiter[T]]) -> Outcomes:
        items, now = [waiter.item for waiter in batch], max(waiter.now for waiter in batch)
        try:
            return self._commit(items, now)
        except Unavailable as away:  # each of its own: a traceback grows on an error that many raise
            return [Unavailable(away.message, retry_after_s=away.retry_after_s) for _ in items]
        except BaseException as error:  # noqa: BLE001  # its caller gets it
            if len(items) == 1:
                return [error]
        return [self._write_alone(item, now) for item in items]  # one row's fault is that row's alone

    def _write_alone(self, item: T, now: datetime) -> Verdict | BaseException:
        try:
            return self._commit([item], now)[0]
        except BaseException as error:  # noqa: BLE001  # its caller gets it
            return error

    # --- answering

    def _answer_all(self) -> None:
        """Answer what is written, and give up what takes too long, until nothing is left."""
        while True:
            self._news.wait(self._wait_s / LOOKS)
            with self._lock:
                self._news.clear()
                written = list(self._written)
                written += self._give_up()
                if not written and not self._writer_runs:
                    self._answerer_runs = False
                    return
            for batch, outcomes in written:
                for waiter, outcome in zip(batch, outcomes, strict=True):
                    _answer(waiter, outcome)
                if self._written and self._written[0][0] is batch:
                    self._written.popleft()

    def _give_up(self) -> list[tuple[list[_Waiter[T]], Outcomes]]:
        """Who has waited too long: what is being written may be stored or not, what is behind it will not be begun."""
        longest = self._monotonic() - self._wait_s
        given_up: list[tuple[list[_Waiter[T]], str]] = []
        if self.late and not self._given_up:
            self._given_up = True
            given_up.append((self._writing, UNSURE))
        behind: list[_Waiter[T]] = []
        while self._queue and (self.late or self._queue[0].asked_at < longest):
            behind.append(self._queue.popleft())
        given_up.append((behind, NOT_STORED))
        return [(batch, [Unavailable(message) for _ in batch]) for batch, message in given_up if batch]


def _answer(waiter: _Waiter[T], outcome: Verdict | BaseException) -> None:
    """Whatever a receiver does, the others are answered, too."""
    try:
        waiter.answer.resolve(outcome)
    except Exception:
        logging.getLogger(__name__).exception("an answer could not be given")
