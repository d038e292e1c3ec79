"""Stream names and routes of USDT-M futures: the grammar of binance-wire.md 7."""

import contextlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.wire.futures_streams import ROUTES, is_served_on, parse_futures_stream
from market_simulator.wire.streams import Channel, Kind, MalformedStream

pytestmark = pytest.mark.unit
Futures = partial(Channel, market="futures")


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("btcusdt@trade", Futures(Kind.TRADE, "BTCUSDT")),
        ("btcusdt@aggTrade", Futures(Kind.AGG_TRADE, "BTCUSDT")),
        ("btcusdt@bookTicker", Futures(Kind.BOOK_TICKER, "BTCUSDT")),
        ("btcusdt@kline_1M", Futures(Kind.KLINE, "BTCUSDT", 250, "1M")),
        ("btcusdt_perpetual@continuousKline_5m", Futures(Kind.CONTINUOUS_KLINE, "BTCUSDT", 250, "5m")),
        ("btcusdt_next_quarter@continuousKline_5m", Futures(Kind.SILENT, "BTCUSDT", 250, "5m")),
        ("btcusdt@markPrice", Futures(Kind.MARK_PRICE, "BTCUSDT", 3000)),
        ("btcusdt@markPrice@1s", Futures(Kind.MARK_PRICE, "BTCUSDT", 1000)),
        ("!markPrice@arr", Futures(Kind.ALL_MARK_PRICES, period_ms=3000)),
        ("!markPrice@arr@1s", Futures(Kind.ALL_MARK_PRICES, period_ms=1000)),
        ("btcusdt@ticker", Futures(Kind.TICKER, "BTCUSDT", 2000)),
        ("!ticker@arr", Futures(Kind.ALL_TICKERS, period_ms=1000)),
        ("!bookTicker", Futures(Kind.ALL_BOOK_TICKERS, period_ms=5000)),
        ("btcusdt@depth", Futures(Kind.DEPTH, "BTCUSDT", 250)),
        ("btcusdt@depth@500ms", Futures(Kind.DEPTH, "BTCUSDT", 500)),
        ("btcusdt@depth20@100ms", Futures(Kind.PARTIAL_DEPTH, "BTCUSDT", 100, levels=20)),
        ("!contractInfo", Futures(Kind.SILENT)),
    ],
)
def test_a_documented_name_means_its_channel(name: str, channel: Channel) -> None:
    assert parse_futures_stream(name) == channel


@pytest.mark.parametrize(
    "name",
    [
        "", "btcusdt", "btcusdt@", "btcusdt@kline_1s", "btcusdt@kline_1m@+08:00", "btcusdt@depth@1000ms",
        "btcusdt@depth7", "btcusdt@avgPrice", "btcusdt@ticker_1h", "btcusdt@continuousKline_1m",
        "btcusdt_perpetual@continuousKline_1s", "!ticker_1h@arr", "!markPrice@arr@3s", "btcusdt@markPrice@2s",
    ],
)  # fmt: skip
def test_anything_else_is_malformed(name: str) -> None:
    with pytest.raises(MalformedStream):
        parse_futures_stream(name)


@given(st.text(max_size=100))
def test_no_text_breaks_the_parser(name: str) -> None:
    with contextlib.suppress(MalformedStream):
        assert parse_futures_stream(name)


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("btcusdt@bookTicker", {"public"}), ("!bookTicker", {"public"}), ("btcusdt@depth5", {"public"}),
        ("btcusdt@depth@100ms", {"public"}), ("btcusdt@aggTrade", {"market"}), ("btcusdt@kline_1m", {"market"}),
        ("!forceOrder@arr", {"market"}), ("btcusdt@markPrice", {"market"}), ("btcusdt@trade", {"public", "market"}),
    ],
)  # fmt: skip
def test_each_channel_has_its_route(name: str, routes: set[str]) -> None:
    channel = parse_futures_stream(name)
    assert {route for route in ROUTES if is_served_on(route, channel)} == routes
