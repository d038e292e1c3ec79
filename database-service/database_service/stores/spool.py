"""The spool: a durable local file that takes signals while the configured database is away.

It is an embedded database of the same schema, so ids, repeats and keys are judged as ever, by what this process knows.
Beside what waits it keeps the keys that were acknowledged in the last day, so that a retry that meets the outage is
answered like the first time.
"""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from database_service.idempotency import KEEP, KeptAnswer, Key, KeyName, Verdict
from database_service.signals import OPTIONAL, Cursor, NewSignal, SignalFilter, Submission
from database_service.stores.connections import Connections
from database_service.stores.schema import idempotency_keys, signals
from database_service.stores.sql import SqlStore
from database_service.stores.sqlite import explain, sqlite_engine, sqlite_url
from shared.clock import Clock, parse_time, to_iso
from shared.errors import Unavailable

MAX_CONFLICTS_SHOWN = 1000
SPOOLED = 2**52  # added to the numbers of waiting signals in cursors, which go on over both places
ROUTE = "/signals/save"
# Only the spool has these; its file is nobody else's.
OWN_TABLES = (
    "CREATE TABLE IF NOT EXISTS conflicts (number INTEGER PRIMARY KEY, signal_id TEXT NOT NULL, reason TEXT NOT NULL, "
    "found_at TEXT NOT NULL, document TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS keys_by_answer ON idempotency_keys (answer)",
)


class Spooled(NamedTuple):
    """A waiting signal: its number in the spool, and what is to be submitted to the database."""

    number: int
    document: str
    submission: Submission


