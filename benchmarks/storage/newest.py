"""The newest 100 signals of a symbol over one kept-alive connection, beside the bare query on a connection of its own.

Each size has a service of its own; requests and bare queries alternate, so that all meet the same machine.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.storage.filled import POSTGRES, SQLITE, Filled
from benchmarks.storage.kept_alive import KeptAlive
from benchmarks.storage.rows import SYMBOLS, connect
from benchmarks.storage.servers import our_port
from benchmarks.storage.table import Line, Must

LAPS, WARM_LAPS = 1000, 100
LIMIT = 100
QUERY = (  # what the service asks: one row more tells whether there is another page
    "SELECT id, timestamp, document FROM signals WHERE symbol = {} "
    f"ORDER BY timestamp DESC, id DESC LIMIT {LIMIT + 1}"
)
BARE, FLAT = Must(3, 1.5, above=False), Must(1.2, above=False)
Ask = Callable[[str], int]  # of a symbol; the number of rows


def measure(filled: Filled) -> Iterator[Line]:
    """A line for each size, and one that compares the sizes."""
    for kind in (SQLITE, POSTGRES):
        sizes = filled.sizes(kind)
        targets = {millions: filled.database(kind, millions) for millions in sizes}
        with ExitStack() as running:
            asks: dict[tuple[int, str], Ask] = {}
            for millions, target in targets.items():
                asks[millions, "http"] = _http(running, target)
                asks[millions, "bare"] = _bare(running, target)
            times = _times(asks)
        p50_ms = {name: statistics.median(found) * 1000 for name, found in times.items()}
        for millions in sizes:
            http, bare = p50_ms[millions, "http"], p50_ms[millions, "bare"]
            what = f"newest {LIMIT} of a symbol, {kind}, {millions} M rows"
            yield Line(what, f"p50 {http:.2f} ms", f"bare query: {bare:.2f} ms", http / bare, BARE)
        if len(sizes) > 1:
            small, big = (p50_ms[millions, "http"] for millions in sizes)
            what = f"newest {LIMIT}, {kind}, {sizes[1]} M rows beside {sizes[0]} M"
            yield Line(what, f"p50 {big:.2f} ms", f"{sizes[0]} M: {small:.2f} ms", big / small, FLAT)


def _http(running: ExitStack, target: str | Path) -> Ask:
    env = {"DATABASE_URL": target} if isinstance(target, str) else {"SQLITE_PATH": str(target)}
    link = running.enter_context(KeptAlive(running.enter_context(our_port(**env))))

    def ask(symbol: str) -> int:
        return link.get(f"/signals/history?symbol={symbol}&limit={LIMIT}").count(b'"signal_id"')

    return ask


def _bare(running: ExitStack, target: str | Path) -> Ask:
    link = running.enter_context(closing(connect(target)))
    query = QUERY.format("%s" if isinstance(target, str) else "?")
    if isinstance(target, str):
        link.autocommit = True
    cursor = link.cursor()

    def ask(symbol: str) -> int:
        cursor.execute(query, [symbol])
        return len(cursor.fetchall()) - 1

    return ask


def _times(asks: dict[tuple[int, str], Ask]) -> dict[tuple[int, str], list[float]]:
    times: dict[tuple[int, str], list[float]] = {name: [] for name in asks}
    for lap in range(-WARM_LAPS, LAPS):
        symbol = f"S{lap % SYMBOLS}USDT"
        for name, ask in asks.items():
            begun = time.perf_counter()
            count = ask(symbol)
            spent = time.perf_counter() - begun
            if count != LIMIT:
                raise RuntimeError(f"{count} signals of {symbol} where {LIMIT} are asked for")
            if lap >= 0:
                times[name].append(spent)
    return times
