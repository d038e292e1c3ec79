"""Everything in a SQL database: what SQLite and PostgreSQL have in common.

Each write is one transaction that holds the rows and their idempotency keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from database_service.admission import Admission, names_asked, neighbours
from database_service.audit import Head, Verified
from database_service.batches import Batch
from database_service.idempotency import KEEP, PURGE_EVERY, KeptAnswer, KeyName, Verdict, answer_again, replay
from database_service.performance import StoredTrade, TradeFilter, TradeLine, TradeSubmission
from database_service.retention import Aged
from database_service.signals import Cursor, Page, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts
from database_service.stores.chain import verify_stretch
from database_service.stores.connections import Connections, LostRace
from database_service.stores.expiry import expire
from database_service.stores.schema import (
    HEAD,
    Moment,
    Number,
    idempotency_keys,
    performance,
    signal_names,
    signals,
    user_settings,
)  # fmt: skip
from database_service.stores.statements import PlainStatements, Statements, documents
from database_service.user_settings import SavedSettings, next_version
from shared.clock import Clock

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

    # --- life

    @property
    def prepared(self) -> bool:
        """True when the schema is known to be the newest."""
        return self._connections.why_not is None

    def prepare(self) -> bool:
        """Look whether the schema is the newest; False if the migrations must run first. Raises Unavailable."""
        version = self._connections.schema_version()
        reason = f"the database is at migration {version}, not {HEAD}"
        self._connections.why_not = None if version == HEAD else reason
        if self.prepared:
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
        with self._reading() as link:
            if self._clock.monotonic() - self._counted_at < COUNT_EVERY_S:
                link.execute(sa.select(1))
                return
            counts = [link.scalar(sa.select(sa.func.count()).select_from(table)) for table in (signals, performance)]
        self._counts, self._counted_at = Counts(counts[0] or 0, counts[1] or 0), self._clock.monotonic()

    # --- signals

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        admission = self._transact(lambda link: self._append(link, submissions, now), alone=True)
        self._counts = Counts(self._counts.signals + len(admission.signals), self._counts.performance)
        return admission.verdicts

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
        answer, stored = self._transact(lambda link: self._append_batch(link, batch, now), alone=True)
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

    def verify(self, start: int, limit: int) -> tuple[Verified, Head]:
        """See `audit.Chained`."""
        with self._reading() as link:
            return verify_stretch(link, start, limit)

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        with self._reading() as link:
            return documents(link, signal_names.c.signal_id == signal_id).get(signal_id)

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`."""
        rows = self._newest(wanted, limit + 1, after)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page([row[2] for row in rows[:limit]], last and Cursor(last.timestamp, last.id))

    def newest(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> list[tuple[Cursor, str]]:
        """Signals with their places, newest first."""
        return [(Cursor(row.timestamp, row.id), row.document) for row in self._newest(wanted, limit, after)]

    def _newest(self, wanted: SignalFilter, limit: int, after: Cursor | None) -> Sequence[sa.Row[int, datetime, str]]:
        """One walk along an index, however deep the page lies."""
        query = (
            sa.select(signals.c.id, signals.c.timestamp, signals.c.document)
            .where(*_signal_conditions(wanted))
            .order_by(signals.c.timestamp.desc(), signals.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            here = sa.tuple_(signals.c.timestamp, signals.c.id)
            query = query.where(here < sa.tuple_(sa.literal(after.timestamp, Moment), sa.literal(after.number, Number)))
        with self._reading() as link:
            return link.execute(query).all()  # at once: row by row takes twice as long

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

    def trades(self, wanted: TradeFilter) -> Iterator[TradeLine]:
        """See `TradeStore.trades`; rows come in portions, so memory stays flat."""
        t = performance.c
        conditions = [
            column == value
            for column, value in ((t.strategy, wanted.strategy), (t.symbol, wanted.symbol), (t.bot_id, wanted.bot_id))
            if value is not None
        ]
        conditions += [t.closed_at >= wanted.start] if wanted.start else []
        conditions += [t.closed_at < wanted.end] if wanted.end else []
        query = sa.select(t.closed_at, t.strategy, t.pnl).where(*conditions).order_by(t.closed_at, t.id)
        with self._reading() as link:
            for row in link.execution_options(yield_per=1000).execute(query):
                yield TradeLine(*row)

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


def _signal_conditions(wanted: SignalFilter) -> list[sa.ColumnElement[bool]]:
    s = signals.c
    equal = (
        (s.symbol, wanted.symbol),
        (s.signal_type, wanted.signal_type),
        (s.strategy, wanted.strategy),
        (s.bot_id, wanted.bot_id),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if wanted.start is not None:
        conditions.append(s.timestamp >= wanted.start)
    if wanted.end is not None:
        conditions.append(s.timestamp < wanted.end)
    if wanted.min_confidence is not None:
        conditions.append(s.confidence >= wanted.min_confidence)
    return conditions


def _settings_of(link: sa.Connection, user: str) -> SavedSettings | None:
    t = user_settings.c
    row = link.execute(sa.select(t.version, t.document).where(t.user_name == user)).one_or_none()
    return row and SavedSettings(row.version, row.document)
