"""Reading the audit chain from a SQL database: a signal's row number is its sequence, `hash` its link, `audit_head` the
newest. `statements` extend it."""

from collections.abc import Iterator

import sqlalchemy as sa

from database_service.audit import START, Head, Link, Stretch, Verified, at_the_end, verify
from database_service.stores.schema import audit_removed, signals
from database_service.stores.statements import read_head
from shared.sql.connections import streamed


def verify_stretch(link: sa.Connection, start: int, limit: int) -> tuple[Verified, Head]:
    """See `audit.Chained`. Rows come in portions, so memory stays flat."""
    head = read_head(link) or START
    rows = _links(link, start, head.sequence, limit)
    found = verify(Stretch(_before(link, start), rows, head))
    return (at_the_end(found, head) if found.checked < limit else found), head


def _before(link: sa.Connection, start: int) -> Head:
    every = _every().subquery()
    query = sa.select(every.c.sequence, every.c.hash).where(every.c.sequence < start).order_by(every.c.sequence.desc())
    row = link.execute(query.limit(1)).one_or_none()
    return START if row is None else Head(row.sequence, row.hash)


def _links(link: sa.Connection, start: int, end: int, limit: int) -> Iterator[Link]:
    # One statement, one snapshot: retention moves a row from one table to the other.
    every = _every().subquery()
    query = sa.select(every).where(every.c.sequence.between(start, end)).order_by(every.c.sequence).limit(limit)
    for row in streamed(link, query):
        yield Link(row.sequence, row.hash, row.document)


def _every() -> sa.CompoundSelect[tuple[int, str, str | None]]:
    kept = sa.select(signals.c.id.label("sequence"), signals.c.hash, signals.c.document)
    gone = sa.select(audit_removed.c.sequence, audit_removed.c.hash, sa.cast(sa.null(), sa.Text).label("document"))
    return sa.union_all(kept, gone)
