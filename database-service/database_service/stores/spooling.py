"""A database with a spool before it: while it is away, hangs or is too slow, signals and trades go on being stored.

Once something waits in the spool everything new goes behind it, so each process's signals reach the database in the
order in which they were acknowledged. A write that the database may have committed although it gave no answer goes
into the spool as well: its ids and keys show while draining that it is there already.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain, groupby
from typing import Any

import orjson

from database_service.audit import Head, Verified
from database_service.batches import Batch
from database_service.idempotency import Verdict
from database_service.performance import TradeFilter, TradeLine, Trades, TradeSubmission
from database_service.signals import Cursor, Page, Portion, SignalFilter, Submission
from database_service.storage import Counts, Source
from database_service.stores.spool import Spool
from database_service.stores.sql import SqlStore
from database_service.user_settings import SavedSettings
from shared.errors import Unavailable

NamedTrade = tuple[str, TradeLine]


class SpoolingStore:
    """See `storage.Store`. Settings need the database itself: without it nobody knows which version is the newest."""

    durable = True

    def __init__(self, database: SqlStore, spool: Spool):
        self._database, self._spool = database, spool

    @property
    def spooled(self) -> tuple[int, float]:
        """How many rows wait in the spool, and for how many seconds something has."""
        return sum(self._spool.rows), self._spool.age_s()

    @property
    def source(self) -> Source:
        """See `Store.source`."""
        return "database+spool" if self._spool.waiting or self._database.known_away else "database"

    @property
    def _in_front(self) -> SqlStore:
        """The database, if nothing waits. Raises Unavailable."""
        if self._spool.waiting:
            raise Unavailable("the database is away, or what it missed is still being moved there")
        return self._database

    @property
    def _outage(self) -> bool:
        """After a failed query: may what waits be answered in its stead?

        Not where the database is there and nothing waits: this one query took too long, and "nothing" would be untrue.
        """
        return self._spool.prepared and (self._spool.waiting or self._database.known_away)

    # --- writing

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        try:
            verdicts = self._in_front.append(submissions, now)
        except Unavailable as away:
            return self._spool.append(submissions, now, away)
        self._note_keys(submissions, verdicts)
        return verdicts

    def append_batch(self, batch: Batch, now: datetime) -> str:
        """See `Store.append_batch`."""
        try:
            answer = self._in_front.append_batch(batch, now)
        except Unavailable as away:
            return self._spool.append_batch(batch, now, away)
        self._spool.note_key(batch.key, answer)
        return answer

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """See `TradeStore.track`."""
        try:
            verdicts = self._in_front.track(submissions, now)
        except Unavailable as away:
            return self._spool.track(submissions, now, away)
        self._note_keys(submissions, verdicts)
        return verdicts

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """See `SettingsStore.save_settings`."""
        return self._database.save_settings(user, read, document, now)

    def _note_keys(self, submissions: Sequence[Submission | TradeSubmission], verdicts: Sequence[Verdict]) -> None:
        for submission, verdict in zip(submissions, verdicts, strict=True):
            if verdict.error is None:
                self._spool.note_key(submission.key, verdict.id)

    # --- reading. The spool is asked first: what is moved in between is found twice, never missed

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        waiting = self._spool.get(signal_id) if self._spool.waiting else None
        return waiting or self._database.get(signal_id)

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`. While the database is away, only what waits is known."""
        passed = self._spool.passed(after)
        if not passed and not self._spool.waiting and not self._database.known_away:
            try:
                return self._database.history(wanted, limit, after)
            except Unavailable:
                if not self._outage:
                    raise
        found = self._spool.newest(wanted, limit + 1, after) if self._spool.waiting else []
        try:
            stored = self._database.newest(wanted, limit + 1 + len(passed), after)
            found += _without(found, _unpassed(stored, after, passed))
            complete = True
        except Unavailable:
            if not self._outage:
                raise
            complete = False
        found.sort(key=lambda one: one[0], reverse=True)
        following = found[limit - 1][0] if len(found) > limit else None
        return Page([document for _, document in found[:limit]], following, complete)

    def portion(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Portion:
        """See `SignalStore.portion`."""
        if not self._spool.passed(after) and not self._spool.waiting and not self._database.known_away:
            try:
                return self._database.portion(wanted, limit, after)
            except Unavailable:
                if not self._outage:
                    raise
        return Portion.of(self.history, wanted, limit, after)

    def trades(self, wanted: TradeFilter) -> Trades:
        """See `TradeStore.trades`. While the database is away, only what waits is known."""
        waiting = _begun(self._spool.named_trades(wanted)) if self._spool.waiting else ()
        try:
            stored = _begun(self._database.named_trades(wanted))
        except Unavailable:
            if not self._outage:
                raise
            return Trades((line for _, line in waiting), complete=False)
        return Trades(_merged(stored, waiting))

    def settings(self, user: str) -> SavedSettings | None:
        """See `SettingsStore.settings`."""
        return self._database.settings(user)

    def verify(self, start: int, limit: int) -> tuple[Verified, Head]:
        """See `audit.Chained`: the database's own chain; what waits is not in it yet."""
        return self._database.verify(start, limit)

    def conflicts(self) -> list[dict[str, Any]]:
        """What the database could not take as it was acknowledged, newest first."""
        return [_conflict(row) for row in self._spool.conflicts()]

    # --- life

    def probe(self) -> None:
        """See `Store.probe`: the database itself."""
        self._database.probe()

    def counts(self) -> Counts:
        """See `Store.counts`."""
        stored, waiting = self._database.counts(), self._spool.rows
        return Counts(stored.signals + waiting.signals, stored.performance + waiting.performance)

    def state(self) -> dict[str, Any] | None:
        """For health: whether the database is there, and what waits. Raises Unavailable if the spool can't help."""
        try:
            self._database.probe()
            reason = "the database is back" if self._spool.waiting else ""
        except Unavailable as away:
            if not self._spool.prepared:
                raise
            reason = away.message
        if not self._spool.prepared:
            return {"status": "degraded", "detail": f"no local spool would help in an outage: {self._spool.why_not}"}
        return self._describe(reason) if reason else None

    def close(self) -> None:
        """See `Store.close`."""
        with suppress(Unavailable):  # its disk is full: the keys of the last half second are not written down
            self._spool.close()
        self._database.close()

    def _describe(self, reason: str) -> dict[str, Any]:
        rows, age_s = self._spool.rows, self._spool.age_s()
        what = f"{rows.signals} signals and {rows.performance} trades wait in the local spool"
        return {
            "status": "degraded",
            "detail": f"{reason}; {what}, which was last empty {age_s:.0f} s ago",
            "spool_rows": sum(rows),
            "spool_age_s": round(age_s, 1),
        }


def _without(waiting: list[tuple[Cursor, str]], stored: list[tuple[Cursor, str]]) -> list[tuple[Cursor, str]]:
    """Of `stored` what doesn't wait as well: for a moment a drained signal is in both places."""
    known = {document for _, document in waiting}
    return [one for one in stored if one[1] not in known]


def _unpassed(
    stored: list[tuple[Cursor, str]], after: Cursor | None, passed: set[str]
) -> list[tuple[Cursor, str]]:
    """Of `stored` what earlier pages didn't hold when it still waited: its number was a higher one then."""
    if after is None or not passed:
        return stored
    return [
        (place, document)
        for place, document in stored
        if place.timestamp != after.timestamp or orjson.loads(document)["signal_id"] not in passed
    ]


def _begun(trades: Iterator[NamedTrade]) -> Iterable[NamedTrade]:
    """The same, its first row read: from here on it is one snapshot. Raises Unavailable."""
    return chain([first], trades) if (first := next(trades, None)) is not None else ()


def _merged(stored: Iterable[NamedTrade], waiting: Iterable[NamedTrade]) -> Iterator[TradeLine]:
    """Both in the order of closing, once each."""
    both = heapq.merge(stored, waiting, key=_closed_at)
    for _, at_once in groupby(both, key=_closed_at):
        yield from dict(at_once).values()


def _closed_at(trade: NamedTrade) -> datetime:
    return trade[1].closed_at


def _conflict(row: dict[str, str]) -> dict[str, Any]:
    document = orjson.loads(row["document"])
    name = "performance_id" if "performance_id" in document else "signal_id"
    return {name: row["id"], "reason": row["reason"], "found_at": row["found_at"], "document": document}
