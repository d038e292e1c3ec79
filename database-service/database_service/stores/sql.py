"""Everything in a SQL database: what SQLite and PostgreSQL have in common.

Each write is one transaction that holds the rows and their idempotency keys.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from database_service.admission import Admission, names_asked, neighbours
from database_service.audit import Head, Verified
from database_service.batches import Batch
from database_service.idempotency import KEEP, PURGE_EVERY, KeptAnswer, KeyName, Verdict, answer_again, replay
from database_service.performance import StoredTrade, TradeFilter, TradeLine, Trades, TradeSubmission
from database_service.retention import Aged
from database_service.signals import Cursor, Page, Portion, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts
from database_service.stores.chain import verify_stretch
from database_service.stores.connections import PROBE_S, Connections, LostRace, streamed
from database_service.stores.expiry import expire
from database_service.stores.history import newest, portion
from database_service.stores.schema import (
    HEAD,
    idempotency_keys,
    performance,
    signal_names,
    signals,
    user_settings,
)  # fmt: skip
from database_service.stores.statements import PlainStatements, Statements, chunks, documents
from database_service.user_settings import SavedSettings, next_version
from shared.clock import Clock
from shared.errors import Unavailable

# Two look-ups, for TimescaleDB's sake as in `documents`. Built once: building them costs twice what running them does.
PLACE_OF = sa.select(signal_names.c.id, signal_names.c.timestamp).where(
    signal_names.c.signal_id == sa.bindparam("name")
)
DOCUMENT_AT = sa.select(signals.c.document).where(
    signals.c.id == sa.bindparam("number"), signals.c.timestamp == sa.bindparam("moment")
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
        self._look_at_schema()
        if self.prepared:
            self.probe()
        return self.prepared

    def _look_at_schema(self) -> None:
        version = self._connections.schema_version()
        reason = f"the database is at migration {version}, not {HEAD}"
        self._connections.why_not = None if version == HEAD else reason

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
                self._look_at_schema()
            raise
        stored = sum(verdict.status == "stored" for verdict in verdicts)
        self._counts = Counts(self._counts.signals + stored, self._counts.performance)
        return verdicts

    def _append(self, link: sa.Connection, submissions: Sequence[Submission], now: datetime) -> Admission:
        keys = {s.key.name for s in submissions if s.key is not None}
        names = names_asked(submissions)
        known = self._statements.look_up(link, keys, names)
        taken = known.taken and known.taken | self._neighbours(link, submissions, known.taken)
        admission = Admission(known.kept, taken).add_all(submissions, names)
        self._write(link, known.head, admission.signals, list(admission.answers.items()), now)
        return admission

    def _neighbours(
        self, link: sa.Connection, submissions: Sequence[Submission], taken: Mapping[str, str]
    ) -> dict[str, str]:
        """What stands at the `~n` of places that are taken: hardly ever anything is."""
        name = signal_names.c.signal_id
        found: dict[str, str] = {}
        for place in {s.signal.place for s in submissions if s.signal.signal_id is None} & taken.keys():
            first, end = neighbours(place)
            found |= documents(link, sa.and_(name >= first, name < end))
        return found

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
        kept = self._statements.look_up(link, {s.key.name for s in submissions if s.key}, ()).kept
        verdicts, rows, new = [], [], {}
        for trade, key in ((s.trade, s.key) for s in submissions):
            if key is not None and (known := kept.get(key.name)) is not None:
                verdicts.append(replay(key, known))
                continue
            if key is not None:
                new[key.name] = kept[key.name] = KeptAnswer(key.body_hash, trade.performance_id)
            rows.append(_columns(performance, trade.stored()))
            verdicts.append(Verdict("stored", trade.performance_id))
        if rows:
            link.execute(sa.insert(performance), rows)
        self._write(link, None, (), list(new.items()), now)
        return verdicts

    def track_again(self, trades: Sequence[StoredTrade]) -> None:
        """Store trades under the ids that they have already; one that is there stays as it is."""

        def work(link: sa.Connection) -> int:
            name, there = performance.c.performance_id, set[str]()
            for names in chunks(trade.performance_id for trade in trades):
                there.update(link.scalars(sa.select(name).where(name.in_(names))))
            rows = [_columns(performance, trade) for trade in trades if trade.performance_id not in there]
            if rows:
                link.execute(sa.insert(performance), rows)
            return len(rows)

        new = self._transact(work, alone=True)
        self._counts = Counts(self._counts.signals, self._counts.performance + new)

    def trades(self, wanted: TradeFilter) -> Trades:
        """See `TradeStore.trades`; rows come in portions, so memory stays flat."""
        return Trades(line for _, line in self.named_trades(wanted))

    def named_trades(self, wanted: TradeFilter) -> Iterator[tuple[str, TradeLine]]:
        """As `trades`, with their ids."""
        t = performance.c
        conditions = [
            column == value
            for column, value in ((t.strategy, wanted.strategy), (t.symbol, wanted.symbol), (t.bot_id, wanted.bot_id))
            if value is not None
        ]
        conditions += [t.closed_at >= wanted.start] if wanted.start else []
        conditions += [t.closed_at < wanted.end] if wanted.end else []
        columns = (t.performance_id, t.closed_at, t.strategy, t.pnl)
        query = sa.select(*columns).where(*conditions).order_by(t.closed_at, t.id)
        with self._reading() as link:
            for row in streamed(link, query):
                yield row.performance_id, TradeLine(row.closed_at, row.strategy, row.pnl)

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
            return _settings_of(link, user)

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """See `SettingsStore.save_settings`."""
        return self._transact(lambda link: self._save_settings(link, user, read, document, now))

    def _save_settings(self, link: sa.Connection, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        saved = _settings_of(link, user)
        version = next_version(saved.version if saved else 0, read)
        values = {"version": version, "document": document, "saved_at": now}
        if saved is None:
            link.execute(sa.insert(user_settings).values(user_name=user, **values))
            return SavedSettings(version, document)
        change = sa.update(user_settings).where(user_settings.c.user_name == user, user_settings.c.version == read)
        if link.execute(change.values(**values)).rowcount != 1:
            raise LostRace
        return SavedSettings(version, document)


def _columns(table: sa.Table, row: StoredTrade) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in table.c if column.name != "id"}


def _settings_of(link: sa.Connection, user: str) -> SavedSettings | None:
    t = user_settings.c
    row = link.execute(sa.select(t.version, t.document).where(t.user_name == user)).one_or_none()
    return row and SavedSettings(row.version, row.document)
