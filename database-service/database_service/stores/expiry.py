"""Removing old rows from a SQL database. See `retention.Expirable`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from database_service.retention import Aged
from database_service.stores.schema import audit_removed, performance, signal_names, signals
from database_service.stores.timescale import drop_emptied_chunks

MOMENTS = {"signals": signals.c.timestamp, "performance": performance.c.closed_at}


def expire(link: sa.Connection, table: Aged, before: datetime, limit: int, reason: str, now: datetime) -> int:
    """Remove the oldest rows; a signal's link of the chain moves to `audit_removed`, and its name is free again."""
    moment = MOMENTS[table]
    rows = moment.table
    more = [signals.c.signal_id, signals.c.hash] if table == "signals" else []
    oldest = sa.select(rows.c.id, moment.label("moment"), *more).where(moment < before)
    found = link.execute(oldest.order_by(moment, rows.c.id).limit(limit)).all()
    if not found:
        drop_emptied_chunks(link, table, before)
        return 0
    if table == "signals":
        _keep_links(link, found, reason, now)
    # The span is for TimescaleDB: by ids alone it would unpack every compressed chunk, and refuses to.
    span = moment.between(found[0].moment, found[-1].moment)
    return link.execute(sa.delete(rows).where(span, rows.c.id.in_([row.id for row in found]))).rowcount


def _keep_links(link: sa.Connection, found: Sequence[sa.Row[Any]], reason: str, now: datetime) -> None:
    left = [{"sequence": row.id, "hash": row.hash, "reason": reason, "removed_at": now} for row in found]
    link.execute(sa.insert(audit_removed), left)
    link.execute(sa.delete(signal_names).where(signal_names.c.signal_id.in_([row.signal_id for row in found])))
