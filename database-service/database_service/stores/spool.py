"""The spool: a durable local file that takes signals, batches and trades while the configured database is away.

It is an embedded database of the same schema, so ids, repeats and keys are judged as ever, by what this process knows.
Its signals and trades are those that wait (waiting.py); its keys are those that wait and those of the last day
(kept_keys.py). One thread adds, the service's writer, and one takes away, the drainer; each counts for itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from database_service.batches import Batch
from database_service.idempotency import KeptAnswer, Key, Verdict
from database_service.performance import TradeFilter, TradeLine, TradeSubmission
from database_service.signals import Cursor, SignalFilter, Submission
from database_service.storage import Counts
from database_service.stores import waiting
from database_service.stores.kept_keys import KeptKeys
from database_service.stores.schema import performance, signals
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite_statements import SqliteStatements
from database_service.stores.waiting import Moved, Waiting, WaitingKey, WaitingSignal, WaitingTrade
from shared.clock import Clock, parse_time, to_iso
from shared.errors import Unavailable
from shared.sql.connections import Connections
from shared.sql.sqlite import explain, sqlite_engine, sqlite_url

SPOOLED = 2**52  # added to the numbers of waiting signals in cursors, which go on over both places
FULL_RETRY_S = 5
NOTHING = Counts(0, 0)
NEWEST_KEY = "SELECT coalesce(max(number), 0) FROM waiting_keys"
SETTLED_KEY = "SELECT coalesce(min(number) - 1, 0) FROM waiting_keys"
T = TypeVar("T")


class Upto(NamedTuple):
    """The newest rows at a moment: numbers in the spool, 0 for none."""

    signal: int
    trade: int


class Spool:
    """See `keeper.Preparable`."""

    def __init__(self, path: Path, clock: Clock, max_rows: int):
        self._engine = sqlite_engine(sqlite_url(path))
        self._connections = Connections(self._engine, clock, explain)
        self._reading = self._connections.reading
        self._store = SqlStore(self._connections, clock, SqliteStatements())
        self._clock, self._max_rows = clock, max_rows
        self._keys = KeptKeys(self._connections, clock)
        self.write_down_keys = self._keys.write_down
        self._added, self._removed = NOTHING, NOTHING
        self._newest_key = self._settled_key = 0
        self._since: datetime | None = None

    @property
    def prepared(self) -> bool:
        """See `Preparable`."""
        return self._store.prepared

    @property
    def why_not(self) -> str | None:
        """Why it can't be used; None if it can."""
        return self._connections.why_not

    def prepare(self) -> bool:
        """See `Preparable`. Also counts what a former process left."""
        if not self._store.prepare():
            return False
        with self._connections.translating(), self._engine.execution_options(writes=True).begin() as link:
            for statement in waiting.OWN_TABLES:
                link.exec_driver_sql(statement)
            rows = [link.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (signals, performance)]
            moment = link.exec_driver_sql("SELECT moment FROM waiting_since").scalar()
            self._newest_key = link.exec_driver_sql(NEWEST_KEY).scalar_one()
            self._settled_key = link.exec_driver_sql(SETTLED_KEY).scalar_one()
        self._since = parse_time(moment) if moment else None
        self._removed, self._added = NOTHING, Counts(*rows)
        return True

    def close(self) -> None:
        """Write down the keys and let go of the file."""
        try:
            if self.prepared:
                self._keys.write_down()
        finally:
            self._store.close()

    # --- what waits

    @property
    def rows(self) -> Counts:
        """How many signals and trades wait."""
        added, removed = self._added, self._removed
        return Counts(added.signals - removed.signals, added.performance - removed.performance)

    @property
    def waiting(self) -> bool:
        """True if anything waits, be it a key."""
        return any(self.rows) or self._newest_key > self._settled_key

    def age_s(self) -> float:
        """For how long something has waited; 0 if nothing does."""
        since = self._since if self.waiting else None
        return max(0.0, (self._clock.now() - since).total_seconds()) if since else 0.0

    def get(self, signal_id: str) -> str | None:
        """A waiting signal's JSON text."""
        return self._store.get(signal_id)

    def newest(self, wanted: SignalFilter, limit: int, after: Cursor | None) -> list[tuple[Cursor, str]]:
        """As `SqlStore.newest`, over what waits. At the same time, what waits is newer than what is stored."""
        inner = after and after._replace(number=after.number - SPOOLED)
        found = self._store.newest(wanted, limit, inner)
        return [(place._replace(number=place.number + SPOOLED), document) for place, document in found]

    def passed(self, after: Cursor | None) -> set[str]:
        """See `waiting.passed`; of a cursor of the database's own, none."""
        if after is None or after.number < SPOOLED or not self.prepared:
            return set()
        with self._reading() as link:
            return waiting.passed(link, after._replace(number=after.number - SPOOLED))

    def named_trades(self, wanted: TradeFilter) -> Iterator[tuple[str, TradeLine]]:
        """As `SqlStore.named_trades`, over what waits."""
        return self._store.named_trades(wanted)

    def conflicts(self) -> list[dict[str, str]]:
        """See `waiting.conflicts`."""
        with self._reading() as link:
            return waiting.conflicts(link)

    # --- adding. Each raises Unavailable where the spool is full, or its disk, or it isn't open: nothing was stored

    def append(self, submissions: Sequence[Submission], now: datetime, away: Unavailable) -> list[Verdict]:
        """See `SignalStore.append`. `away`: why the database can't."""
        return self._add(len(submissions), away, lambda: self._store.append(submissions, now))

    def append_batch(self, batch: Batch, now: datetime, away: Unavailable) -> str:
        """See `Store.append_batch`."""
        return self._add(len(batch.rows), away, lambda: self._store.append_batch(batch, now))

    def track(self, submissions: Sequence[TradeSubmission], now: datetime, away: Unavailable) -> list[Verdict]:
        """See `TradeStore.track`."""
        return self._add(len(submissions), away, lambda: self._store.track(submissions, now))

    def note_key(self, key: Key | None, answer: str) -> None:
        """The database acknowledged this."""
        if key is not None:
            self._keys.note(key.name, KeptAnswer(key.body_hash, answer))

    def _add(self, rows: int, away: Unavailable, add: Callable[[], T]) -> T:
        if not self.prepared:
            raise _cannot(away, f"is of no use ({self._connections.why_not})")
        if max(sum(self.rows) + rows, self._newest_key - self._settled_key) > self._max_rows:
            raise _cannot(away, "is full")
        try:
            self._keys.write_down()
            if not self.waiting:
                self._begin_to_wait()
            before = self._store.counts()
            result = add()
        except Unavailable as trouble:
            raise _cannot(away, f"can't take it ({trouble.message.rpartition(': ')[2]})") from trouble
        self._count_added(before)
        return result

    def _begin_to_wait(self) -> None:
        since = self._clock.now()

        def write(link: sa.Connection) -> None:
            link.exec_driver_sql("DELETE FROM waiting_since")
            link.exec_driver_sql("INSERT INTO waiting_since VALUES (?)", (to_iso(since),))

        self._connections.transact(write)
        self._since = since

    def _count_added(self, before: Counts) -> None:
        after, added = self._store.counts(), self._added
        self._added = Counts(
            added.signals + after.signals - before.signals, added.performance + after.performance - before.performance
        )
        # Stored it is, whether or not this can be read: a key that isn't counted moves with the next row or key.
        with suppress(Unavailable), self._reading() as link:
            # None wait: all that there were are settled.
            self._newest_key = link.exec_driver_sql(NEWEST_KEY).scalar_one() or self._newest_key

    # --- taking away

    def upto(self) -> Upto:
        """The newest rows now. What keys they have wait as well, or are settled."""
        with self._reading() as link:
            numbers = [link.scalar(sa.select(sa.func.max(table.c.id))) or 0 for table in (signals, performance)]
        return Upto(*numbers)

    def oldest_keys(self, limit: int) -> tuple[list[WaitingKey], bool]:
        """See `waiting.oldest_keys`."""
        with self._reading() as link:
            return waiting.oldest_keys(link, limit)

    def oldest_signals(self, limit: int, upto: int) -> list[WaitingSignal]:
        """See `waiting.oldest_signals`."""
        with self._reading() as link:
            return waiting.oldest_signals(link, limit, upto)

    def oldest_trades(self, limit: int, upto: int) -> list[WaitingTrade]:
        """See `waiting.oldest_trades`."""
        with self._reading() as link:
            return waiting.oldest_trades(link, limit, upto)

    def named(self, table: sa.Table, ids: Sequence[str]) -> list[Waiting]:
        """See `waiting.named`."""
        with self._reading() as link:
            return waiting.named(link, table, ids)

    def done(self, moved: Moved) -> None:
        """The database has these, so they wait no longer; their keys are still known here. Refused is a conflict."""
        at = to_iso(self._clock.now())
        gone = self._connections.transact(lambda link: waiting.take_away(link, moved, at))
        was = self._removed
        self._removed = Counts(was.signals + gone.signals, was.performance + gone.performance)
        self._settled_key = max(self._settled_key, moved.last_key)


def _cannot(away: Unavailable, why: str) -> Unavailable:
    return Unavailable(f"{away.message}, and the local spool {why}; nothing was stored", retry_after_s=FULL_RETRY_S)
