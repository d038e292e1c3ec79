"""The audit log in a SQL database."""

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from auth_gateway.audit import Entry, Event
from auth_gateway.stores.schema import audit_log
from shared.hash_chain import GENESIS, link_hash
from shared.sql.connections import Connections, streamed


class SqlAuditLog:
    """See `AuditLog`. Each writer takes the next number, so one writes at a time."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def record(self, event: Event, now: datetime) -> None:
        """See `AuditLog.record`."""
        document = event.document(now)
        newest = sa.select(audit_log.c.sequence, audit_log.c.hash).order_by(audit_log.c.sequence.desc()).limit(1)

        def append(connection: sa.Connection) -> None:
            last = connection.execute(newest).one_or_none()
            sequence, before = (last.sequence + 1, last.hash) if last else (1, GENESIS)
            values = {"sequence": sequence, "hash": link_hash(before, sequence, document), "document": document}
            connection.execute(sa.insert(audit_log).values(**values))

        self._connections.transact(append, alone=True)

    def entries(self, before: int | None, limit: int) -> list[Entry]:
        """See `AuditLog.entries`."""
        query = sa.select(audit_log).order_by(audit_log.c.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(audit_log.c.sequence < before)
        with self._connections.reading() as connection:
            return [Entry(row.sequence, row.hash, row.document) for row in connection.execute(query)]

    def walk(self) -> Iterator[Entry]:
        """See `AuditLog.walk`."""
        with self._connections.reading() as connection:
            for row in streamed(connection, sa.select(audit_log).order_by(audit_log.c.sequence)):
                yield Entry(row.sequence, row.hash, row.document)
