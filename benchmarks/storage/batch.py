"""Batches of 1,000 by POST, beside raw SQL that puts like rows into the same tables, 1,000 in a transaction.

The raw figures hold neither HTTP nor JSON, no checks and no chain: they are what the database itself takes.
"""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.load import drive, post, signal
from benchmarks.report import say
from benchmarks.storage.filled import Filled
from benchmarks.storage.rows import Pattern, connect, insert_copy, insert_sqlite, insert_unnest, make
from benchmarks.storage.servers import ours
from benchmarks.storage.table import Line, Must
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer

ROUNDS, SECONDS = 3, 2.0
ROWS = 1000
CONNECTIONS = (1, 4)
TIME = b"@@:@@:@@"  # in the ready body; each batch has a second of its own, each row a microsecond of that
SQLITE, POSTGRES = "SQLite FULL", "PostgreSQL"
EXECUTEMANY, UNNEST, COPY = "executemany", "unnest", "COPY"
PAIRS = ((SQLITE, EXECUTEMANY, Must(0.5, 0.8)), (POSTGRES, UNNEST, Must(0.75)), (POSTGRES, COPY, Must(None, 1)))
Run = Callable[[], float]  # rows a second


def measure(filled: Filled) -> Iterator[Line]:
    """A line for each pair and number of connections: the medians of interleaved rounds."""
    rates: dict[str, list[float]] = {}
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        services = {SQLITE: ours(), POSTGRES: ours(DATABASE_URL=filled.server.create_database())}
        posting = {name: Posting(running.enter_context(service)) for name, service in services.items()}
        runs = _raw_runs(running, filled.server, folder / "raw.sqlite3")
        runs |= {f"{name}, {n}": partial(one.run, n) for name, one in posting.items() for n in CONNECTIONS}
        for number in range(ROUNDS):
            say(f"batch: round {number + 1} of {ROUNDS}")
            for name, run in runs.items():
                rates.setdefault(name, []).append(run())
        failed = {name: one.failed() for name, one in posting.items()}
    median = {name: statistics.median(found) for name, found in rates.items()}
    for name, peer, must in PAIRS:
        for n in CONNECTIONS:
            rate = median[f"{name}, {n}"]
            what = f"batch of 1,000, {name}, {n} connection{'s' if n > 1 else ''}"
            figures = f"{rate:,.0f} rows/s", f"{peer}: {median[peer]:,.0f} rows/s"
            yield Line(what, *figures, rate / median[peer], must, failed[name])


class Posting:
    """Batches sent to one running service, each with a key of its own."""

    def __init__(self, service: ServiceProcess):
        self._service, self._numbers, self._stored, self._others = service, itertools.count(1), 0, 0
        rows = [signal(n) | {"timestamp": f"2025-06-01T{TIME.decode()}.{n:06d}Z"} for n in range(ROWS)]
        self._body = json.dumps(rows).encode()

    def run(self, connections: int) -> float:
        """Rows stored a second."""
        result = drive(self._service.port, lambda _: self._request(), connections, SECONDS)
        self._stored += result.statuses[200] * ROWS
        self._others += sum(result.statuses.values()) - result.statuses[200] + result.unanswered
        return result.per_second * ROWS

    def _request(self) -> bytes:
        number = next(self._numbers)
        moment = time.strftime("%H:%M:%S", time.gmtime(number)).encode()
        return post(self._service.port, "/signals/batch", number, self._body.replace(TIME, moment))

    def failed(self) -> str:
        """What went wrong; the service's own count must be what was sent."""
        counted = self._service.get("/stats")["data"]["signal_count"]
        if self._others:
            return f"{self._others} answers other than 200"
        return "" if counted == self._stored else f"{counted} rows stored of {self._stored} acknowledged"


def _raw_runs(running: ExitStack, postgres: PostgresServer, file: Path) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    target: Path | str
    for name, target, insert in (
        (EXECUTEMANY, file, insert_sqlite),
        (UNNEST, postgres.create_database(), insert_unnest),
        (COPY, postgres.create_database(), insert_copy),
    ):
        pattern = make(target)
        link = running.enter_context(closing(connect(target)))
        runs[name] = partial(_raw, link, pattern, insert, itertools.count(ROWS, ROWS))
    return runs


def _raw(link: Any, pattern: Pattern, insert: Callable[..., None], firsts: Iterator[int]) -> float:
    """Rows a second; making them ready is not counted."""
    spent, rows = 0.0, 0
    while spent < SECONDS:
        portion = pattern.rows(next(firsts), ROWS)
        begun = time.perf_counter()
        insert(link, pattern, portion)
        spent += time.perf_counter() - begun
        rows += ROWS
    return rows / spent
