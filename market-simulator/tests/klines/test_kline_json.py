"""The bulk form of klines: the same rows, digit by digit, as the wire makes one by one."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from market_simulator.klines.bars import Bars, Ints
from market_simulator.klines.kline_json import kline_json
from market_simulator.klines.kline_table import KlineTable
from market_simulator.live import LiveMarket
from market_simulator.market import Kline
from market_simulator.recorded.market import RecordedMarket
from market_simulator.repricing import flash_crash
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.wire.numbers import fixed8, quote8
from market_simulator.wire.payloads import close_time

TAPES = Path(__file__).parents[2] / "tape"
AT_MS = 1_786_200_012_345
YEAR = 525_600


def rows_of(klines: list[Kline], scale: int) -> list[list[Any]]:
    """As /api/v3/klines answers, from one bar at a time."""
    return [
        [
            bar.open_ms * scale, fixed8(bar.open), fixed8(bar.high), fixed8(bar.low), fixed8(bar.close),
            fixed8(bar.volume), close_time(bar.close_ms, scale), quote8(bar.quote_volume), bar.trades,
            fixed8(bar.taker_buy_base), quote8(bar.taker_buy_quote), "0",
        ]
        for bar in klines
    ]  # fmt: skip


def generated(symbol: str) -> LiveMarket:
    info, profile = next(one for one in GENERATED if one[0].symbol == symbol)
    return GeneratedMarket(info, profile, seed=11)


def recorded() -> LiveMarket:
    return RecordedMarket(RECORDED[0], load_tape(TAPES / "binance-spot-btcusdt_20240808.txt.gz"))


MARKETS: dict[str, Callable[[], LiveMarket]] = {
    "recorded": recorded,
    "BNBUSDT": partial(generated, "BNBUSDT"),
    "PEPEUSDT": partial(generated, "PEPEUSDT"),
}


@pytest.mark.parametrize("name", MARKETS)
@pytest.mark.parametrize("scale", [1, 1000])
def test_the_bytes_are_the_rows_that_the_wire_makes_one_by_one(name: str, scale: int) -> None:
    market = MARKETS[name]()
    price = market.trades(AT_MS, limit=1)[0].price // market.info.tick_size
    market.reprice(flash_crash(AT_MS - 600_000, 300_000, price // 5, market.info.tick_size, 1))
    for interval in ("1s", "1m", "1h", "12h", "1d", "1w", "1M"):
        table = market.klines_table(AT_MS, interval, limit=500)
        assert len(table) >= 80
        assert json.loads(kline_json(table, scale)) == rows_of(table.klines(), scale)


def test_no_bars_are_an_empty_list() -> None:
    table = recorded().klines_table(AT_MS, "1h", limit=5, end_ms=0)
    assert (kline_json(table), table.klines(), len(table)) == (b"[]", [], 0)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=object if max(values) >= 2**63 else np.int64)


@given(
    prices=st.lists(st.integers(0, 10**12), min_size=4, max_size=4),
    volumes=st.lists(st.integers(0, 10**13), min_size=2, max_size=2),
    quotes=st.lists(st.integers(0, 10**22), min_size=2, max_size=2),
    count=st.integers(0, 10**7),
    tick=st.sampled_from([1, 10, 500, 2_500_000, 10**6, 10**8, 10**9]),
    step=st.sampled_from([1, 1000, 25, 10**8, 10**10]),
)
def test_any_figures_are_exact_at_any_tick_and_step(
    prices: list[int], volumes: list[int], quotes: list[int], count: int, tick: int, step: int
) -> None:
    assume(max(quotes) * tick * step < 10**34)  # 10^18 in whole: more than there is money
    columns = (count, *prices, volumes[0], quotes[0], volumes[1], quotes[1])
    bars = Bars(*map(ints, columns))
    table = KlineTable(ints(AT_MS), ints(AT_MS + 59_999), ints(7), bars, tick, step)
    assert json.loads(kline_json(table)) == rows_of(table.klines(), 1)


@pytest.mark.parametrize("name", MARKETS)
def test_a_year_of_minutes_holds_every_bar_and_the_sums_of_its_days(name: str) -> None:
    market = MARKETS[name]()
    end_ms = AT_MS // 86_400_000 * 86_400_000
    year = market.klines_table(AT_MS, "1m", limit=YEAR, start_ms=end_ms - YEAR * 60_000, end_ms=end_ms - 1)
    days = market.klines_table(AT_MS, "1d", limit=365, end_ms=end_ms - 1)
    assert (len(year), len(days)) == (YEAR, 365)
    assert (np.diff(year.open_ms) == 60_000).all()
    starts = np.arange(0, YEAR, 1440)
    assert (np.add.reduceat(year.bars.volume, starts) == days.bars.volume).all()
    assert (np.add.reduceat(year.bars.quote, starts) == days.bars.quote).all()
    assert (np.add.reduceat(year.bars.buy_quote, starts) == days.bars.buy_quote).all()
    assert (np.add.reduceat(year.bars.count, starts) == days.bars.count).all()
    assert (np.maximum.reduceat(year.bars.high, starts) == days.bars.high).all()
    assert (year.first_ids[1:] == year.first_ids[:-1] + year.bars.count[:-1])[year.bars.count[1:] > 0].all()
