"""Reading signals newest first: the hot path of every page and export, by hand.

SQLAlchemy builds, looks up and unpacks such a query in 300 µs where running it takes 100: here its text is kept by
which filters are given, and of the rows only the documents are touched.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any

from database_service.cursors import EPOCH, MICROSECOND
from database_service.signals import Cursor, SignalFilter
from database_service.stores.connections import Connections

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
    given = {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}
    values = [_bound(value, embedded) for value in given.values()]
    if after is not None:
        moment = _bound(after.timestamp, embedded)
        values += [moment, after.number, moment]
    text = _text(tuple(given), after is not None, "?" if embedded else "%s")
    return Walk(connections.fetch(text, (*values, limit)), embedded)


def _bound(value: Any, embedded: bool) -> Any:
    return (value - EPOCH) // MICROSECOND if embedded and isinstance(value, datetime) else value


@lru_cache(maxsize=256)  # of seven filters, a cursor and two databases there are no more
def _text(given: tuple[str, ...], after: bool, mark: str) -> str:
    conditions = [CONDITIONS[name] for name in given] + ([AFTER] if after else [])
    where = f"WHERE {' AND '.join(conditions).format(mark)} " if conditions else ""
    return (
        f"SELECT id, timestamp, document FROM signals {where}ORDER BY timestamp DESC, id DESC LIMIT {mark}"  # noqa: S608  # our own words; values are parameters
    )
