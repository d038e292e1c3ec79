"""Payloads: exactly the keys of binance-wire.md 4, in its order; strings padded, ids and times integers."""

from typing import Any

import orjson
import pytest

from market_simulator.market import BookTicker, BookView, DepthUpdate, Kline, SymbolInfo, Trade, Window
from market_simulator.wire import payloads
from market_simulator.wire.aggregates import Aggregate
from market_simulator.wire.numbers import fixed8, percent3, quote8

pytestmark = pytest.mark.unit

X = SymbolInfo("X", "X", "USDT", 1, 1, "recorded")
BTC = SymbolInfo("BTCUSDT", "BTC", "USDT", 1_000_000, 1_000, "recorded")
TRADE = Trade(3735683259, 6183763000000, 2000000, 1723161255342, 1723161255343, True)
BEST = BookTicker(50093239212, (6183763000000, 378826000), (6183764000000, 154698000))
DEPTH = DepthUpdate(50093239203, 50093239207, 1723161255308, ((5565387000000, 0),), ((6183804000000, 33332000),))
BAR = Kline(60_000, 119_999, 100, 300, 50, 200, 10**8, 10**16, 7, 10**7, 10**15, 11, 17)
WINDOW = Window(
    0,
    86_400_000,
    200_00000000,
    300_00000000,
    50_00000000,
    150_00000000,
    5,
    2 * 10**8,
    3 * 10**18,
    1,
    9,
    9,
    199_00000000,
)


def test_a_trade_is_byte_for_byte_as_recorded() -> None:
    recorded = (
        b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",'
        b'"T":1723161255342,"m":true,"M":true}'
    )
    assert orjson.dumps(payloads.trade(BTC, TRADE)) == recorded


def test_a_book_ticker_is_byte_for_byte_as_recorded() -> None:
    recorded = (
        b'{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}'
    )
    assert orjson.dumps(payloads.book_ticker(BTC, BEST)) == recorded


def test_a_depth_update_is_byte_for_byte_as_recorded() -> None:
    recorded = (
        b'{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,'
        b'"b":[["55653.87000000","0.00000000"]],"a":[["61838.04000000","0.33332000"]]}'
    )
    assert orjson.dumps(payloads.depth_update(BTC, DEPTH)) == recorded


@pytest.mark.parametrize(
    ("payload", "keys"),
    [
        (payloads.agg_trade(X, Aggregate(TRADE, TRADE, 1)), "e E s a p q f l T m M"),
        (payloads.kline(X, 1, "1m", BAR, True), "e E s k"),
        (payloads.kline(X, 1, "1m", BAR, True)["k"], "t T s i f L o c h l v n x q V Q B"),
        (payloads.mini_ticker(X, WINDOW), "e E s c o h l v q"),
        (payloads.ticker(X, WINDOW, BEST), "e E s p P w x c Q b B a A o h l v q O C F L n"),
        (payloads.window_ticker(X, "4h", WINDOW), "e E s p P o h l c w v q O C F L n"),
        (payloads.avg_price(X, 1, 2, 3), "e E s i w T"),
        (payloads.partial_depth(X, DEPTH, BookView(1, [], []), 5), "lastUpdateId bids asks"),
        (payloads.server_shutdown(1), "e E"),
    ],
)
def test_keys_stand_in_wire_order(payload: dict[str, Any], keys: str) -> None:
    assert list(payload) == keys.split()


def test_microseconds_scale_every_time_and_nothing_else() -> None:
    ms, us = payloads.trade(X, TRADE), payloads.trade(X, TRADE, 1000)
    assert (us["E"], us["T"]) == (ms["E"] * 1000, ms["T"] * 1000)
    assert us["t"] == ms["t"]
    bar = payloads.kline(X, 1, "1m", BAR, True, 1000)["k"]
    assert (bar["t"], bar["T"]) == (60_000_000, 119_999_999)


def test_a_ticker_names_change_percent_and_average_of_its_window() -> None:
    ticker = payloads.ticker(X, WINDOW, BEST)
    assert (ticker["p"], ticker["P"]) == ("-50.00000000", "-25.000")
    assert ticker["w"] == fixed8(3 * 10**18 // (2 * 10**8))


def test_an_average_of_no_trades_is_the_last_price() -> None:
    empty = Window(0, 1, 5, 5, 5, 5, 0, 0, 0, -1, -1, 0, 5)
    assert payloads.average_price(empty) == 5


def test_partial_depth_shows_the_best_levels() -> None:
    book = BookView(7, [(3, 1), (2, 1), (1, 1)], [(4, 1)])
    shown = payloads.partial_depth(X, DEPTH, book, 2)
    assert shown["bids"] == [["0.00000003", "0.00000001"], ["0.00000002", "0.00000001"]]


def test_numbers_are_padded_exact_and_signed() -> None:
    assert fixed8(0) == "0.00000000"
    assert fixed8(-150_000_001) == "-1.50000001"
    assert quote8(123456789 * 10**8 + 5) == "1.23456789"
    assert [percent3(change, 100_000) for change in (-317, 0, 1, 50)] == ["-0.317", "0.000", "0.001", "0.050"]
    assert percent3(5, 0) == "0.000"
