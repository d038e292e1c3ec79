"""Events of a market as the exchange's payloads, keys in wire order (binance-wire.md 4).

`scale` is 1 for milliseconds and 1000 for microseconds (`timeUnit=MICROSECOND`); ids and times are integers, all other
figures strings.
"""

from typing import Any

from market_simulator.market import BookTicker, BookView, DepthUpdate, Kline, SymbolInfo, Trade, Window
from market_simulator.wire.aggregates import Aggregate
from market_simulator.wire.numbers import fixed8, levels8, percent3, quote8

Payload = dict[str, Any]


def trade(info: SymbolInfo, event: Trade, scale: int = 1) -> Payload:
    return {
        "e": "trade", "E": event.event_ms * scale, "s": info.symbol, "t": event.id, "p": fixed8(event.price),
        "q": fixed8(event.quantity), "T": event.at_ms * scale, "m": event.buyer_is_maker, "M": True,
    }  # fmt: skip


def agg_trade(info: SymbolInfo, event: Aggregate, scale: int = 1) -> Payload:
    first, last = event.first, event.last
    return {
        "e": "aggTrade", "E": last.event_ms * scale, "s": info.symbol, "a": first.id, "p": fixed8(first.price),
        "q": fixed8(event.quantity), "f": first.id, "l": last.id, "T": first.at_ms * scale,
        "m": first.buyer_is_maker, "M": True,
    }  # fmt: skip


def book_ticker(info: SymbolInfo, event: BookTicker, scale: int = 1) -> Payload:  # noqa: ARG001  # it holds no time
    (bid, bid_quantity), (ask, ask_quantity) = event.bid, event.ask
    return {
        "u": event.update_id, "s": info.symbol, "b": fixed8(bid), "B": fixed8(bid_quantity),
        "a": fixed8(ask), "A": fixed8(ask_quantity),
    }  # fmt: skip


def depth_update(info: SymbolInfo, event: DepthUpdate, scale: int = 1) -> Payload:
    return {
        "e": "depthUpdate", "E": event.event_ms * scale, "s": info.symbol, "U": event.first_id, "u": event.last_id,
        "b": levels8(event.bids), "a": levels8(event.asks),
    }  # fmt: skip


def partial_depth(info: SymbolInfo, event: DepthUpdate, book: BookView, levels: int, scale: int = 1) -> Payload:  # noqa: ARG001  # spot's shows neither
    """The best levels. `event`: the updates since the last push; only futures show it."""
    return best_levels(book, levels)


def best_levels(book: BookView, levels: int) -> Payload:
    """Partial depth, and the answer of REST's `/depth`."""
    bids, asks = book.bids[:levels], book.asks[:levels]
    return {"lastUpdateId": book.last_update_id, "bids": levels8(tuple(bids)), "asks": levels8(tuple(asks))}


def kline(info: SymbolInfo, event_ms: int, interval: str, bar: Kline, closed: bool, scale: int = 1) -> Payload:
    return {
        "e": "kline", "E": event_ms * scale, "s": info.symbol,
        "k": {
            "t": bar.open_ms * scale, "T": close_time(bar.close_ms, scale), "s": info.symbol, "i": interval,
            "f": bar.first_id, "L": bar.last_id, "o": fixed8(bar.open), "c": fixed8(bar.close),
            "h": fixed8(bar.high), "l": fixed8(bar.low), "v": fixed8(bar.volume), "n": bar.trades, "x": closed,
            "q": quote8(bar.quote_volume), "V": fixed8(bar.taker_buy_base), "Q": quote8(bar.taker_buy_quote), "B": "0",
        },
    }  # fmt: skip


def mini_ticker(info: SymbolInfo, window: Window, scale: int = 1) -> Payload:
    return {
        "e": "24hrMiniTicker", "E": window.close_ms * scale, "s": info.symbol, "c": fixed8(window.last),
        "o": fixed8(window.open), "h": fixed8(window.high), "l": fixed8(window.low), "v": fixed8(window.volume),
        "q": quote8(window.quote_volume),
    }  # fmt: skip


def ticker(info: SymbolInfo, window: Window, best: BookTicker, scale: int = 1) -> Payload:
    change = window.last - window.open
    return {
        "e": "24hrTicker", "E": window.close_ms * scale, "s": info.symbol, "p": fixed8(change),
        "P": percent3(change, window.open), "w": fixed8(average_price(window)), "x": fixed8(window.previous_close),
        "c": fixed8(window.last), "Q": fixed8(window.last_quantity), "b": fixed8(best.bid[0]),
        "B": fixed8(best.bid[1]), "a": fixed8(best.ask[0]), "A": fixed8(best.ask[1]), "o": fixed8(window.open),
        "h": fixed8(window.high), "l": fixed8(window.low), "v": fixed8(window.volume),
        "q": quote8(window.quote_volume), "O": window.open_ms * scale, "C": window.close_ms * scale,
        "F": window.first_id, "L": window.last_id, "n": window.count,
    }  # fmt: skip


def window_ticker(info: SymbolInfo, name: str, window: Window, scale: int = 1) -> Payload:
    """`name` is the window: 1h, 4h, 1d."""
    change = window.last - window.open
    return {
        "e": f"{name}Ticker", "E": window.close_ms * scale, "s": info.symbol, "p": fixed8(change),
        "P": percent3(change, window.open), "o": fixed8(window.open), "h": fixed8(window.high),
        "l": fixed8(window.low), "c": fixed8(window.last), "w": fixed8(average_price(window)),
        "v": fixed8(window.volume), "q": quote8(window.quote_volume), "O": window.open_ms * scale,
        "C": window.close_ms * scale, "F": window.first_id, "L": window.last_id, "n": window.count,
    }  # fmt: skip


def avg_price(info: SymbolInfo, event_ms: int, price: int, last_trade_ms: int, scale: int = 1) -> Payload:
    return {
        "e": "avgPrice", "E": event_ms * scale, "s": info.symbol, "i": "5m", "w": fixed8(price),
        "T": last_trade_ms * scale,
    }  # fmt: skip


def reference_price(info: SymbolInfo, event_ms: int, price: int, scale: int = 1) -> Payload:
    return {"e": "referencePrice", "s": info.symbol, "r": fixed8(price), "t": event_ms * scale}


def server_shutdown(event_ms: int, scale: int = 1) -> Payload:
    return {"e": "serverShutdown", "E": event_ms * scale}


def average_price(window: Window) -> int:
    """Volume-weighted average of a window's trades; the last price where nothing traded. Units of 1e-8."""
    return window.quote_volume // window.volume if window.volume else window.last


def close_time(close_ms: int, scale: int) -> int:
    """A bar's end: the last millisecond, or the last microsecond, before the next one's begin."""
    return (close_ms + 1) * scale - 1
