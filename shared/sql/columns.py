"""Column types that mean the same in SQLite and in PostgreSQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect, TypeDecorator
from sqlalchemy.dialects.postgresql import TIMESTAMP

from shared.clock import EPOCH, MICROSECOND


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime to the microsecond."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """PostgreSQL has a type for it."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == "postgresql" else BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """On the way in."""
        return value if value is None or dialect.name == "postgresql" else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """On the way out."""
        return value if dialect.name == "postgresql" else moment(value)


def moment(value: int | datetime | None) -> datetime | None:
    """A stored Moment, as either database hands it out."""
    return EPOCH + value * MICROSECOND if isinstance(value, int) else value