class Spool:
    """See `keeper.Preparable`. Only one thread writes at a time (the service's writer)."""

    def __init__(self, path: Path, clock: Clock, max_rows: int):
        self._engine = sqlite_engine(sqlite_url(path))
        self._connections = Connections(self._engine, clock, explain)
        self._store, self._clock, self._max_rows = SqlStore(self._connections, clock), clock, max_rows
        self._acknowledged: dict[KeyName, KeptAnswer] = {}
        self._lock = threading.Lock()
        self.length = 0

    @property
    def prepared(self) -> bool:
        """See `Preparable`."""
        return self._store.prepared

    def prepare(self) -> bool:
        """See `Preparable`. Also counts what a former process left."""
        if not self._store.prepare():
            return False
        with self._connections.translating(), self._engine.execution_options(writes=True).begin() as link:
            for statement in OWN_TABLES:
                link.exec_driver_sql(statement)
            self.length = link.scalar(sa.select(sa.func.count()).select_from(signals)) or 0
        return True

    def close(self) -> None:
        """Write down the keys and let go of the file."""
        if self.prepared:
            self.keep_keys()
        self._store.close()

    def append(self, submissions: Sequence[Submission], now: datetime, away: Unavailable) -> list[Verdict]:
        """Store durably until the database is back. Raises Unavailable when full or not open."""
        if not self.prepared:
            why_not = self._connections.why_not
            raise Unavailable(f"{away.message}, and the local spool is of no use: {why_not}") from away
        if self.length + len(submissions) > self._max_rows:
            raise Unavailable(f"{away.message}, and the local spool is full; nothing was stored", retry_after_s=5)
        self.keep_keys()
        verdicts = self._store.append(submissions, now)
        self.length += sum(verdict.status == "stored" for verdict in verdicts)
        return verdicts

    def get(self, signal_id: str) -> str | None:
        """A waiting signal's JSON text."""
        return self._store.get(signal_id)

    def newest(self, wanted: SignalFilter, limit: int, after: Cursor | None) -> list[tuple[Cursor, str]]:
        """As `SqlStore.newest`, over what waits. At the same time, what waits is newer than what is stored."""
        inner = after and after._replace(number=after.number - SPOOLED)
        found = self._store.newest(wanted, limit, inner)
        return [(place._replace(number=place.number + SPOOLED), document) for place, document in found]

    def age_s(self) -> float:
        """How long the oldest signal has waited, by its own time; 0 for an empty spool."""
        with self._connections.reading() as link:
            oldest = link.scalar(sa.select(signals.c.timestamp).order_by(signals.c.id).limit(1))
        return max(0.0, (self._clock.now() - oldest).total_seconds()) if oldest else 0.0

    # --- keys

    def remember(self, submissions: Sequence[Submission], verdicts: Sequence[Verdict]) -> None:
        """Note the keys that the database acknowledged; `keep_keys` writes them down."""
        for submission, verdict in zip(submissions, verdicts, strict=True):
            if submission.key is not None and verdict.error is None:
                with self._lock:
                    self._acknowledged[submission.key.name] = KeptAnswer(submission.key.body_hash, verdict.id)

    def keep_keys(self) -> None:
        """Write the noted keys down, in one transaction, and forget those that are too old."""
        with self._lock:
            noted, self._acknowledged = self._acknowledged, {}
        if not noted:
            return
        now = self._clock.now()
        rows = [
            {"route": n.route, "key": n.text, "body_hash": a.body_hash, "answer": a.answer, "created_at": now}
            for n, a in noted.items()
        ]

        def write(link: sa.Connection) -> None:
            link.execute(sa.insert(idempotency_keys).prefix_with("OR IGNORE"), rows)
            link.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP))

        self._connections.transact(write)

    # --- draining

    def oldest(self, limit: int) -> list[Spooled]:
        """The signals that came first, in order. One that was answered under several keys stands there with each."""
        key = idempotency_keys.c
        waiting = sa.select(signals.c.id, signals.c.document, signals.c.signal_id).order_by(signals.c.id).limit(limit)
        w = waiting.subquery()
        query = (
            sa.select(w.c.id, w.c.document, key.key, key.body_hash)
            .select_from(w.outerjoin(idempotency_keys, sa.and_(key.answer == w.c.signal_id, key.route == ROUTE)))
            .order_by(w.c.id)
        )
        with self._connections.reading() as link:
            return [Spooled(row.id, row.document, _submission(row)) for row in link.execute(query)]

    def done(self, rows: Sequence[Spooled], conflicts: Sequence[tuple[Spooled, str]]) -> None:
        """Forget signals that the database has; keep those that it could not take as they were acknowledged."""
        found_at = to_iso(self._clock.now())
        last = rows[-1].number
        kept = [
            {"signal_id": row.submission.signal.signal_id, "reason": reason, "at": found_at, "document": row.document}
            for row, reason in conflicts
        ]

        def write(link: sa.Connection) -> int:
            if kept:
                add = "INSERT INTO conflicts (signal_id, reason, found_at, document)"
                link.execute(sa.text(f"{add} VALUES (:signal_id, :reason, :at, :document)"), kept)  # constants
            return link.execute(sa.delete(signals).where(signals.c.id <= last)).rowcount

        self.length -= self._connections.transact(write)

    def conflicts(self) -> list[dict[str, str]]:
        """The newest conflicts: id, reason, moment and the signal's JSON text."""
        query = "SELECT signal_id, reason, found_at, document FROM conflicts ORDER BY number DESC LIMIT :limit"
        with self._connections.reading() as link:
            return [dict(row) for row in link.execute(sa.text(query), {"limit": MAX_CONFLICTS_SHOWN}).mappings()]


def _submission(row: Any) -> Submission:
    """What was stored, to be stored again: under the id that was acknowledged, with the time that it got."""
    fields = orjson.loads(row.document)
    signal = NewSignal(
        symbol=fields["symbol"],
        signal_type=fields["signal_type"],
        confidence=fields["confidence"],
        price=fields["price"],
        timestamp=parse_time(fields["timestamp"]),
        signal_id=fields["signal_id"],
        **{name: fields.get(name) for name in OPTIONAL},
    )
    return Submission(signal, None if row.key is None else Key(KeyName(ROUTE, row.key), row.body_hash))
