"""Memory stays as it is however many laps go by: what is kept is bounded, whatever the speed."""

import gc
import tracemalloc
from pathlib import Path

import pytest

from market_simulator.live import EPOCH_MS
from market_simulator.market import SymbolMarket
from market_simulator.recorded.market import RecordedMarket
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

TAPES = Path(__file__).parents[2] / "tape"
START_MS = EPOCH_MS + 2_400 * 86_400_000
LAP_MS = 345_793
PLAYED_MS = 5_000


def go(market: SymbolMarket, from_ms: int, laps: int) -> int:
    """Go on lap by lap, over each seam, with what a client asks meanwhile; the instant reached."""
    at_ms = from_ms
    for _ in range(laps):
        at_ms += LAP_MS
        market.advance(at_ms - PLAYED_MS // 2)
        market.advance(at_ms + PLAYED_MS // 2)
        market.window(at_ms, 86_400_000)
        market.klines(at_ms, "1m", limit=50)
        market.trades(at_ms, limit=100)
    return at_ms


def traced() -> int:
    """Bytes in use, garbage aside."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("kind", ["recorded", "generated"])
def test_memory_is_flat_over_the_laps(kind: str) -> None:
    market: SymbolMarket
    if kind == "recorded":
        market = RecordedMarket(RECORDED[0], load_tape(TAPES / "binance-spot-btcusdt_20240808.txt.gz"))
    else:
        market = GeneratedMarket(*GENERATED[0], seed=1)
        list(market.prepare(START_MS + 10**9))
    tracemalloc.start()
    try:
        for day in range(5):  # fill what is kept of days and minutes
            market.window(START_MS + day * 86_400_000, 86_400_000)
        market.trades(START_MS, limit=20_000)
        at_ms = go(market, START_MS, 30)
        before = traced()
        at_ms = go(market, at_ms, 120)
        after = traced()
    finally:
        tracemalloc.stop()
    assert at_ms == START_MS + 150 * LAP_MS
    assert after - before < 100_000, f"{after - before} bytes more after 120 laps"
