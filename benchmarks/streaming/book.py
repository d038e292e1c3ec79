"""The order book: recorded updates applied a second, the best bid and ask read after each, beside ccxt.pro's book.

Updates of 100 ms, decoded before; both begin with the recorded snapshot (1,000 levels a side). ccxt is in the
development environment; its book is taken as its Binance client drives it.
"""

# ruff: noqa: E402  # the path comes first
import gzip
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import Row

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "websocket-streaming"))  # its folder is no package

from websocket_streaming.book_sync import BookSync
from websocket_streaming.ticks import Depth, Snapshot

TAPE = ROOT / "market-simulator" / "tape" / "binance-spot-btcusdt_20240808.txt.gz"
TIMES = 3  # through the recording, each time with a fresh book

Document = dict[str, Any]


def measure(rounds: int) -> list[Row]:
    """The row, and ccxt.pro's."""
    snapshot, updates = _recorded()
    sides: dict[str, Callable[[Document, list[Document]], float]] = {"ours": _ours, "ccxt.pro": _ccxt}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, run in sides.items():
            found[name].append(TIMES * len(updates) / sum(run(snapshot, updates) for _ in range(TIMES)))
    medians = {name: statistics.median(figures) / 1000 for name, figures in found.items()}
    ratio = medians["ours"] / medians["ccxt.pro"]
    said = f"≥ 5 × ccxt.pro: {ratio:.1f} ×, {'met' if ratio >= 5 else 'missed'}"
    return [
        Row("order book: updates of 100 ms applied, best read each time", medians["ours"], "k per CPU-s", said),
        Row("… ccxt.pro", medians["ccxt.pro"], "k per CPU-s", ""),
    ]


def _recorded() -> tuple[Document, list[Document]]:
    """The snapshot and the updates that follow it."""
    snapshot: Document = {}
    updates: list[Document] = []
    with gzip.open(TAPE) as lines:
        for line in lines:
            document = orjson.loads(line.partition(b" ")[2])
            if "lastUpdateId" in document:
                snapshot = document
            elif document.get("data", {}).get("e") == "depthUpdate":
                updates.append(document["data"])
    return snapshot, [update for update in updates if update["u"] > snapshot["lastUpdateId"]]


def _ours(snapshot: Document, updates: list[Document]) -> float:
    """Processor seconds; through the procedure that also checks the order and that the book isn't crossed."""
    depths = [Depth(u["E"], u["U"], u["u"], _levels(u["b"]), _levels(u["a"])) for u in updates]
    # Asked for more than came, as if these levels were all: the recorded price leaves them for good, and the service
    # would ask for another snapshot then, which a recording can't give.
    sync = BookSync("spot", len(snapshot["bids"]) + 1)
    assert sync.on_snapshot(Snapshot(snapshot["lastUpdateId"], _levels(snapshot["bids"]), _levels(snapshot["asks"])))
    used = time.process_time()
    for depth in depths:
        sync.on_depth(depth)
        assert sync.book is not None
        sync.book.bids.best(1)
        sync.book.asks.best(1)
    return time.process_time() - used


def _levels(pairs: list[list[str]]) -> list[tuple[str, str]]:
    return [(price, quantity) for price, quantity in pairs]


def _ccxt(snapshot: Document, updates: list[Document]) -> float:
    """Processor seconds; ccxt.pro's Binance client applies them."""
    import ccxt.pro

    client = ccxt.pro.binance()
    levels = {side: [[float(price), float(size)] for price, size in snapshot[side]] for side in ("bids", "asks")}
    book = client.order_book({**levels, "nonce": snapshot["lastUpdateId"]})
    used = time.process_time()
    for update in updates:
        client.handle_order_book_message(None, update, book)
        _best = book["bids"][0], book["asks"][0]
    return time.process_time() - used
