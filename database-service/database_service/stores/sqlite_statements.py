"""The group commit's statements for SQLite: the hot path of saving, by hand.

SQLAlchemy makes a dict, a compiled parameter set and several conversions of each row (44 µs); these are the driver's
own calls on ready tuples. Lists go in as one JSON text, so that each look-up is one statement, prepared once, whatever
it asks for.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import orjson
import sqlalchemy as sa

from database_service.audit import START, Head
from database_service.idempotency import KeptAnswer, KeyName
from database_service.signals import StoredSignal
from database_service.stores.statements import Known
from shared.clock import EPOCH, MICROSECOND
from shared.hash_chain import link_hash

KEYS = """
    SELECT k.route, k.key, k.body_hash, k.answer
    FROM json_each(?) AS asked
    CROSS JOIN idempotency_keys AS k ON k.route = asked.value ->> 0 AND k.key = asked.value ->> 1
"""
NAMES = """
    SELECT n.signal_id, s.document
    FROM json_each(?) AS asked
    CROSS JOIN signal_names AS n ON n.signal_id = asked.value
    JOIN signals AS s ON s.id = n.id
"""
READ_HEAD = "SELECT sequence, hash FROM audit_head WHERE id = 1"
MOVE_HEAD = "INSERT INTO audit_head (id, sequence, hash) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET " \
            "sequence = excluded.sequence, hash = excluded.hash"  # fmt: skip
ADD_SIGNAL = """
    INSERT INTO signals (id, signal_id, timestamp, symbol, signal_type, strategy, bot_id, confidence, price, compliant,
                         document, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_NAME = "INSERT INTO signal_names (signal_id, timestamp, id, digest) VALUES (?, ?, ?, ?)"
ADD_KEY = "INSERT INTO idempotency_keys (route, key, body_hash, answer, created_at) VALUES (?, ?, ?, ?, ?)"


class SqliteStatements:
    """See `statements.Statements`."""

    def look_up(self, link: sa.Connection, keys: Collection[KeyName], names: Collection[str]) -> Known:
        """See `Statements.look_up`."""
        execute = link.exec_driver_sql
        kept: dict[KeyName, KeptAnswer] = {}
        taken: dict[str, str] = {}
        if keys:
            asked = orjson.dumps([tuple(key) for key in keys]).decode()
            for route, key, body_hash, answer in execute(KEYS, (asked,)).all():
                kept[KeyName(route, key)] = KeptAnswer(body_hash, answer)
        if names:
            taken = {row[0]: row[1] for row in execute(NAMES, (orjson.dumps(list(names)).decode(),)).all()}
        found = execute(READ_HEAD).one_or_none()
        return Known(kept, taken, Head(*found) if found else None)

    def write(
        self,
        link: sa.Connection,
        head: Head | None,
        new: Sequence[StoredSignal],
        answers: Sequence[tuple[KeyName, KeptAnswer]],
        now: datetime,
    ) -> None:
        """See `Statements.write`."""
        execute = link.exec_driver_sql  # with a list of rows it is the driver's `executemany`
        if new:
            sequence, last_hash = head or START
            rows, names = [], []
            for s in new:
                sequence += 1
                last_hash = link_hash(last_hash, sequence, s.document)
                micros = (s.timestamp - EPOCH) // MICROSECOND
                rows.append((
                    sequence, s.signal_id, micros, s.symbol, s.signal_type, s.strategy, s.bot_id, s.confidence, s.price,
                    s.compliant, s.document, last_hash,
                ))  # fmt: skip
                names.append((s.signal_id, micros, sequence, s.digest))
            execute(ADD_NAME, names)
            execute(ADD_SIGNAL, rows)
            execute(MOVE_HEAD, (sequence, last_hash))
        if answers:
            micros = (now - EPOCH) // MICROSECOND
            execute(ADD_KEY, [(n.route, n.text, a.body_hash, a.answer, micros) for n, a in answers])

