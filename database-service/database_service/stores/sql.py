"""Everything in a SQL database: what SQLite and PostgreSQL have in common.

Each write is one transaction that holds the rows and their idempotency keys.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from database_service.admission import MAX_AT_PLACE, Admission, names_asked, neighbours
from database_service.audit import Head, Verified
from database_service.batches import Batch
from database_service.idempotency import KEEP, PURGE_EVERY, KeptAnswer, KeyName, Verdict, answer_again
from database_service.performance import StoredTrade, TradeFilter, TradeLine, Trades, TradeSubmission
from database_service.retention import Aged
from database_service.signals import Content, Cursor, Page, Portion, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts
from database_service.stores.chain import verify_stretch
from database_service.stores.expiry import expire
from database_service.stores.history import newest, portion
from database_service.stores.schema import HEAD, idempotency_keys, performance, signal_names, signals
from database_service.stores.settings import read_settings, write_settings
from database_service.stores.statements import PlainStatements, Statements
from database_service.stores.trades import add_missing_trades, add_trades, read_trades
from database_service.user_settings import SavedSettings
from shared.clock import Clock
from shared.errors import Unavailable
from shared.sql.connections import PROBE_S, Connections

# Two look-ups, for TimescaleDB's sake as in `documents`. Built once: building them costs twice what running them does.
PLACE_OF = sa.select(signal_names.c.id, signal_names.c.timestamp).where(
    signal_names.c.signal_id == sa.bindparam("name")
)
DOCUMENT_AT = sa.select(signals.c.document).where(
    signals.c.id == sa.bindparam("number"), signals.c.timestamp == sa.bindparam("moment")
)
# In a range of ids; twice the bound, since the last batch that came in may have gone over it.
BETWEEN = (
    sa.select(signal_names.c.signal_id, signal_names.c.timestamp, signal_names.c.digest)
    .where(signal_names.c.signal_id >= sa.bindparam("first"), signal_names.c.signal_id < sa.bindparam("end"))
    .limit(2 * MAX_AT_PLACE)
)
Append = Callable[[Sequence[Submission], datetime], list[Verdict]]
COUNT_EVERY_S = 60.0  # between counts by the database; in between, this process's own rows are added


class SqlStore:
    """A store in a SQL database. `prepare` comes first; until it succeeded, every call raises Unavailable."""

    durable = True
    source: Literal["database"] = "database"

    def __init__(self, connections: Connections, clock: Clock, statements: Statements | None = None):
        self._connections, self._clock = connections, clock
        self._statements = statements or PlainStatements()
        self._reading, self._transact = connections.reading, connections.transact
        self._counts, self._counted_at = Counts(0, 0), float("-inf")
        self._purged_at: datetime | None = None
        self.append_with: Append = self.append_here  # a service may put a writer process (`Apart.append`) here

    # --- life

    @property
    def known_away(self) -> bool:
        """True if the last call found no database."""
        return self._connections.known_away

    @property
    def prepared(self) -> bool:
        """True when the schema is known to be the newest."""
        return self._connections.why_not is None

    def prepare(self) -> bool:
        """Look whether the schema is the newest; False if the migrations must run first. Raises Unavailable."""
        if self._connections.require_version(HEAD):
            self.probe()
        return self.prepared

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def counts(self) -> Counts:
        """See `Store.counts`."""
        return self._counts

    def probe(self) -> None:
        """See `Store.probe`. Counts anew once a minute, else only asks whether anybody is there.

        After a write failed it writes, since a full disk can still be read.
        """
        if self._connections.write_failed:
            self._transact(lambda link: link.execute(sa.text("UPDATE alembic_version SET version_num = version_num")))
        with self._reading(PROBE_S) as link:
            link.execute(sa.select(1))
        if self._clock.monotonic() - self._counted_at >= COUNT_EVERY_S:
            with suppress(Unavailable):  # so many rows that counting takes too long: the number stays as it was
                self._count()

    def _count(self) -> None:
        self._counted_at = self._clock.monotonic()
        with self._reading() as link:
            counts = [link.scalar(sa.select(sa.func.count()).select_from(table)) for table in (signals, performance)]
        self._counts = Counts(counts[0] or 0, counts[1] or 0)

    # --- signals

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        return self.append_with(submissions, now)

    def append_here(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """`append` by this process."""
        admission = self._transact(lambda link: self._append(link, submissions, now), alone=True)
        self._counts = Counts(self._counts.signals + len(admission.signals), self._counts.performance)
        return admission.verdicts

    def append_by(self, append: Append, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """`append` as someone else does it (a writer process), counted and remembered as if it was done here."""
        try:
            verdicts = self._connections.noting(lambda: append(submissions, now))
        except Unavailable:
            with suppress(Unavailable):  # what the writer saw, it alone knows: is the database gone, or not ours?
                self._connections.require_version(HEAD)
            raise
        stored = sum(verdict.status == "stored" for verdict in verdicts)
        self._counts = Counts(self._counts.signals + stored, self._counts.performance)
        return verdicts

    def _append(self, link: sa.Connection, submissions: Sequence[Submission], now: datetime) -> Admission:
        keys = {s.key.name for s in submissions if s.key is not None}
        names = names_asked(submissions)
        known = self._statements.look_up(link, keys, names)
        beside, crowded = _beside(link, submissions, known.taken) if known.taken else ({}, ())
        admission = Admission(known.kept, known.taken, beside, crowded).add_all(submissions, names)
        self._write(link, known.head, admission.signals, list(admission.answers.items()), now)
        return admission

    def _write(
        self,
        link: sa.Connection,
        head: Head | None,
        new: Sequence[StoredSignal],
        answers: Sequence[tuple[KeyName, KeptAnswer]],
        now: datetime,
    ) -> None:
        """Write, and now and then forget the keys that are too old to matter."""
        self._statements.write(link, head, new, answers, now)
        if answers and (self._purged_at is None or now - self._purged_at > PURGE_EVERY):
            link.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP))
            self._purged_at = now

    def append_batch(self, batch: Batch, now: datetime) -> str:
        """See `Store.append_batch`."""
        answer, stored = self._transact(
            lambda link: self._append_batch(link, batch, now), alone=True, rows=len(batch.rows)
        )
        self._counts = Counts(self._counts.signals + stored, self._counts.performance)
        return answer

    def _append_batch(self, link: sa.Connection, batch: Batch, now: datetime) -> tuple[str, int]:
        if batch.key is not None and (known := self._statements.look_up(link, [batch.key.name], ()).kept):
            return answer_again(batch.key, known[batch.key.name]), 0
        admission = self._append(link, batch.submissions(), now)
        answer = batch.conclude(admission.verdicts)
        if batch.key is not None:
            self._write(link, None, (), [(batch.key.name, KeptAnswer(batch.key.body_hash, answer))], now)
        return answer, len(admission.signals)

    def take_keys(self, answers: Mapping[KeyName, KeptAnswer], now: datetime) -> dict[KeyName, KeptAnswer]:
        """Keep answers that were given elsewhere. Returns the other answers that the database had under such names."""

        def work(link: sa.Connection) -> dict[KeyName, KeptAnswer]:
            known = self._statements.look_up(link, answers, ()).kept
            self._write(link, None, (), [one for one in answers.items() if one[0] not in known], now)
            return known

        known = self._transact(work, alone=True)
        return {name: answer for name, answer in known.items() if answer != answers[name]}

    def verify(self, start: int, limit: int) -> tuple[Verified, Head]:
        """See `audit.Chained`."""
        with self._reading() as link:
            return verify_stretch(link, start, limit)

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        with self._reading() as link:
            place = link.execute(PLACE_OF, {"name": signal_id}).one_or_none()
            return place and link.scalar(DOCUMENT_AT, {"number": place.id, "moment": place.timestamp})

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`."""
        rows = newest(self._connections, wanted, limit + 1, after)
        return Page(rows.documents(limit), rows.cursor(limit - 1) if len(rows) > limit else None)

    def portion(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Portion:
        """See `SignalStore.portion`."""
        return portion(self._connections, wanted, limit, after)

    def newest(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> list[tuple[Cursor, str]]:
        """Signals with their places, newest first."""
        rows = newest(self._connections, wanted, limit, after)
        return [(rows.cursor(index), document) for index, document in enumerate(rows.documents(limit))]

    # --- performance

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """See `TradeStore.track`."""
        verdicts = self._transact(lambda link: self._track(link, submissions, now))
        new = sum(verdict.status == "stored" for verdict in verdicts)
        self._counts = Counts(self._counts.signals, self._counts.performance + new)
        return verdicts

    def _track(self, link: sa.Connection, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        known = self._statements.look_up(link, {s.key.name for s in submissions if s.key}, ()).kept
        verdicts, new = add_trades(link, submissions, known)
        self._write(link, None, (), list(new.items()), now)
        return verdicts

    def track_again(self, trades: Sequence[StoredTrade]) -> None:
        """Store trades under the ids that they have already; one that is there stays as it is."""
        new = self._transact(lambda link: add_missing_trades(link, trades), alone=True)
        self._counts = Counts(self._counts.signals, self._counts.performance + new)

    def trades(self, wanted: TradeFilter) -> Trades:
        """See `TradeStore.trades`; rows come in portions, so memory stays flat."""
        return Trades(line for _, line in self.named_trades(wanted))

    def named_trades(self, wanted: TradeFilter) -> Iterator[tuple[str, TradeLine]]:
        """As `trades`, with their ids."""
        with self._reading() as link:
            yield from read_trades(link, wanted)

    # --- retention

    def expire(self, table: Aged, before: datetime, limit: int, reason: str, now: datetime) -> int:
        """See `retention.Expirable`."""
        removed = self._transact(lambda link: expire(link, table, before, limit, reason, now))
        signals_gone = removed if table == "signals" else 0
        self._counts = Counts(self._counts.signals - signals_gone, self._counts.performance - (removed - signals_gone))
        return removed

    # --- settings

    def settings(self, user: str) -> SavedSettings | None:
        """See `SettingsStore.settings`."""
        with self._reading() as link:
            return read_settings(link, user)

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """See `SettingsStore.save_settings`."""
        return self._transact(lambda link: write_settings(link, user, read, document, now))


def _beside(
    link: sa.Connection, submissions: Sequence[Submission], taken: Mapping[str, str]
) -> tuple[dict[str, Content], Collection[str]]:
    """What stands at the `~n` of places that are taken: hardly ever anything does, but it may be thousands.

    And which places are crowded. Of those, clients' own ids `~…` may leave names unread; none of them is given out.
    """
    beside: dict[str, Content] = {}
    crowded: list[str] = []
    for place in {s.signal.place for s in submissions if s.signal.signal_id is None} & taken.keys():
        first, end = neighbours(place)
        rows = link.execute(BETWEEN, {"first": first, "end": end}).all()
        beside |= {signal_id: Content(digest, moment) for signal_id, moment, digest in rows}
        crowded += [place] if len(rows) >= MAX_AT_PLACE else []
    return beside, crowded
