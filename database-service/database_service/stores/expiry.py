"""Removing old rows from a SQL database. See `retention.Expirable`."""

from datetime import datetime

import sqlalchemy as sa

from database_service.retention import Aged
from database_service.stores.schema import audit_removed, performance, signal_names, signals


def expire(link: sa.Connection, table: Aged, before: datetime, limit: int, reason: str, now: datetime) -> int:
    """Remove the oldest rows; a signal's link of the chain moves to `audit_removed`, and its name is free again."""
    if table == "performance":
        p = performance.c
        oldest = sa.select(p.id).where(p.closed_at < before).order_by(p.closed_at, p.id).limit(limit)
        return link.execute(sa.delete(performance).where(p.id.in_(oldest))).rowcount
    s = signals.c
    oldest = sa.select(s.id, s.signal_id, s.hash).where(s.timestamp < before).order_by(s.timestamp, s.id).limit(limit)
    found = link.execute(oldest).all()
    if found:
        left = [{"sequence": r.id, "hash": r.hash, "reason": reason, "removed_at": now} for r in found]
        link.execute(sa.insert(audit_removed), left)
        link.execute(sa.delete(signal_names).where(signal_names.c.signal_id.in_([row.signal_id for row in found])))
        link.execute(sa.delete(signals).where(s.id.in_([row.id for row in found])))
    return len(found)
