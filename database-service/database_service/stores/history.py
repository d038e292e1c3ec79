"""Reading signals newest first: the hot path of every page and export, by hand.

SQLAlchemy builds, looks up and unpacks such a query in 300 µs where running it takes 100: here its text is kept by
which filters are given, and of the rows only the documents are touched.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from database_service.signals import FEWER, MAX_PORTION, Cursor, Portion, SignalFilter
from shared.clock import EPOCH, MICROSECOND
from shared.sql.connections import Connections, TooLong

CONDITIONS = {
    "symbol": "symbol = {0}",
    "signal_type": "signal_type = {0}",
    "strategy": "strategy = {0}",
    "bot_id": "bot_id = {0}",
    "start": "timestamp >= {0}",
    "end": "timestamp < {0}",
    "min_confidence": "confidence >= {0}",
}
# The second says nothing new, but by it TimescaleDB leaves out the newer chunks.
AFTER = "(timestamp, id) < ({0}, {0}) AND timestamp <= {0}"
NEWEST = "ORDER BY timestamp DESC, id DESC"
# Both aggregates take the rows as the ordered subquery gives them. PostgreSQL's manual says so (Aggregate Functions) as
# long as nothing joins or sorts in between. SQLite's manual promises nothing; its source (public domain) never merges
# such a subquery into an aggregate (select.c, flattenSubquery, rules 9 and 16), and its tests hold that order (ticket
# 2942). The stores' contract suite holds it, too: signals that come in another order than their time.
# To ask for the order again costs a second sort. Per row: 0.9 µs, rows fetched one by one 1.5, the bare cursor 0.9.
EMBEDDED_LINES = (
    "SELECT CAST(group_concat(document, char(10)) AS BLOB), min(timestamp), group_concat(id) "
    "FROM (SELECT id, timestamp, document FROM signals {where} {newest} LIMIT {count})"
)
# What is over the bound never leaves the server. A window that cuts there takes 1.8 µs a row, this 1.4, the cursor 0.8.
SERVER_LINES = (
    "SELECT CASE WHEN sum(octet_length(document)) <= {bytes} THEN string_agg(document, E'\\n') END, min(timestamp), "
    "(array_agg(id))[count(*)] "
    "FROM (SELECT id, timestamp, document FROM signals {where} {newest} LIMIT {count}) AS page"
)


class Walk:
    """What one walk along an index found, however deep the page: (id, timestamp as the driver has it, document)."""

    def __init__(self, rows: list[Any], embedded: bool):
        self._rows, self._embedded = rows, embedded

    def __len__(self) -> int:
        return len(self._rows)

    def documents(self, count: int) -> list[str]:
        """The JSON texts of the first so many."""
        return [document for _, _, document in self._rows[:count]]

    def cursor(self, index: int) -> Cursor:
        """The place of one."""
        number, moment, _ = self._rows[index]
        return Cursor(EPOCH + moment * MICROSECOND if self._embedded else moment, number)


def newest(connections: Connections, wanted: SignalFilter, limit: int, after: Cursor | None) -> Walk:
    """At most `limit` signals that `wanted` admits, after the cursor if there is one. Raises Unavailable."""
    embedded = connections.embedded
    given, values = _values(wanted, after, embedded)
    return Walk(connections.fetch(_text(given, after is not None, embedded), (*values, limit)), embedded)


def portion(connections: Connections, wanted: SignalFilter, limit: int, after: Cursor | None) -> Portion:
    """See `SignalStore.portion`. Whether there is more is not asked: what follows the last one is empty."""
    read = _embedded_portion if connections.embedded else _server_portion
    while True:
        try:
            return read(connections, wanted, limit, after)
        except TooLong:
            if limit == 1:  # can't be: a signal is shorter
                raise
            limit = max(1, limit // FEWER)


def _embedded_portion(connections: Connections, wanted: SignalFilter, limit: int, after: Cursor | None) -> Portion:
    given, values = _values(wanted, after, embedded=True)
    text = _lines_text(given, after is not None, embedded=True)
    [(lines, moment, numbers)] = connections.fetch(text, (*values, limit), longest=MAX_PORTION)
    if moment is None:
        return Portion(b"", None)
    return Portion(lines + b"\n", Cursor(EPOCH + moment * MICROSECOND, int(numbers.rpartition(",")[2])))


def _server_portion(connections: Connections, wanted: SignalFilter, limit: int, after: Cursor | None) -> Portion:
    given, values = _values(wanted, after, embedded=False)
    text = _lines_text(given, after is not None, embedded=False)
    [(lines, moment, number)] = connections.fetch(text, (MAX_PORTION, *values, limit))
    if moment is None:
        return Portion(b"", None)
    if lines is None:
        raise TooLong
    return Portion(f"{lines}\n".encode(), Cursor(moment, number))


def _values(wanted: SignalFilter, after: Cursor | None, embedded: bool) -> tuple[tuple[str, ...], list[Any]]:
    """Which filters are given, and the parameters of a query for what they admit after the cursor."""
    given = {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}
    values = [_bound(value, embedded) for value in given.values()]
    if after is not None:
        moment = _bound(after.timestamp, embedded)
        values += [moment, after.number, moment]
    return tuple(given), values


def _bound(value: Any, embedded: bool) -> Any:
    return (value - EPOCH) // MICROSECOND if embedded and isinstance(value, datetime) else value


@lru_cache(maxsize=256)  # of seven filters, a cursor and two databases there are no more
def _text(given: tuple[str, ...], after: bool, embedded: bool) -> str:
    where = _where(given, after, embedded)
    return f"SELECT id, timestamp, document FROM signals {where} {NEWEST} LIMIT {_mark(embedded)}"  # noqa: S608  # our own words; values are parameters


@lru_cache(maxsize=256)
def _lines_text(given: tuple[str, ...], after: bool, embedded: bool) -> str:
    words, mark = EMBEDDED_LINES if embedded else SERVER_LINES, _mark(embedded)
    return words.format(where=_where(given, after, embedded), newest=NEWEST, count=mark, bytes=mark)


def _where(given: tuple[str, ...], after: bool, embedded: bool) -> str:
    conditions = [CONDITIONS[name] for name in given] + ([AFTER] if after else [])
    return f"WHERE {' AND '.join(conditions).format(_mark(embedded))}" if conditions else ""


def _mark(embedded: bool) -> str:
    return "?" if embedded else "%s"
