"""Events of a perpetual as the exchange's payloads, keys in the order of binance-wire.md 7.

The same names as in payloads.py, so that the hub speaks either. `st` is 1: USDT-M. `scale` is always 1: futures know
milliseconds only.
"""

from typing import Any

from market_simulator.futures.market import FuturesInfo, Liquidation, MarkPrice
from market_simulator.market import BookTicker, BookView, DepthUpdate, Kline, Trade, Window
from market_simulator.wire.aggregates import Aggregate
from market_simulator.wire.numbers import fixed8, padded, padded_levels, percent3
from market_simulator.wire.payloads import Payload, average_price

USDT_M = 1
QUOTE_PLACES = 2  # of a ticker's quote volume; a bar's has the decimals of price and quantity together


def trade(info: FuturesInfo, event: Trade, _scale: int = 1) -> Payload:
    return {
        "e": "trade", "E": event.event_ms, "T": event.at_ms, "s": info.symbol, "t": event.id,
        "p": padded(event.price, info.price_precision), "q": padded(event.quantity, info.quantity_precision),
        "X": "MARKET", "m": event.buyer_is_maker,
    }  # fmt: skip


def agg_trade(info: FuturesInfo, event: Aggregate, _scale: int = 1) -> Payload:
    first, last = event.first, event.last
    quantity = padded(event.quantity, info.quantity_precision)
    return {
        "e": "aggTrade", "E": last.event_ms, "s": info.symbol, "a": first.id,
        "p": padded(first.price, info.price_precision), "q": quantity, "nq": quantity, "f": first.id, "l": last.id,
        "T": first.at_ms, "m": first.buyer_is_maker, "st": USDT_M,
    }  # fmt: skip


def book_ticker(info: FuturesInfo, event: BookTicker, _scale: int = 1) -> Payload:
    price, quantity = info.price_precision, info.quantity_precision
    return {
        "e": "bookTicker", "u": event.update_id, "E": event.event_ms, "T": event.at_ms, "s": info.symbol,
        "b": padded(event.bid[0], price), "B": padded(event.bid[1], quantity),
        "a": padded(event.ask[0], price), "A": padded(event.ask[1], quantity), "ps": info.symbol, "st": USDT_M,
    }  # fmt: skip


def depth_update(info: FuturesInfo, event: DepthUpdate, _scale: int = 1) -> Payload:
    places = info.price_precision, info.quantity_precision
    return {
        "e": "depthUpdate", "E": event.event_ms, "T": event.at_ms, "s": info.symbol, "U": event.first_id,
        "u": event.last_id, "pu": event.previous_id, "b": padded_levels(event.bids, *places),
        "a": padded_levels(event.asks, *places), "ps": info.symbol, "st": USDT_M,
    }  # fmt: skip


def partial_depth(info: FuturesInfo, event: DepthUpdate, book: BookView, levels: int, _scale: int = 1) -> Payload:
    """The best levels, under the ids of the updates since the last push."""
    places = info.price_precision, info.quantity_precision
    return depth_update(info, event) | {
        "u": book.last_update_id,
        "b": padded_levels(book.bids[:levels], *places),
        "a": padded_levels(book.asks[:levels], *places),
    }


def kline(
    info: FuturesInfo, event_ms: int, interval: str, bar: Kline, closed: bool, _scale: int = 1
) -> Payload:
    return {"e": "kline", "E": event_ms, "s": info.symbol, "k": _bar(info, interval, bar, closed, {"s": info.symbol})}


def continuous_kline(
    info: FuturesInfo, event_ms: int, interval: str, bar: Kline, closed: bool, _scale: int = 1
) -> Payload:
    return {
        "e": "continuous_kline", "E": event_ms, "ps": info.symbol, "ct": info.contract_type,
        "k": _bar(info, interval, bar, closed, {}),
    }  # fmt: skip


def _bar(info: FuturesInfo, interval: str, bar: Kline, closed: bool, symbol: dict[str, str]) -> dict[str, Any]:
    price, quantity = info.price_precision, info.quantity_precision
    return {
        "t": bar.open_ms, "T": bar.close_ms, **symbol, "i": interval, "f": bar.first_id, "L": bar.last_id,
        "o": padded(bar.open, price), "c": padded(bar.close, price), "h": padded(bar.high, price),
        "l": padded(bar.low, price), "v": padded(bar.volume, quantity), "n": bar.trades, "x": closed,
        "q": bar_quote(info, bar.quote_volume), "V": padded(bar.taker_buy_base, quantity),
        "Q": bar_quote(info, bar.taker_buy_quote), "B": "0",
    }  # fmt: skip


def bar_quote(info: FuturesInfo, units: int) -> str:
    """A bar's quote volume (units of 1e-16)."""
    return padded(units // 10**8, min(8, info.price_precision + info.quantity_precision))


def day_quote(units: int) -> str:
    """A ticker's quote volume (units of 1e-16)."""
    return padded(units // 10**8, QUOTE_PLACES)


def mini_ticker(info: FuturesInfo, window: Window, _scale: int = 1) -> Payload:
    price = info.price_precision
    return {
        "e": "24hrMiniTicker", "E": window.close_ms, "s": info.symbol, "c": padded(window.last, price),
        "o": padded(window.open, price), "h": padded(window.high, price), "l": padded(window.low, price),
        "v": padded(window.volume, info.quantity_precision), "q": day_quote(window.quote_volume),
        "ps": info.symbol, "st": USDT_M,
    }  # fmt: skip


def ticker(info: FuturesInfo, window: Window, _scale: int = 1) -> Payload:
    price, quantity, change = info.price_precision, info.quantity_precision, window.last - window.open
    return {
        "e": "24hrTicker", "E": window.close_ms, "s": info.symbol, "p": padded(change, price),
        "P": percent3(change, window.open), "w": padded(average_price(window), price),
        "c": padded(window.last, price), "Q": padded(window.last_quantity, quantity),
        "o": padded(window.open, price), "h": padded(window.high, price), "l": padded(window.low, price),
        "v": padded(window.volume, quantity), "q": day_quote(window.quote_volume), "O": window.open_ms,
        "C": window.close_ms, "F": window.first_id, "L": window.last_id, "n": window.count, "ps": info.symbol,
        "st": USDT_M,
    }  # fmt: skip


def mark_price(info: FuturesInfo, mark: MarkPrice, _scale: int = 1) -> Payload:
    return {
        "e": "markPriceUpdate", "E": mark.at_ms, "s": info.symbol, "p": fixed8(mark.mark), "i": fixed8(mark.index),
        "P": fixed8(mark.settle), "r": fixed8(mark.rate), "ap": fixed8(mark.average), "T": mark.next_funding_ms,
        "st": USDT_M,
    }  # fmt: skip


def liquidation(info: FuturesInfo, event_ms: int, order: Liquidation, _scale: int = 1) -> Payload:
    """A symbol's own stream; the market fills the whole order at once."""
    quantity = padded(order.quantity, info.quantity_precision)
    return {
        "e": "forceOrder", "E": event_ms,
        "o": {
            "s": info.symbol, "S": order.side, "o": "LIMIT", "f": "IOC", "q": quantity,
            "p": padded(order.price, info.price_precision), "ap": padded(order.average_price, info.price_precision),
            "X": "FILLED", "l": quantity, "z": quantity, "T": order.at_ms,
        },
    }  # fmt: skip


def any_liquidation(info: FuturesInfo, event_ms: int, order: Liquidation, scale: int = 1) -> Payload:
    """The all-market stream's: one object a frame, in spite of its name."""
    return liquidation(info, event_ms, order, scale) | {"ps": info.symbol, "st": USDT_M}
