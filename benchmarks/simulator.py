"""The simulator's domain: a year of minutes, lists of klines, memory over many laps. No server runs."""

import gc
import os
import sys
import time
from pathlib import Path

from benchmarks.report import Row
from benchmarks.services import rss_mb

SERVICE = Path(__file__).parent.parent / "market-simulator"
sys.path.insert(0, str(SERVICE))  # its package lies in a folder that is no package

# ruff: noqa: E402  # the path comes first
from market_simulator.klines.intervals import INTERVALS
from market_simulator.klines.kline_json import kline_json
from market_simulator.live import LiveMarket
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import Tape
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

YEAR = 525_600
AT_MS = 1_786_200_012_345  # 2026-08-08
LAPS = 1_000
PLAYED_MS = 10_000  # of each lap, around its seam, every event is made; the rest is jumped over
TAPE = SERVICE / "tape" / "binance-spot-btcusdt_20240808.txt.gz"


def measure() -> list[Row]:
    """The rows of this file."""
    tape = load_tape(TAPE)
    laps = _laps(tape)  # first: memory that a year of klines gave back would hide what the laps gain
    return [*_years(tape), *_lists(tape), *laps]


def _recorded(tape: Tape) -> LiveMarket:
    return RecordedMarket(RECORDED[0], tape)


def _generated() -> GeneratedMarket:
    return GeneratedMarket(*GENERATED[0], seed=1)


def _years(tape: Tape) -> list[Row]:
    rows, total_s = [], 0.0
    for kind, market in (("recorded", _recorded(tape)), ("generated", _generated())):
        begun = time.perf_counter()
        table = market.klines_table(AT_MS, "1m", limit=YEAR)
        made = time.perf_counter()
        kline_json(table)
        written = time.perf_counter()
        total_s += made - begun
        rows.append(Row(f"simulator: a year of 1m klines in columns, {kind}", made - begun, "s", ""))
        rows.append(Row(f"simulator: the same as JSON, {kind}", written - made, "s", ""))
    return [Row("simulator: a year of 1m klines in columns, both", total_s, "s", "≤ 0.5"), *rows]


def _lists(tape: Tape) -> list[Row]:
    """The slowest interval of each kind: what a list of 1,000 costs."""
    cold, prepared = {}, {}
    for interval in INTERVALS:
        cold[interval] = _list_ms(_generated(), interval)
        market = _generated()
        for _ in market.prepare(AT_MS):
            pass
        prepared[interval] = _list_ms(market, interval), _list_ms(market, interval)
    recorded = _recorded(tape)
    laps = {interval: _list_ms(recorded, interval) for interval in INTERVALS}
    firsts = {interval: first for interval, (first, _) in prepared.items()}
    laters = {interval: later for interval, (_, later) in prepared.items()}
    return [
        _slowest("generated, prepared, asked first", firsts, "≤ 30"),
        _slowest("generated, prepared, asked again", laters, "≤ 30"),
        _slowest("generated, not prepared", cold, ""),
        _slowest("recorded", laps, "≤ 30"),
    ]


def _list_ms(market: LiveMarket, interval: str) -> float:
    begun = time.perf_counter()
    market.klines(AT_MS, interval, limit=1000)
    return (time.perf_counter() - begun) * 1000


def _slowest(what: str, figures: dict[str, float], aim: str) -> Row:
    interval = max(figures, key=lambda one: figures[one])
    return Row(f"simulator: 1,000 klines, {what}: the slowest is {interval}", figures[interval], "ms", aim)


def _laps(tape: Tape) -> list[Row]:
    rows = []
    for kind, market in (("recorded", _recorded(tape)), ("generated", _generated())):
        at_ms = _go(market, AT_MS, 300, tape.lap_ms)  # more than a day: until the caches are full
        gc.collect()
        before = rss_mb(os.getpid())
        _go(market, at_ms, LAPS, tape.lap_ms)
        gc.collect()
        grown = rss_mb(os.getpid()) - before
        rows.append(Row(f"simulator: memory gained over 1,000 laps, {kind}", grown, "MB", "≤ 2"))
    return rows


def _go(market: LiveMarket, from_ms: int, laps: int, lap_ms: int) -> int:
    """So many laps, over each seam, with what clients ask; the instant reached."""
    at_ms = from_ms
    for _ in range(laps):
        at_ms += lap_ms
        market.advance(at_ms - PLAYED_MS // 2)
        market.advance(at_ms + PLAYED_MS // 2)
        market.window(at_ms, 86_400_000)
        market.klines(at_ms, "1m", limit=50)
    return at_ms
