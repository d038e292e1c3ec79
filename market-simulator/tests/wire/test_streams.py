"""Stream names: the grammar of binance-wire.md 4."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.wire.streams import Channel, Kind, MalformedStream, parse_stream

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("btcusdt@trade", Channel(Kind.TRADE, "BTCUSDT")),
        ("btcusdt@aggTrade", Channel(Kind.AGG_TRADE, "BTCUSDT")),
        ("btcusdt@bookTicker", Channel(Kind.BOOK_TICKER, "BTCUSDT")),
        ("btcusdt@kline_1s", Channel(Kind.KLINE, "BTCUSDT", 1000, "1s")),
        ("btcusdt@kline_1M", Channel(Kind.KLINE, "BTCUSDT", 2000, "1M")),
        ("btcusdt@kline_1d@+08:00", Channel(Kind.KLINE, "BTCUSDT", 2000, "1d", 28_800_000)),
        ("btcusdt@miniTicker", Channel(Kind.MINI_TICKER, "BTCUSDT", 1000)),
        ("!miniTicker@arr", Channel(Kind.ALL_MINI_TICKERS, "", 1000)),
        ("btcusdt@ticker", Channel(Kind.TICKER, "BTCUSDT", 1000)),
        ("btcusdt@ticker_4h", Channel(Kind.WINDOW_TICKER, "BTCUSDT", 1000, "4h")),
        ("!ticker_1d@arr", Channel(Kind.ALL_WINDOW_TICKERS, "", 1000, "1d")),
        ("btcusdt@depth", Channel(Kind.DEPTH, "BTCUSDT", 1000)),
        ("btcusdt@depth@1000ms", Channel(Kind.DEPTH, "BTCUSDT", 1000)),
        ("btcusdt@depth@100ms", Channel(Kind.DEPTH, "BTCUSDT", 100)),
        ("btcusdt@depth5", Channel(Kind.PARTIAL_DEPTH, "BTCUSDT", 1000, levels=5)),
        ("btcusdt@depth20@100ms", Channel(Kind.PARTIAL_DEPTH, "BTCUSDT", 100, levels=20)),
        ("btcusdt@avgPrice", Channel(Kind.AVG_PRICE, "BTCUSDT", 1000)),
        ("btcusdt@blockTrade", Channel(Kind.SILENT, "BTCUSDT")),
        ("币安usdt@trade", Channel(Kind.TRADE, "币安USDT")),
    ],
)
def test_a_documented_name_means_its_channel(name: str, channel: Channel) -> None:
    assert parse_stream(name) == channel


def test_an_upper_case_symbol_is_well_formed_but_names_nothing() -> None:
    assert parse_stream("BTCUSDT@trade").symbol == "btcusdt"


@pytest.mark.parametrize(
    "name",
    [
        "", "btcusdt", "btcusdt@", "@trade", "btcusdt@trades", "btcusdt@kline", "btcusdt@kline_7m", "btcusdt@kline_1m@",
        "btcusdt@kline_1m@+09:00", "btcusdt@depth7", "btcusdt@depth@250ms", "btcusdt@ticker_2h", "btc usdt@trade",
        "!ticker@arr", "!bookTicker", "!miniTicker", "btcusdt@trade@100ms", "btcusdt@kline_1m\n", "1",
        "a" * 90 + "@trade",
    ],
)  # fmt: skip
def test_anything_else_is_malformed(name: str) -> None:
    with pytest.raises(MalformedStream):
        parse_stream(name)


@given(st.text(max_size=100))
def test_no_text_breaks_the_parser(name: str) -> None:
    with contextlib.suppress(MalformedStream):
        assert parse_stream(name)
