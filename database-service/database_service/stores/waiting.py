"""What waits in a spool's file: the signals and trades themselves, and the keys that the database doesn't have yet."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from database_service.idempotency import KeptAnswer, KeyName
from database_service.performance import StoredTrade
from database_service.signals import OPTIONAL, Cursor, NewSignal, Submission
from database_service.storage import Counts
from database_service.stores.schema import performance, signals
from database_service.stores.statements import chunks
from shared.clock import EPOCH, MICROSECOND, parse_time

MAX_ANSWERS = 8_000_000  # characters of answers in memory at a time: a batch's may have a million
MAX_CONFLICTS_SHOWN = 1000
MAX_MOVED = 200_000  # signals whose place is remembered after they are moved, for cursors; some 15 MB in the file
MAX_PASSED = 10_000  # signals of one moment that a cursor is known to have passed
IDS = {"signals": signals.c.signal_id, "performance": performance.c.performance_id}
# Only the spool has these; its file is nobody else's. Whoever keeps a key makes it wait, in the same transaction.
OWN_TABLES = (
    "CREATE TABLE IF NOT EXISTS conflicts (number INTEGER PRIMARY KEY, signal_id TEXT NOT NULL, reason TEXT NOT NULL, "
    "found_at TEXT NOT NULL, document TEXT NOT NULL)",  # signal_id: a trade's id, too
    "CREATE TABLE IF NOT EXISTS waiting_keys (number INTEGER PRIMARY KEY AUTOINCREMENT, route TEXT NOT NULL, "
    "key TEXT NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS key_waits AFTER INSERT ON idempotency_keys "
    "BEGIN INSERT INTO waiting_keys (route, key) VALUES (new.route, new.key); END",
    "CREATE TABLE IF NOT EXISTS waiting_since (moment TEXT NOT NULL)",
    "DROP INDEX IF EXISTS keys_by_answer",
    "CREATE TABLE IF NOT EXISTS moved (number INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, "
    "signal_id TEXT NOT NULL)",
)
ADD_MOVED = "INSERT OR REPLACE INTO moved SELECT id, timestamp, signal_id FROM signals WHERE id = ?"
FORGET_MOVED = "DELETE FROM moved WHERE number <= (SELECT max(number) FROM moved) - ?"
PASSED = (
    "SELECT signal_id FROM signals WHERE timestamp = ? AND id >= ? "
    "UNION ALL SELECT signal_id FROM moved WHERE timestamp = ? AND number >= ? LIMIT ?"
)
WAITING_KEYS = (
    "SELECT w.number, k.route, k.key, k.body_hash, k.answer FROM waiting_keys w "
    "JOIN idempotency_keys k ON k.route = w.route AND k.key = w.key ORDER BY w.number LIMIT ?"
)
CONFLICTS = "SELECT signal_id AS id, reason, found_at, document FROM conflicts ORDER BY number DESC LIMIT ?"
ADD_CONFLICT = "INSERT INTO conflicts (signal_id, reason, found_at, document) VALUES (?, ?, ?, ?)"


class Waiting(NamedTuple):
    """A signal or trade that waits: its number in the spool, its id, and its JSON text."""

    number: int
    id: str
    document: str


class WaitingSignal(NamedTuple):
    """A signal that waits, and what the database is to store."""

    waiting: Waiting
    row: Submission


class WaitingTrade(NamedTuple):
    """A trade that waits, and what the database is to store."""

    waiting: Waiting
    row: StoredTrade


class WaitingKey(NamedTuple):
    """A key that the database doesn't have yet, and the answer that was given under it."""

    number: int
    name: KeyName
    answer: KeptAnswer


class Refused(NamedTuple):
    """What the database could not take as it was acknowledged, and why."""

    waiting: Waiting
    reason: str


class Moved(NamedTuple):
    """What the database has by now: keys up to a number (0: none), signals and trades; and what it refused of these."""

    last_key: int = 0
    signals: Sequence[Waiting] = ()
    trades: Sequence[Waiting] = ()
    refused: Sequence[Refused] = ()


