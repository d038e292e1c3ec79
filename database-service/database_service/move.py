"""From the embedded database to PostgreSQL: `python -m database_service.move`, with DATABASE_URL or DB_HOST set.

Everything goes over in one transaction, which commits only if both sides have the same rows: counts and checksums over
every value. The embedded database stays as it is; while it is read nobody can write to it.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from database_service.config import DatabaseSettings
from database_service.migrate import migrate
from database_service.stores.schema import metadata
from shared.sql.postgres import postgres_engine
from shared.sql.sqlite import sqlite_engine, sqlite_url

PORTION = 2_000
LOCK_WAIT = "60s"


class MoveError(Exception):
    """Nothing was moved; the message says why."""


class Sum(NamedTuple):
    """What a table holds: its rows, and the sum of each row's SHA-256, which no order of rows changes."""

    rows: int
    checksum: str


def move(path: Path, url: str) -> dict[str, Sum]:
    """Copy the embedded database into the empty PostgreSQL database at `url`; what each table holds on both sides.

    Both are brought to the newest schema first. Raises MoveError, or the databases' own errors.
    """
    if not path.exists():
        raise MoveError(f"there is no database at {path}")
    migrate(sqlite_url(path))
    migrate(url)
    here, there = sqlite_engine(sqlite_url(path)), postgres_engine(url)
    try:
        with here.execution_options(writes=True).begin() as origin, there.begin() as target:
            target.exec_driver_sql(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            return {table.name: _move_table(origin, target, table) for table in metadata.sorted_tables}
    finally:
        here.dispose()
        there.dispose()


def _move_table(origin: sa.Connection, target: sa.Connection, table: sa.Table) -> Sum:
    target.execute(sa.text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))  # our own name
    if target.scalar(sa.select(sa.select(table).exists())):
        raise MoveError(f"the target is not empty: {table.name} holds rows")
    for rows in _portions(origin, table):
        target.execute(sa.insert(table), [row._asdict() for row in rows])
    sent, arrived = summed(origin, table), summed(target, table)
    if sent != arrived:
        raise MoveError(f"{table.name} differs after the copy: {arrived} instead of {sent}")
    _go_on_numbering(target, table)
    return sent


def summed(link: sa.Connection, table: sa.Table) -> Sum:
    """See `Sum`. Values are compared as the service reads them, so 1.50 is 1.5 and a moment is a moment."""
    rows = total = 0
    for portion in _portions(link, table):
        rows += len(portion)
        for row in portion:
            total += int.from_bytes(hashlib.sha256(orjson.dumps(tuple(row), default=_exact)).digest())
    return Sum(rows, f"{total % 2**256:064x}")


def _portions(link: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    return link.execute(sa.select(table), execution_options={"yield_per": PORTION}).partitions()


def _exact(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value.normalize())
    raise TypeError(f"{type(value).__name__} has no place in a table of ours")


def _go_on_numbering(target: sa.Connection, table: sa.Table) -> None:
    """Rows that PostgreSQL numbers by itself must go on after those that came with their numbers."""
    if "id" not in table.c:
        return
    sequence = target.scalar(sa.text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table.name})
    if sequence is not None:
        newest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        target.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(newest, 1), newest.is_not(None))))


def main() -> None:
    """The command line."""
    settings = DatabaseSettings.read(folder=Path(__file__).parent.parent)
    if not settings.database_url:
        sys.exit("Say where to: set DATABASE_URL=postgresql://user:password@host/name (or DB_HOST and its like).")
    try:
        sums = move(settings.sqlite_path, settings.database_url)
    except MoveError as error:
        sys.exit(f"Nothing was moved: {error}")
    except sa.exc.DBAPIError as error:  # one line, without the statement and the address
        sys.exit(f"Nothing was moved: {type(error.orig).__name__}: {str(error.orig).splitlines()[0]}")
    for name, found in sums.items():
        print(f"{name}: {found.rows:,} rows, checksum {found.checksum[:16]} on both sides")
    print(f"Moved. Start the service with DATABASE_URL; {settings.sqlite_path} is as it was.")


if __name__ == "__main__":
    main()
