"""The audit log in a SQL database."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from auth_gateway.audit import Entry, Event, Told
from auth_gateway.stores.schema import audit_log
from shared.clock import to_iso
from shared.hash_chain import GENESIS, link_hash
from shared.sql.connections import Connections, streamed

PORTION = 1000  # entries that are forgotten in one transaction
OURSELVES = "auth-gateway"
c = audit_log.c
# Past SQLAlchemy's compiler, which costs more than the two statements do; each write of the fleet pays for them.
NEWEST = "SELECT sequence, hash FROM auth_audit_log ORDER BY sequence DESC LIMIT 1"
INSERT = {  # by the driver's style
    "qmark": "INSERT INTO auth_audit_log (sequence, hash, document) VALUES (?, ?, ?)",
    "pyformat": "INSERT INTO auth_audit_log (sequence, hash, document) VALUES (%s, %s, %s)",
}
T = TypeVar("T")


def recorded(work: Callable[[sa.Connection], T], told: Told[T]) -> Callable[[sa.Connection], T]:
    """`work` and what the log says of it, for `Connections.transact`: both are committed, or neither.

    Each takes the next number, so a writer that is not `alone` may have to begin again.
    """

    def both(link: sa.Connection) -> T:
        outcome = work(link)
        event = told(outcome)
        if event is not None:
            append(link, [event])
        return outcome

    return both


def append(link: sa.Connection, events: Sequence[Event]) -> None:
    """Append in the transaction of `link`."""
    last = link.exec_driver_sql(NEWEST).one_or_none()
    sequence, before = last or (0, GENESIS)
    rows = []
    for event in events:
        sequence, document = sequence + 1, event.document
        before = link_hash(before, sequence, document)
        rows.append((sequence, before, document))
    link.exec_driver_sql(INSERT[link.dialect.paramstyle], rows)


class SqlAuditLog:
    """See `AuditLog`. Each writer takes the next number, so one writes at a time."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def record(self, events: Sequence[Event]) -> None:
        """See `AuditLog.record`."""
        self._connections.transact(lambda link: append(link, events), alone=True, rows=len(events))

    def entries(self, before: int | None, limit: int) -> list[Entry]:
        """See `AuditLog.entries`."""
        query = sa.select(audit_log).where(c.document != "").order_by(c.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(c.sequence < before)
        with self._connections.reading() as link:
            return [_entry(row) for row in link.execute(query)]

    def walk(self, start: int, limit: int) -> Iterator[Entry]:
        """See `AuditLog.walk`."""
        query = sa.select(audit_log).where(c.sequence >= start).order_by(c.sequence).limit(limit)
        with self._connections.reading() as link:
            for row in streamed(link, query):
                yield _entry(row)

    def forget(self, before: datetime, now: datetime) -> bool:
        """See `AuditLog.forget`."""
        portion = sa.select(audit_log).where(c.document != "").order_by(c.sequence).offset(PORTION - 1).limit(1)

        def work(link: sa.Connection) -> bool:
            last = link.execute(portion).one_or_none()
            if last is None or json.loads(last.document)["at"] >= to_iso(before):
                return False
            link.execute(sa.delete(audit_log).where(c.sequence < last.sequence))
            link.execute(sa.update(audit_log).where(c.sequence == last.sequence).values(document=""))
            said = f"older than {to_iso(before)}: up to {last.sequence}, which bore {last.hash}"
            append(link, [Event(now, "log_shortened", OURSELVES, OURSELVES, said)])
            return True

        return self._connections.transact(work, alone=True, rows=PORTION)


def _entry(row: sa.Row[tuple[int, str, str]]) -> Entry:
    return Entry(row.sequence, row.hash, row.document)
