"""Databases with millions of signals, made once in a run: the big one is the small one's copy, filled further.

They are filled by the database itself out of rows.py's pattern, since Python would take half of the time.
"""

import shutil
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import say
from benchmarks.storage.rows import START, SYMBOLS, Pattern, connect, make
from shared.testing.servers import PostgresServer

MILLION, PORTION = 1_000_000, 100_000
FIRST = 2  # the service saved the first itself
SQLITE, POSTGRES = "SQLite", "PostgreSQL"
BEGIN_S = int(START.timestamp())  # one signal a second from here on
ISO = {
    SQLITE: f"strftime('%Y-%m-%dT%H:%M:%S', {BEGIN_S} + n, 'unixepoch')",
    POSTGRES: f"""to_char(to_timestamp({BEGIN_S} + n) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')""",
}
MOMENT = {SQLITE: f"({BEGIN_S} + n) * 1000000", POSTGRES: f"to_timestamp({BEGIN_S} + n)"}
NUMBERS = {
    SQLITE: "(WITH RECURSIVE numbers(n) AS (SELECT {0} UNION ALL SELECT n + 1 FROM numbers WHERE n < {1}) "
    "SELECT n FROM numbers)",
    POSTGRES: "generate_series({0}, {1}) AS numbers(n)",
}
SIGNAL_ID = "symbol || ':' || iso"
PRINTF = {SQLITE: "printf", POSTGRES: "format"}


@dataclass(slots=True)
class Filled:
    """Where the databases are: files in `folder`, PostgreSQL's on `server`. Sizes are in millions of signals."""

    server: PostgresServer
    folder: Path
    full: bool
    _made: dict[tuple[str, int], str | Path] = field(default_factory=dict)
    _patterns: dict[str, Pattern] = field(default_factory=dict)

    def sizes(self, kind: str) -> tuple[int, ...]:
        """Which are measured; PostgreSQL takes longest to fill, so it has a big one only in the full run."""
        if self.full:
            return 1, 10
        return (1, 3) if kind == SQLITE else (1,)

    def database(self, kind: str, millions: int) -> str | Path:
        """A database of that size: a file, or PostgreSQL's URL."""
        if (kind, millions) not in self._made:
            held, target = (0, self._new(kind)) if millions == 1 else (1, self._copy(kind, millions))
            _fill(target, self._patterns[kind], kind, held, millions)
            self._made[kind, millions] = target
        return self._made[kind, millions]

    def _new(self, kind: str) -> str | Path:
        target = self.folder / "1.sqlite3" if kind == SQLITE else self.server.create_database()
        self._patterns[kind] = make(target)
        return target

    def _copy(self, kind: str, millions: int) -> str | Path:
        small = self.database(kind, 1)
        if isinstance(small, Path):
            return Path(shutil.copy(small, self.folder / f"{millions}.sqlite3"))
        name = f"filled_{millions}"
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE {small.rpartition('/')[2]}")
        return self.server.database_url(name)


def _fill(target: str | Path, pattern: Pattern, kind: str, held: int, millions: int) -> None:
    begun = time.perf_counter()
    with closing(connect(target)) as link:
        cursor = link.cursor()
        if kind == SQLITE:
            cursor.execute("PRAGMA synchronous=OFF")
        for last in range(held * MILLION + PORTION, millions * MILLION + 1, PORTION):
            _insert(cursor, pattern, kind, (max(last - PORTION + 1, FIRST), last))
            link.commit()
            if last % MILLION == 0:
                seconds = time.perf_counter() - begun
                say(f"filled {kind} with {last // MILLION} of {millions} M signals in {seconds:.0f} s")
        _settle(link, kind, millions * MILLION)


def _insert(cursor: Any, pattern: Pattern, kind: str, span: tuple[int, int]) -> None:
    """The signals of these numbers, first and last included."""
    numbers = NUMBERS[kind].format(*span)
    symbol = f"'S' || (n - n / {SYMBOLS} * {SYMBOLS}) || 'USDT'"
    source = f"SELECT n, {MOMENT[kind]} AS moment, {symbol} AS symbol, {ISO[kind]} || '.000000' AS iso FROM {numbers}"
    place = "?" if kind == SQLITE else "%s"
    changed = {"id": "n", "signal_id": SIGNAL_ID, "timestamp": "moment", "symbol": "symbol"}
    changed["document"] = f"{PRINTF[kind]}({place}, {SIGNAL_ID}, symbol, iso)"
    for table, row in pattern.tables.items():
        values = {name: value for name, value in row.items() if name == "document" or name not in changed}
        if "document" in values:
            values["document"] = pattern.text
        columns = ",".join(changed.get(name, place) for name in row)
        statement = f"INSERT INTO {table} ({','.join(row)}) SELECT {columns} FROM ({source}) AS made"
        cursor.execute(statement, list(values.values()))


def _settle(link: Any, kind: str, newest: int) -> None:
    """As after a life of single saves: the chain's head where it belongs, statistics known, nothing left to be done."""
    cursor = link.cursor()
    cursor.execute(f"UPDATE audit_head SET sequence = {newest}")
    link.commit()
    if kind == SQLITE:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        link.autocommit = True
        cursor.execute("VACUUM ANALYZE")
