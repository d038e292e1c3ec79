"""The tables, as the newest migration leaves them; a test compares the two.

Moments are microseconds since 1970 in SQLite (8 bytes, exact, sorts) and `timestamptz` in PostgreSQL; money is exact
text in SQLite and `numeric` in PostgreSQL. `document` is the JSON text that goes out unchanged. A signal's `id` is its
sequence in the audit chain (audit.py): given by us, in commit order, never by the database. Its name is unique by
`signal_names`, written in the same transaction: a TimescaleDB hypertable can't hold a unique index without its time.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
)

from shared.sql.columns import Moment

HEAD = "0004"  # the newest migration: knowing it spares a start that is up to date from loading Alembic


class Money(TypeDecorator[Decimal]):
    """An exact decimal."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """SQLite's own numbers are doubles, so it keeps text."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """On the way in."""
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002  # SQLAlchemy's call
        """On the way out."""
        return None if value is None else Decimal(value)


Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER column
# Byte order, so that a range of ids means the same in every database whatever its language is.
Id = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

signals = Table(
    "signals", metadata,
    Column("id", Number, primary_key=True),  # in PostgreSQL with the timestamp, for the same reason
    Column("signal_id", Id, nullable=False),
    Column("timestamp", Moment, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("signal_type", Text, nullable=False),
    Column("strategy", Text),
    Column("bot_id", Text),
    Column("confidence", Double, nullable=False),
    Column("price", Double, nullable=False),
    Column("compliant", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("hash", Text, nullable=False),
)  # fmt: skip
Index("signals_by_symbol", signals.c.symbol, signals.c.timestamp.desc(), signals.c.id.desc())
Index("signals_by_time", signals.c.timestamp.desc(), signals.c.id.desc())

signal_names = Table(
    "signal_names", metadata,
    Column("signal_id", Id, primary_key=True),
    Column("timestamp", Moment, nullable=False),
    Column("id", Number, nullable=False),
    Column("digest", Text),  # see signals.StoredSignal
    sqlite_with_rowid=False,  # else the name would stand there twice, in the table and in its index
)  # fmt: skip

performance = Table(
    "performance", metadata,
    Column("id", Number, primary_key=True),  # in PostgreSQL with closed_at
    Column("performance_id", Id, nullable=False),
    Column("closed_at", Moment, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("symbol", Text),
    Column("bot_id", Text),
    Column("pnl", Money, nullable=False),
    Column("document", Text, nullable=False),
)  # fmt: skip
Index("performance_by_time", performance.c.closed_at, performance.c.id)
Index("performance_by_strategy", performance.c.strategy, performance.c.closed_at, performance.c.id)

user_settings = Table(
    "user_settings", metadata,
    Column("user_name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("saved_at", Moment, nullable=False),
)  # fmt: skip

idempotency_keys = Table(
    "idempotency_keys", metadata,
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)  # fmt: skip
Index("idempotency_keys_by_age", idempotency_keys.c.created_at)

audit_head = Table(
    "audit_head", metadata,
    Column("id", Integer, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)  # fmt: skip

audit_removed = Table(
    "audit_removed", metadata,
    Column("sequence", Number, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("removed_at", Moment, nullable=False),
)  # fmt: skip