def oldest_keys(link: sa.Connection, limit: int) -> tuple[list[WaitingKey], bool]:
    """The keys that came first, in order, fewer where their answers are long; and whether others may wait behind."""
    found: list[WaitingKey] = []
    size = 0
    for number, route, key, body_hash, answer in link.exec_driver_sql(WAITING_KEYS, (limit,)):
        found.append(WaitingKey(number, KeyName(route, key), KeptAnswer(body_hash, answer)))
        size += len(answer)
        if size > MAX_ANSWERS:
            break
    return found, len(found) == limit or size > MAX_ANSWERS


def oldest_signals(link: sa.Connection, limit: int, upto: int) -> list[WaitingSignal]:
    """The signals that came first, in order, up to that number; with the ids and times that they got."""
    s = signals.c
    query = sa.select(s.id, s.signal_id, s.document).where(s.id <= upto).order_by(s.id).limit(limit)
    return [WaitingSignal(Waiting(*row), _submission(row.document)) for row in link.execute(query)]


def oldest_trades(link: sa.Connection, limit: int, upto: int) -> list[WaitingTrade]:
    """The trades that came first, in order, up to that number."""
    p = performance.c
    query = sa.select(performance).where(p.id <= upto).order_by(p.id).limit(limit)
    return [
        WaitingTrade(Waiting(row["id"], row["performance_id"], row["document"]), _trade(row))
        for row in link.execute(query).mappings()
    ]


def named(link: sa.Connection, table: sa.Table, ids: Sequence[str]) -> list[Waiting]:
    """Those of the ids that wait."""
    found: list[Waiting] = []
    name = IDS[table.name]
    for some in chunks(ids):
        query = sa.select(table.c.id, name, table.c.document).where(name.in_(some))
        found += [Waiting(*row) for row in link.execute(query)]
    return found


def take_away(link: sa.Connection, moved: Moved, at: str) -> Counts:
    """Forget what is moved, keep what was refused as conflicts found `at` that moment; how many rows are gone."""
    if moved.refused:
        kept = [(one.waiting.id, one.reason, at, one.waiting.document) for one in moved.refused]
        link.exec_driver_sql(ADD_CONFLICT, kept)
    link.exec_driver_sql("DELETE FROM waiting_keys WHERE number <= ?", (moved.last_key,))
    numbers = [row.number for row in moved.signals]
    _each(link, ADD_MOVED, numbers)
    link.exec_driver_sql(FORGET_MOVED, (MAX_MOVED,))
    _each(link, "DELETE FROM signal_names WHERE signal_id = ?", [row.id for row in moved.signals])
    return Counts(
        _each(link, "DELETE FROM signals WHERE id = ?", numbers),
        _each(link, "DELETE FROM performance WHERE id = ?", [row.number for row in moved.trades]),
    )


def passed(link: sa.Connection, after: Cursor) -> set[str]:
    """The ids at the cursor's own moment that it has passed: those that wait, and those that waited when it was given.

    `after.number` is the spool's own.
    """
    place = ((after.timestamp - EPOCH) // MICROSECOND, after.number)
    return set(link.exec_driver_sql(PASSED, (*place, *place, MAX_PASSED)).scalars())


def _each(link: sa.Connection, statement: str, values: Sequence[Any]) -> int:
    return link.exec_driver_sql(statement, [(value,) for value in values]).rowcount if values else 0


def conflicts(link: sa.Connection) -> list[dict[str, str]]:
    """The newest conflicts: id, reason, moment and the JSON text of the signal or trade."""
    return [dict(row) for row in link.exec_driver_sql(CONFLICTS, (MAX_CONFLICTS_SHOWN,)).mappings()]


def _submission(document: str) -> Submission:
    fields = orjson.loads(document)
    signal = NewSignal(
        symbol=fields["symbol"],
        signal_type=fields["signal_type"],
        confidence=fields["confidence"],
        price=fields["price"],
        timestamp=parse_time(fields["timestamp"]),
        signal_id=fields["signal_id"],
        **{name: fields.get(name) for name in OPTIONAL},
    )
    return Submission(signal)


def _trade(row: Any) -> StoredTrade:
    return StoredTrade(**{name: row[name] for name in StoredTrade.__slots__})
