"""Everything in a SQL database: what SQLite and PostgreSQL have in common.

Each write is one transaction that holds the rows and their idempotency keys. Vendor errors leave as Unavailable (the
place is away; retry) or, where another writer won a race, lead to one more try.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from database_service.admission import Admission, names_asked, neighbours
from database_service.idempotency import KEEP, PURGE_EVERY, KeptAnswer, Key, KeyName, Verdict, replay
from database_service.performance import StoredTrade, TradeFilter, TradeLine, TradeSubmission
from database_service.signals import Content, Cursor, Page, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts
from database_service.stores.schema import (
    HEAD,
    Moment,
    Number,
    idempotency_keys,
    performance,
    signals,
    user_settings,
)  # fmt: skip
from database_service.user_settings import SavedSettings, next_version
from shared.clock import Clock
from shared.errors import Unavailable

CHUNK = 500  # values in one IN list
RACES = 5  # tries of a transaction that another writer's rows keep defeating
COUNT_EVERY_S = 60.0  # between counts by the database; in between, this process's own rows are added
FAIL_FAST_S = 0.5  # after a failed connection, so that a queue of requests does not wait for one time-out each
Kind = Literal["failed", "gone", "schema"]
T = TypeVar("T")
V = TypeVar("V")


class SqlStore:
    """A store in a SQL database. `prepare` comes first; until it succeeded, every call raises Unavailable."""

    durable = True
    source: Literal["database"] = "database"

    def __init__(
        self,
        engine: sa.Engine,
        clock: Clock,
        explain: "Explain",
        line_up: Callable[[sa.Connection], None] = lambda _: None,
    ):
        """`line_up` makes writers that lost a race wait for each other, where the database lets them run abreast."""
        self._line_up = line_up
        self._engine, self._writing = engine, engine.execution_options(writes=True)
        self._clock, self._explain = clock, explain
        self._why_not: str | None = "the database is not prepared yet"
        self._down_until = float("-inf")
        self._down_reason = ""
        self._counts, self._counted_at = Counts(0, 0), float("-inf")
        self._purged_at: datetime | None = None
        self._write_failed = False

    # --- life

    @property
    def prepared(self) -> bool:
        """True when the schema is known to be the newest."""
        return self._why_not is None

    def schema_version(self) -> str | None:
        """The migration that the database is at; None for an empty database. Raises Unavailable."""
        with self._translating(), self._engine.connect() as link:
            if not sa.inspect(link).has_table("alembic_version"):
                return None
            version: str | None = link.scalar(sa.text("SELECT version_num FROM alembic_version"))
            return version

    def prepare(self) -> bool:
        """Look whether the schema is the newest; False if the migrations must run first. Raises Unavailable."""
        version = self.schema_version()
        self._why_not = None if version == HEAD else f"the database is at migration {version}, not {HEAD}"
        if self.prepared:
            self.probe()
        return self.prepared

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def counts(self) -> Counts:
        """See `Store.counts`."""
        return self._counts

    def probe(self) -> None:
        """See `Store.probe`. Counts anew once a minute, else only asks whether anybody is there.

        After a write failed it writes, since a full disk can still be read.
        """
        if self._write_failed:
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
        admission = self._transact(lambda link: self._append(link, submissions, now))
        self._counts = Counts(self._counts.signals + len(admission.signals), self._counts.performance)
        return admission.verdicts

    def _append(self, link: sa.Connection, submissions: Sequence[Submission], now: datetime) -> Admission:
        kept = self._kept_answers(link, [s.key for s in submissions if s.key is not None])
        taken = self._taken_names(link, submissions)
        admission = Admission(kept, taken).add_all(submissions)
        if admission.signals:
            link.execute(sa.insert(signals), [_columns(signals, signal) for signal in admission.signals])
        self._keep(link, admission.answers.items(), now)
        return admission

    def _taken_names(self, link: sa.Connection, submissions: Sequence[Submission]) -> dict[str, Content]:
        columns = (signals.c.signal_id, signals.c.digest, signals.c.timestamp)
        taken: dict[str, Content] = {}
        for names in _chunks(names_asked(submissions)):
            for row in link.execute(sa.select(*columns).where(signals.c.signal_id.in_(names))):
                taken[row.signal_id] = Content(row.digest, row.timestamp)
        for place in {s.signal.place for s in submissions if s.signal.signal_id is None} & taken.keys():
            first, end = neighbours(place)
            near = sa.and_(signals.c.signal_id >= first, signals.c.signal_id < end)
            for row in link.execute(sa.select(*columns).where(near)):
                taken[row.signal_id] = Content(row.digest, row.timestamp)
        return taken

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        with self._reading() as link:
            return link.scalar(sa.select(signals.c.document).where(signals.c.signal_id == signal_id))

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`. One walk along an index, however deep the page lies."""
        query = (
            sa.select(signals.c.id, signals.c.timestamp, signals.c.document)
            .where(*_signal_conditions(wanted))
            .order_by(signals.c.timestamp.desc(), signals.c.id.desc())
            .limit(limit + 1)
        )
        if after is not None:
            here = sa.tuple_(signals.c.timestamp, signals.c.id)
            query = query.where(here < sa.tuple_(sa.literal(after.timestamp, Moment), sa.literal(after.number, Number)))
        with self._reading() as link:
            rows = link.execute(query).all()
        more = len(rows) > limit
        last = rows[limit - 1] if more else None
        return Page([row.document for row in rows[:limit]], last and Cursor(last.timestamp, last.id))

    # --- performance

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """See `TradeStore.track`."""
        verdicts = self._transact(lambda link: self._track(link, submissions, now))
        new = sum(verdict.status == "stored" for verdict in verdicts)
        self._counts = Counts(self._counts.signals, self._counts.performance + new)
        return verdicts

    def _track(self, link: sa.Connection, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        kept = self._kept_answers(link, [s.key for s in submissions if s.key is not None])
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
        self._keep(link, new.items(), now)
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
            raise _LostRace
        return SavedSettings(version, document)

    # --- idempotency keys

    def _kept_answers(self, link: sa.Connection, keys: Iterable[Key]) -> dict[KeyName, KeptAnswer]:
        t, kept = idempotency_keys.c, {}
        for names in _chunks({key.name for key in keys}):
            known = sa.select(t.route, t.key, t.body_hash, t.answer).where(sa.tuple_(t.route, t.key).in_(names))
            for row in link.execute(known):
                kept[KeyName(row.route, row.key)] = KeptAnswer(row.body_hash, row.answer)
        return kept

    def _keep(self, link: sa.Connection, answers: Iterable[tuple[KeyName, KeptAnswer]], now: datetime) -> None:
        """Store the new keys, and now and then forget those that are too old to matter."""
        rows = [
            {"route": n.route, "key": n.text, "body_hash": a.body_hash, "answer": a.answer, "created_at": now}
            for n, a in answers
        ]
        if rows:
            link.execute(sa.insert(idempotency_keys), rows)
        if rows and (self._purged_at is None or now - self._purged_at > PURGE_EVERY):
            link.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP))
            self._purged_at = now

    # --- connections and errors

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        self._require()
        with self._translating(), self._engine.connect() as link:
            yield link

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        """`work` in one transaction, again if another writer took a name between our look and our insert."""
        self._require()
        try:
            with self._translating():
                result = self._race(work)
        except Unavailable:
            self._write_failed = True
            raise
        self._write_failed = False
        return result

    def _race(self, work: Callable[[sa.Connection], T]) -> T:
        for attempt in range(RACES):
            try:
                with self._writing.begin() as link:
                    if attempt:
                        self._line_up(link)
                    return work(link)
            except (exc.IntegrityError, _LostRace):
                continue
        raise Unavailable("other writers keep taking the same names; retry")

    def _require(self) -> None:
        if self._why_not is not None:
            raise Unavailable(f"the database is not available: {self._why_not}")
        if self._clock.monotonic() < self._down_until:
            raise Unavailable(f"the database is not available: {self._down_reason}")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Vendor errors as Unavailable. Whatever they say, what a client sent was checked before."""
        try:
            yield
        except exc.SQLAlchemyError as error:
            reason, kind = self._explain(error)
            if kind == "schema" or not self.prepared:
                self._why_not = reason
            if kind == "gone":
                self._down_until, self._down_reason = self._clock.monotonic() + FAIL_FAST_S, reason
            raise Unavailable(f"the database is not available: {reason}") from error


class Explain(Protocol):
    """What an adapter knows of its vendor's errors."""

    def __call__(self, error: exc.SQLAlchemyError) -> tuple[str, Kind]:
        """A reason for people, without secrets, and what it means for the next call.

        gone: nobody is there (any more); schema: the tables are not ours, someone exchanged the database.
        """
        ...


class _LostRace(Exception):
    """Another writer changed the row between our look and our update."""


def _chunks(values: Iterable[V]) -> Iterator[list[V]]:
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _columns(table: sa.Table, row: StoredSignal | StoredTrade) -> dict[str, Any]:
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
