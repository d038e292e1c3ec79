"""Rows as our service stores them, put straight into its own tables: what raw SQL needs for the same, and fills.

The service itself makes the tables and stores the first signal; what its tables then hold is the pattern of all others,
so nothing here knows the columns. Hashes are copied, not computed: such a database reads and exports like any other,
but its audit chain would not verify.
"""

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.load import drive, save_request
from benchmarks.storage.servers import our_port

TABLES = ("signals", "signal_names")
SYMBOLS = 50
START = datetime(2020, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Rows = dict[str, list[tuple[Any, ...]]]  # by table


@dataclass(frozen=True, slots=True)
class Pattern:
    """The tables that hold a signal: the columns of each, and the values of one row; in PostgreSQL also their types."""

    tables: dict[str, dict[str, Any]]
    types: dict[str, dict[str, str]]

    @property
    def text(self) -> str:
        """The JSON text with places for id, symbol and time (without Z), for % and for printf."""
        document = self.tables["signals"]["document"]
        held = json.loads(document)
        text = document.replace("%", "%%").replace(held["signal_id"], "%s", 1)
        text = text.replace(f'"symbol":"{held["symbol"]}"', '"symbol":"%s"', 1)
        return str(text.replace(held["timestamp"], "%sZ", 1))

    def rows(self, first: int, count: int) -> Rows:
        """`count` signals, one a second, numbered from `first`, as rows of each table."""
        signal = self.tables["signals"]
        text, micros = self.text, isinstance(signal["timestamp"], int)
        rows: Rows = {name: [] for name in self.tables}
        for number in range(first, first + count):
            moment = START + timedelta(seconds=number)
            symbol, iso = f"S{number % SYMBOLS}USDT", moment.isoformat(timespec="microseconds")[:26]
            signal_id = f"{symbol}:{iso}"
            new = {
                "id": number, "signal_id": signal_id, "symbol": symbol,
                "timestamp": (moment - EPOCH) // timedelta(microseconds=1) if micros else moment,
                "document": text % (signal_id, symbol, iso),
            }  # fmt: skip
            for name, row in self.tables.items():
                rows[name].append(tuple([new.get(column, value) for column, value in row.items()]))
        return rows


def make(target: str | Path) -> Pattern:
    """The service's tables in a new database (a file, or PostgreSQL's URL), with one signal that it saved itself."""
    env = {"DATABASE_URL": target} if isinstance(target, str) else {"SQLITE_PATH": str(target)}
    with our_port(**env) as port:
        if not drive(port, lambda number: save_request(port, number), 1, 0).statuses[200]:
            raise RuntimeError("the service did not save the first signal")
    with closing(connect(target)) as link, closing(link.cursor()) as cursor:
        tables = {name: _first(cursor, name) for name in TABLES}
        types = {name: _types(cursor, name) for name in tables} if isinstance(target, str) else {}
        return Pattern(tables, types)


def connect(target: str | Path) -> Any:
    """A bare connection: sqlite3 with WAL and FULL, where every transaction is begun by hand, or psycopg2."""
    if isinstance(target, str):
        return psycopg2.connect(target, options="-c synchronous_commit=on -c timezone=UTC")
    link = sqlite3.connect(target, isolation_level=None)
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("PRAGMA synchronous=FULL")
    return link


def _first(cursor: Any, table: str) -> dict[str, Any]:
    cursor.execute(f"SELECT * FROM {table} LIMIT 1")
    return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def _types(cursor: Any, table: str) -> dict[str, str]:
    cursor.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s", [table])
    return dict(cursor.fetchall())


def insert_sqlite(link: sqlite3.Connection, pattern: Pattern, rows: Rows) -> None:
    """One transaction of executemany."""
    link.execute("BEGIN IMMEDIATE")
    for table, held in rows.items():
        names = pattern.tables[table]
        link.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})", held)
    link.execute("COMMIT")


def insert_values(link: Any, pattern: Pattern, rows: Rows) -> None:
    """One transaction of INSERT … VALUES, row by row."""
    with link, link.cursor() as cursor:
        for table, held in rows.items():
            names = pattern.tables[table]
            cursor.executemany(
                f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join(['%s'] * len(names))})", held
            )


def insert_unnest(link: Any, pattern: Pattern, rows: Rows) -> None:
    """One transaction of INSERT … SELECT FROM unnest."""
    with link, link.cursor() as cursor:
        for table, held in rows.items():
            types, names = pattern.types[table], ",".join(pattern.tables[table])
            arrays = ",".join(f"%s::{types[name]}[]" for name in pattern.tables[table])
            columns = [list(column) for column in zip(*held, strict=True)]
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})", columns)


def insert_copy(link: Any, pattern: Pattern, rows: Rows) -> None:
    """One transaction of COPY."""
    with link, link.cursor() as cursor:
        for table, held in rows.items():
            text = "".join(["\t".join([_copied(value) for value in row]) + "\n" for row in held])
            cursor.copy_expert(f"COPY {table} ({','.join(pattern.tables[table])}) FROM STDIN", io.StringIO(text))


def _copied(value: Any) -> str:
    """A value in COPY's text format."""
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return "\\N" if value is None else str(value)
