"""Klines leave in bulk with the very bytes that they have one by one, and one by one where trades were changed."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from market_simulator.futures.market import FuturesMarket
from market_simulator.futures_markets import FuturesListing
from market_simulator.market import SymbolMarket
from market_simulator.spot_markets import SpotMarkets
from market_simulator.stage.washing import WashTrading
from market_simulator.trading.session_market import SessionMarket
from market_simulator.wire.kline_rows import FEW, futures_bars, futures_row, spot_bars, spot_row

TAPES = Path(__file__).parents[2] / "tape"
AT_MS = 1_786_200_012_345
INTERVALS = ["1m", "1h", "12h", "1d", "1w", "1M"]
ASKED: list[dict[str, Any]] = [
    {"limit": FEW - 1}, {"limit": 700}, {"limit": 90, "start_ms": AT_MS - 10**10, "end_ms": AT_MS - 10**8},
    {"limit": 500, "end_ms": 0},
]  # fmt: skip


@pytest.fixture(scope="module")
def spot() -> dict[str, SymbolMarket]:
    return dict(SpotMarkets(TAPES).make(3))


@pytest.fixture(scope="module")
def futures(spot: dict[str, SymbolMarket]) -> dict[str, FuturesMarket]:
    made = FuturesListing(TAPES, SpotMarkets(TAPES).tapes).make(3, spot)
    return {symbol: made[symbol] for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT", "XRPUSDT")}


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("scale", [1, 1000])
def test_spot_rows_in_bulk_are_those_made_one_by_one(spot: dict[str, SymbolMarket], interval: str, scale: int) -> None:
    for market in spot.values():
        for asked in ASKED:
            bulk = spot_bars(market, AT_MS, interval, asked, scale)
            rows = [spot_row(bar, scale) for bar in market.klines(AT_MS, interval, **asked)]
            assert isinstance(bulk, orjson.Fragment) == (len(rows) >= FEW)
            assert orjson.dumps(bulk) == orjson.dumps(rows), (market.info.symbol, asked)


@pytest.mark.parametrize("interval", INTERVALS)
def test_futures_rows_in_bulk_are_those_made_one_by_one(futures: dict[str, FuturesMarket], interval: str) -> None:
    for market in futures.values():
        for asked in ASKED:
            bulk = futures_bars(market, AT_MS, interval, asked)
            rows = [futures_row(market.contract, bar) for bar in market.klines(AT_MS, interval, **asked)]
            assert isinstance(bulk, orjson.Fragment) == (len(rows) >= FEW)
            assert orjson.dumps(bulk) == orjson.dumps(rows), (market.contract.symbol, asked)


def test_washed_trades_are_in_the_bars() -> None:
    market = SessionMarket(SpotMarkets(TAPES).make(3, ["BTCUSDT"])["BTCUSDT"])
    market.advance(AT_MS)
    assert isinstance(spot_bars(market, AT_MS, "1m", {"limit": FEW}, 1), orjson.Fragment)
    plain = orjson.loads(orjson.dumps(spot_bars(market, AT_MS + 60_000, "1m", {"limit": FEW}, 1)))
    market.wash(WashTrading(AT_MS + 1, AT_MS + 50_000, 1.0, market.info.step_size, 3))
    market.advance(AT_MS + 60_000)
    washed = spot_bars(market, AT_MS + 60_000, "1m", {"limit": FEW}, 1)
    assert isinstance(washed, list)
    assert len(washed) == len(plain)
    assert washed[:-2] == plain[:-2]
    assert washed[-2:] != plain[-2:]


def test_a_session_leaves_the_bulk_way_with_its_first_own_trade() -> None:
    market = SessionMarket(SpotMarkets(TAPES).make(3, ["BTCUSDT"])["BTCUSDT"])
    market.advance(AT_MS)
    plain = orjson.loads(orjson.dumps(spot_bars(market, AT_MS, "1m", {"limit": FEW}, 1)))
    market.place("BUY", "MARKET", 10 * market.info.step_size)
    rows = spot_bars(market, AT_MS, "1m", {"limit": FEW}, 1)
    assert isinstance(rows, list)
    assert rows[-1][8] > plain[-1][8]
