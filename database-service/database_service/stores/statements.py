"""What a group commit asks of a SQL database: one look at what is known, one write. The plain way, for any of them.

`sqlite_statements` and `postgres_statements` do the same several times as fast; the store contract suite holds all
three to the same answers. Whoever calls is the only one who writes signals until the transaction ends.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate, islice
from typing import Any, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa
from msgspec import structs

from database_service.audit import START, Head, extend
from database_service.idempotency import KeptAnswer, KeyName
from database_service.signals import StoredSignal
from database_service.stores.schema import audit_head, idempotency_keys, signal_names, signals

CHUNK = 500  # values in one IN list
ONLY = 1  # audit_head has one row
V = TypeVar("V")


class Known(NamedTuple):
    """What the database has of what was asked: answers by key, signals' JSON texts by id; the newest link, if any."""

    kept: dict[KeyName, KeptAnswer]
    taken: dict[str, str]
    head: Head | None


class Statements(Protocol):
    """Inside one transaction."""

    def look_up(self, link: sa.Connection, keys: Collection[KeyName], names: Collection[str]) -> Known:
        """Which of these keys and ids are there."""
        ...

    def write(
        self,
        link: sa.Connection,
        head: Head | None,
        new: Sequence[StoredSignal],
        answers: Sequence[tuple[KeyName, KeptAnswer]],
        now: datetime,
    ) -> None:
        """Store new signals, their names and their links of the audit chain after `head`, and new keys."""
        ...


class PlainStatements:
    """See `Statements`: SQLAlchemy's own, row by row."""

    def look_up(self, link: sa.Connection, keys: Collection[KeyName], names: Collection[str]) -> Known:
        """See `Statements.look_up`."""
        t = idempotency_keys.c
        kept: dict[KeyName, KeptAnswer] = {}
        taken: dict[str, str] = {}
        for some_keys in chunks(keys):
            known = sa.select(t.route, t.key, t.body_hash, t.answer).where(sa.tuple_(t.route, t.key).in_(some_keys))
            for row in link.execute(known):
                kept[KeyName(row.route, row.key)] = KeptAnswer(row.body_hash, row.answer)
        for some_names in chunks(names):
            taken |= documents(link, signal_names.c.signal_id.in_(some_names))
        return Known(kept, taken, read_head(link))

    def write(
        self,
        link: sa.Connection,
        head: Head | None,
        new: Sequence[StoredSignal],
        answers: Sequence[tuple[KeyName, KeptAnswer]],
        now: datetime,
    ) -> None:
        """See `Statements.write`."""
        if new:
            places = list(islice(accumulate((s.document for s in new), extend, initial=head or START), 1, None))
            rows = [structs.asdict(s) | {"id": at.sequence, "hash": at.hash} for s, at in zip(new, places, strict=True)]
            link.execute(sa.insert(signal_names), [_only(signal_names, row) for row in rows])
            link.execute(sa.insert(signals), [_only(signals, row) for row in rows])
            _move_head(link, places[-1], first=head is None)
        if answers:
            kept = [
                {"route": n.route, "key": n.text, "body_hash": a.body_hash, "answer": a.answer, "created_at": now}
                for n, a in answers
            ]
            link.execute(sa.insert(idempotency_keys), kept)


def read_head(link: sa.Connection) -> Head | None:
    """The chain's newest link; None before the first signal."""
    row = link.execute(sa.select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == ONLY)).one_or_none()
    return row and Head(row.sequence, row.hash)


def documents(link: sa.Connection, named: sa.ColumnElement[bool]) -> dict[str, str]:
    """The JSON texts of the signals whose row in `signal_names` is as `named` says, by id."""
    s = signals.c
    places = link.execute(sa.select(signal_names.c.id, signal_names.c.timestamp).where(named)).all()
    found: dict[str, str] = {}
    for some in chunks(places):
        # Not a join: for that TimescaleDB plans over every chunk there is, which takes milliseconds; given the moments,
        # it opens theirs alone.
        here = sa.and_(s.id.in_([place.id for place in some]), s.timestamp.in_({place.timestamp for place in some}))
        found |= {row.signal_id: row.document for row in link.execute(sa.select(s.signal_id, s.document).where(here))}
    return found


def chunks(values: Iterable[V]) -> Iterator[list[V]]:
    """`values` in portions that one IN list may hold."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _only(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    return {column.name: row[column.name] for column in table.c}


def _move_head(link: sa.Connection, head: Head, *, first: bool) -> None:
    values = {"sequence": head.sequence, "hash": head.hash}
    if first:
        link.execute(sa.insert(audit_head).values(id=ONLY, **values))
    else:
        link.execute(sa.update(audit_head).where(audit_head.c.id == ONLY).values(**values))
