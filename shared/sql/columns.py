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
        moment: datetime | None = value
        if value is not None and dialect.name != "postgresql":
            moment = EPOCH + value * MICROSECOND
        return moment
