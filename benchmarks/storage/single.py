"""A single save on an idle service, beside a bare commit of a like row: one of each in turn, 200 a second.

Bare: sqlite3 with FULL on the same file system, and psycopg2 on the same server, each in tables of our service's own.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.load import save_request
from benchmarks.report import say
from benchmarks.storage.filled import POSTGRES, SQLITE, Filled
from benchmarks.storage.kept_alive import KeptAlive
from benchmarks.storage.rows import connect, insert_sqlite, insert_values, make
from benchmarks.storage.servers import our_port
from benchmarks.storage.table import Line, Must

SAVES, WARM, PACE_S = 2_000, 100, 0.005
P99 = Must(2, 1.5, above=False)
Act = Callable[[], None]


def measure(filled: Filled) -> Iterator[Line]:
    """A line for each database."""
    with tempfile.TemporaryDirectory() as folder:
        targets: dict[str, str | Path] = {
            SQLITE: Path(folder) / "bare.sqlite3",
            POSTGRES: filled.server.create_database(),
        }
        for kind, target in targets.items():
            say(f"single: {SAVES} saves on {kind}")
            env = {"DATABASE_URL": filled.server.create_database()} if kind == POSTGRES else {}
            with ExitStack() as running:
                acts = _saving(running, env), _bare(running, target)
                ours, bare = (sorted(times) for times in _times(acts))
            p99, p50 = SAVES * 99 // 100, SAVES // 2
            yield Line(
                f"p99 of a single save, {kind}",
                f"{ours[p99] * 1000:.2f} ms, p50 {ours[p50] * 1000:.2f} ms",
                f"bare commit: {bare[p99] * 1000:.2f} ms, p50 {bare[p50] * 1000:.2f} ms",
                ours[p99] / bare[p99], P99,
            )  # fmt: skip


def _saving(running: ExitStack, env: dict[str, str]) -> Act:
    port = running.enter_context(our_port(**env))
    link, numbers = running.enter_context(KeptAlive(port)), itertools.count(1)

    def act() -> None:
        link.exchange(save_request(port, next(numbers)))

    return act


def _bare(running: ExitStack, target: str | Path) -> Act:
    pattern = make(target)
    link = running.enter_context(closing(connect(target)))
    insert = insert_values if isinstance(target, str) else insert_sqlite
    rows = iter([pattern.rows(number, 1) for number in range(2, 2 + SAVES + WARM)])

    def act() -> None:
        insert(link, pattern, next(rows))

    return act


def _times(acts: tuple[Act, Act]) -> tuple[list[float], list[float]]:
    """Seconds of each call; which of the two goes first takes turns, too."""
    times: tuple[list[float], list[float]] = [], []
    slot = time.perf_counter()
    for lap in range(-WARM, SAVES):
        for which in (0, 1) if lap % 2 else (1, 0):
            begun = time.perf_counter()
            acts[which]()
            if lap >= 0:
                times[which].append(time.perf_counter() - begun)
        slot = max(slot + PACE_S, time.perf_counter())
        time.sleep(max(0.0, slot - time.perf_counter()))
    return times
