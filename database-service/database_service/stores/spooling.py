"""A database with a spool before it: while it is away, signals go on being stored, durably and readably.

Once something waits in the spool everything new goes behind it, so each process's signals reach the database in the
order in which they were acknowledged.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import orjson

from database_service.audit import Head, Verified
from database_service.batches import Batch
from database_service.idempotency import Verdict
from database_service.performance import TradeFilter, TradeLine, TradeSubmission
from database_service.signals import Cursor, Page, SignalFilter, Submission
from database_service.storage import Counts, Source
from database_service.stores.spool import Spool, Spooled
from database_service.stores.sql import SqlStore
from database_service.user_settings import SavedSettings
from shared.clock import Clock
from shared.errors import FleetError, Unavailable

PORTION = 1000  # signals drained in one transaction
EVERY_S = 0.5


class SpoolingStore:
    """See `storage.Store`. Trades, batches and settings need the database itself; signals don't."""

    durable = True

    def __init__(self, database: SqlStore, spool: Spool, clock: Clock):
        self._database, self._spool, self._clock = database, spool, clock

    @property
    def source(self) -> Source:
        """See `Store.source`."""
        return "database+spool" if self._spool.length else "database"

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        if self._spool.length:
            return self._spool.append(submissions, now, Unavailable("the database is away"))
        try:
            verdicts = self._database.append(submissions, now)
        except Unavailable as away:
            return self._spool.append(submissions, now, away)
        self._spool.remember(submissions, verdicts)
        return verdicts

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        waiting = self._spool.get(signal_id) if self._spool.length else None
        return waiting or self._database.get(signal_id)

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`. While the database is away, only what waits is known."""
        if not self._spool.length:
            return self._database.history(wanted, limit, after)
        found = self._spool.newest(wanted, limit + 1, after)
        with suppress(Unavailable):
            found += _without(found, self._database.newest(wanted, limit + 1, after))
            found.sort(key=lambda one: one[0], reverse=True)
        return Page([document for _, document in found[:limit]], found[limit - 1][0] if len(found) > limit else None)

    def probe(self) -> None:
        """See `Store.probe`: the database itself."""
        self._database.probe()

    def counts(self) -> Counts:
        """See `Store.counts`."""
        counts = self._database.counts()
        return Counts(counts.signals + self._spool.length, counts.performance)

    def close(self) -> None:
        """See `Store.close`."""
        self._spool.close()
        self._database.close()

    # --- what needs the database itself

    def append_batch(self, batch: Batch, now: datetime) -> str:
        """See `Store.append_batch`."""
        self._require_empty()
        return self._database.append_batch(batch, now)

    def verify(self, start: int, limit: int) -> tuple[Verified, Head]:
        """See `audit.Chained`."""
        return self._database.verify(start, limit)

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """See `TradeStore.track`."""
        return self._database.track(submissions, now)

    def trades(self, wanted: TradeFilter) -> Iterator[TradeLine]:
        """See `TradeStore.trades`."""
        return self._database.trades(wanted)

    def settings(self, user: str) -> SavedSettings | None:
        """See `SettingsStore.settings`."""
        return self._database.settings(user)

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """See `SettingsStore.save_settings`."""
        return self._database.save_settings(user, read, document, now)

    def _require_empty(self) -> None:
        # A batch may repeat what waits; judged without it, that would be stored twice.
        if self._spool.length:
            raise Unavailable("the database is away, or what it missed is still being moved there; nothing was stored")

    # --- draining

    def drain(self) -> bool:
        """Move the oldest signals that wait to the database; True if more may be there. Raises Unavailable."""
        if not self._spool.length:
            self._spool.keep_keys()
            return False
        rows = self._spool.oldest(PORTION)
        verdicts = self._submit(rows)
        refused = [(row, why) for row, verdict in zip(rows, verdicts, strict=True) if (why := _conflict(row, verdict))]
        self._spool.done(rows, refused)
        return True

    def _submit(self, rows: Sequence[Spooled]) -> list[Verdict]:
        try:
            return self._database.append([row.submission for row in rows], self._clock.now())
        except Unavailable:
            raise
        except FleetError as error:
            if len(rows) == 1:
                return [Verdict("refused", error=error)]
        return [verdict for row in rows for verdict in self._submit([row])]

    @property
    def waiting(self) -> int:
        """How many signals wait in the spool."""
        return self._spool.length

    def state(self) -> dict[str, str] | None:
        """For health: whether the database is there, and what waits. Raises Unavailable if the spool can't help."""
        try:
            self._database.probe()
            reason = "the database is back"
        except Unavailable as away:
            if not self._spool.prepared:
                raise
            reason = away.message
            return {"status": "degraded", "detail": f"{reason}; {self._describe()}"}
        return {"status": "degraded", "detail": f"{reason}; {self._describe()}"} if self._spool.length else None

    def _describe(self) -> str:
        return f"{self._spool.length} signals wait in the local spool, the oldest for {self._spool.age_s():.0f} s"

    def conflicts(self) -> list[dict[str, Any]]:
        """The signals that the database could not take as they were acknowledged, newest first."""
        return [{**row, "document": orjson.Fragment(row["document"])} for row in self._spool.conflicts()]


def _without(waiting: list[tuple[Cursor, str]], stored: list[tuple[Cursor, str]]) -> list[tuple[Cursor, str]]:
    """Of `stored` what doesn't wait as well: for a moment a drained signal is in both places."""
    known = {document for _, document in waiting}
    return [one for one in stored if one[1] not in known]


def _conflict(row: Spooled, verdict: Verdict) -> str | None:
    """Why the database did not take a signal as it was acknowledged; None if it did, or had it already."""
    if verdict.error is not None:
        return verdict.error.message
    if verdict.id != row.submission.signal.signal_id:
        return f"another process answered the same Idempotency-Key with {verdict.id}"
    return None


class Drainer:
    """A thread that moves what waits as soon as it can. `read` and `write` run calls that would hold up others."""

    def __init__(
        self,
        store: SpoolingStore,
        read: Callable[[Callable[[], None]], None],
        write: Callable[[Callable[[], bool]], bool],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._store, self._read, self._write, self._log = store, read, write, log
        self._stopped = threading.Event()

    def start(self) -> None:
        """From now on."""
        threading.Thread(target=self._watch, name="spool-drainer", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            with suppress(Unavailable):
                self._move()

    def _move(self) -> None:
        waited = self._store.waiting
        if waited:
            self._read(self._store.probe)  # else the writer would wait for connections that nobody accepts
        while self._write(self._store.drain) and not self._stopped.is_set():
            pass
        if waited and not self._store.waiting:
            self._log.info("what waited in the local spool is in the database")
