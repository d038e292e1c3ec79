"""Draining a spool: what waits reaches the database in the order in which it was acknowledged, once each.

A row leaves the spool after the database has it, so a crash between the two finds it in both, and its id shows that it
is the same. Keys go ahead of the rows that were stored under them: where another process answered the same key
meanwhile its row counts, and ours is a conflict.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from database_service import batches, performance
from database_service.idempotency import KeptAnswer, KeyName
from database_service.stores import schema
from database_service.stores.spool import Spool
from database_service.stores.sql import SqlStore
from database_service.stores.waiting import Moved, Refused, WaitingSignal, WaitingTrade
from shared.clock import Clock
from shared.errors import FleetError, Unavailable

PORTION = 2000  # rows or keys drained in one transaction: some 0.1 s in which no other process writes
LAST = 1000  # rows that may be moved while the writers wait
LEAST = 50  # of them, where the database is too slow for more
QUICK_S = 0.5  # a step that is no longer may hold up the writers once
EVERY_S = 0.5
Row = TypeVar("Row", WaitingSignal, WaitingTrade)


class Drain:
    """Moves what waits in `spool` to `database`. Only one thread at a time calls `step`."""

    def __init__(self, database: SqlStore, spool: Spool, clock: Clock):
        self._database, self._spool, self._clock = database, spool, clock
        self._portion = PORTION
        self._quick = False

    @property
    def waiting(self) -> bool:
        """True if anything waits."""
        return self._spool.waiting

    @property
    def nearly_done(self) -> bool:
        """True if one step, and a quick one, may move all: where nobody adds during it, nothing waits any more."""
        return self._quick and sum(self._spool.rows) <= min(LAST, self._portion)

    def step(self) -> None:
        """Move the oldest portion. Raises Unavailable: what was not moved goes on waiting."""
        begun, self._quick = self._clock.monotonic(), False
        try:
            self._move()
        except Unavailable:
            self._portion = max(LEAST, self._portion // 2)
            raise
        self._portion = min(PORTION, self._portion * 2)
        self._quick = self._clock.monotonic() - begun < QUICK_S

    def _move(self) -> None:
        upto = self._spool.upto()
        keys, more = self._spool.oldest_keys(self._portion)
        self._take_keys({key.name: key.answer for key in keys})
        last_key = keys[-1].number if keys else 0
        if more:
            self._spool.done(Moved(last_key))  # the oldest rows' own keys may be among them
            return
        signals = self._spool.oldest_signals(self._portion, upto.signal)
        trades = self._spool.oldest_trades(self._portion, upto.trade)
        refused = _by_halves(signals, self._append) + _by_halves(trades, self._track)
        self._spool.done(Moved(last_key, [s.waiting for s in signals], [t.waiting for t in trades], refused))

    def _append(self, rows: Sequence[WaitingSignal]) -> list[Refused]:
        verdicts = self._database.append([one.row for one in rows], self._clock.now())
        return [
            Refused(one.waiting, verdict.error.message)
            for one, verdict in zip(rows, verdicts, strict=True)
            if verdict.error is not None
        ]

    def _track(self, rows: Sequence[WaitingTrade]) -> list[Refused]:
        self._database.track_again([one.row for one in rows])
        return []

    def _take_keys(self, answers: dict[KeyName, KeptAnswer]) -> None:
        if answers:
            for name, other in self._database.take_keys(answers, self._clock.now()).items():
                self._refuse(name, answers[name], other)

    def _refuse(self, name: KeyName, ours: KeptAnswer, other: KeptAnswer) -> None:
        trades = name.route == performance.ROUTE
        theirs = _ids(name, other)
        rows = self._spool.named(schema.performance if trades else schema.signals, sorted(_ids(name, ours) - theirs))
        what = next(iter(theirs)) if len(theirs) == 1 else "another answer"
        reason = f"another process answered the same Idempotency-Key with {what}"
        refused = [Refused(row, reason) for row in rows]
        self._spool.done(Moved(trades=rows, refused=refused) if trades else Moved(signals=rows, refused=refused))


def _ids(name: KeyName, answer: KeptAnswer) -> set[str]:
    """The signals or the trade that an answer speaks of."""
    return batches.ids_of(answer.answer) if name.route == batches.ROUTE else {answer.answer}


def _by_halves(rows: Sequence[Row], submit: Callable[[Sequence[Row]], list[Refused]]) -> list[Refused]:
    """`submit` all together; where the database refuses the whole for one row's sake, it is found by halving."""
    if not rows:
        return []
    try:
        return submit(rows)
    except Unavailable:
        raise
    except FleetError as error:
        if len(rows) == 1:
            return [Refused(rows[0].waiting, error.message)]
    half = len(rows) // 2
    return _by_halves(rows[:half], submit) + _by_halves(rows[half:], submit)


class Drainer:
    """A thread that drains as soon as it can.

    `aside` and `write` run calls that would hold up others: in a thread of their own, and where writes run.
    """

    def __init__(
        self,
        drain: Drain,
        spool: Spool,
        probe: Callable[[], None],
        aside: Callable[..., None],
        write: Callable[..., None],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._drain, self._spool, self._probe = drain, spool, probe
        self._aside, self._write, self._log = aside, write, log
        self._stopped = threading.Event()

    def start(self) -> None:
        """From now on."""
        threading.Thread(target=self._watch, name="spool-drainer", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                self._look()
            except Exception:  # noqa: BLE001  # whatever it is, what waits goes on waiting
                self._log.exception("what waits in the local spool could not be moved; trying again")

    def _look(self) -> None:
        if not self._drain.waiting:
            with suppress(Unavailable):
                self._aside(self._spool.write_down_keys)
            return
        with suppress(Unavailable):
            self._aside(self._probe)
            while self._drain.waiting and not self._stopped.is_set():
                # Aside it never holds up a writer, but while they go on it never ends: so the last step is theirs.
                (self._write if self._drain.nearly_done else self._aside)(self._drain.step)
            if not self._stopped.is_set():
                self._log.info("what waited in the local spool is in the database")
