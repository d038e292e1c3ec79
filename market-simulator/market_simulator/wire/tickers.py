"""REST tickers (binance-wire.md 8.2): windows of trades as the exchange's documents, keys in its order."""

from typing import Any

from market_simulator.market import BookTicker, Window
from market_simulator.wire.numbers import fixed8, percent3, quote8
from market_simulator.wire.payloads import average_price

MINUTE_MS = 60_000
DAY_MS = 86_400_000

Document = dict[str, Any]


def day_ticker(symbol: str, window: Window, best: BookTicker, scale: int) -> Document:
    """`/ticker/24hr`, FULL."""
    return {
        **_change(symbol, window),
        "prevClosePrice": fixed8(window.previous_close), "lastPrice": fixed8(window.last),
        "lastQty": fixed8(window.last_quantity), "bidPrice": fixed8(best.bid[0]), "bidQty": fixed8(best.bid[1]),
        "askPrice": fixed8(best.ask[0]), "askQty": fixed8(best.ask[1]), "openPrice": fixed8(window.open),
        "highPrice": fixed8(window.high), "lowPrice": fixed8(window.low), **_tail(window, scale),
    }  # fmt: skip


def window_ticker(symbol: str, window: Window, scale: int) -> Document:
    """`/ticker` and `/ticker/tradingDay`, FULL."""
    return {**_change(symbol, window), **_mini(window, scale)}


def mini_ticker(symbol: str, window: Window, scale: int) -> Document:
    """Any ticker, MINI."""
    return {"symbol": symbol, **_mini(window, scale)}


def rolling_length_ms(now_ms: int, length_ms: int) -> int:
    """A rolling window's true length: its begin is floored to the minute."""
    begin = now_ms - length_ms
    return now_ms - begin // MINUTE_MS * MINUTE_MS


def day_begin_ms(now_ms: int, offset_ms: int) -> int:
    """The begin of the trading day that holds `now_ms`, in a time zone `offset_ms` east of UTC."""
    return (now_ms + offset_ms) // DAY_MS * DAY_MS - offset_ms


def _change(symbol: str, window: Window) -> Document:
    change = window.last - window.open
    return {
        "symbol": symbol, "priceChange": fixed8(change), "priceChangePercent": percent3(change, window.open),
        "weightedAvgPrice": fixed8(average_price(window)),
    }  # fmt: skip


def _mini(window: Window, scale: int) -> Document:
    return {
        "openPrice": fixed8(window.open), "highPrice": fixed8(window.high), "lowPrice": fixed8(window.low),
        "lastPrice": fixed8(window.last), **_tail(window, scale),
    }  # fmt: skip


def _tail(window: Window, scale: int) -> Document:
    return {
        "volume": fixed8(window.volume), "quoteVolume": quote8(window.quote_volume),
        "openTime": window.open_ms * scale, "closeTime": window.close_ms * scale, "firstId": window.first_id,
        "lastId": window.last_id, "count": window.count,
    }  # fmt: skip
