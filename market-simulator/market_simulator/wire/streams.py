"""Stream names of spot (binance-wire.md 4), and what a name of either market means.

A name that follows the grammar is accepted whatever its symbol; only what the grammar doesn't know is malformed.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from market_simulator.klines.intervals import INTERVALS

MAX_NAME = 80
OFFSET_MS = {"": 0, "@+08:00": 8 * 3_600_000}
WINDOWS_MS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "1d": 24 * 3_600_000}


class Kind(StrEnum):
    """What a stream carries."""

    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    KLINE = "kline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    WINDOW_TICKER = "ticker_"
    BOOK_TICKER = "bookTicker"
    DEPTH = "depth"
    PARTIAL_DEPTH = "depth<n>"
    AVG_PRICE = "avgPrice"
    ALL_MINI_TICKERS = "!miniTicker@arr"
    ALL_WINDOW_TICKERS = "!ticker_@arr"
    ALL_TICKERS = "!ticker@arr"
    ALL_BOOK_TICKERS = "!bookTicker"
    CONTINUOUS_KLINE = "continuousKline"
    MARK_PRICE = "markPrice"
    ALL_MARK_PRICES = "!markPrice@arr"
    LIQUIDATION = "forceOrder"
    ALL_LIQUIDATIONS = "!forceOrder@arr"
    REFERENCE_PRICE = "referencePrice"
    SILENT = "silent"  # well-formed, and this market has none: block trades, contract changes, composite indexes


@dataclass(frozen=True, slots=True)
class Channel:
    """What a name means: two names of one meaning (`@depth`, `@depth@1000ms`) are one channel.

    `symbol` is upper case, empty for the all-market arrays. `period_ms` 0: pushed as it happens.
    """

    kind: Kind
    symbol: str = ""
    period_ms: int = 0
    interval: str = ""  # kline interval or ticker window
    offset_ms: int = 0  # kline bars cut at UTC+08:00
    levels: int = 0  # partial depth
    market: Literal["spot", "futures"] = "spot"


class MalformedStream(ValueError):
    """The text is no stream name (command error code 2)."""


_PLAIN = {
    "trade": (Kind.TRADE, 0),
    "aggTrade": (Kind.AGG_TRADE, 0),
    "bookTicker": (Kind.BOOK_TICKER, 0),
    "miniTicker": (Kind.MINI_TICKER, 1000),
    "ticker": (Kind.TICKER, 1000),
    "avgPrice": (Kind.AVG_PRICE, 1000),
    "referencePrice": (Kind.REFERENCE_PRICE, 1000),
    "blockTrade": (Kind.SILENT, 0),
}
_SYMBOL = re.compile(r"[\w.\-]{1,50}")  # \w: symbols may hold letters beyond ASCII
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms|@1000ms)?")
_KLINE = re.compile(r"kline_([0-9]{1,2}[smhdwM])(@\+08:00)?")
_TICKER = re.compile(r"ticker_(1h|4h|1d)")


def parse_stream(name: str) -> Channel:
    """The channel that a stream name asks for. Raises MalformedStream.

    A symbol in upper case is well-formed but names nothing: stream symbols are lower case.
    """
    if name.startswith("!"):
        return _parse_array(name)
    known, rest = split_name(name)
    if rest in _PLAIN:
        kind, period = _PLAIN[rest]
        return Channel(kind, known, period)
    if match := _DEPTH.fullmatch(rest):
        levels, speed = match.groups()
        kind = Kind.PARTIAL_DEPTH if levels else Kind.DEPTH
        return Channel(kind, known, 100 if speed == "@100ms" else 1000, levels=int(levels or 0))
    if (match := _KLINE.fullmatch(rest)) and match[1] in INTERVALS:
        period = 1000 if match[1] == "1s" else 2000
        return Channel(Kind.KLINE, known, period, interval=match[1], offset_ms=OFFSET_MS[match[2] or ""])
    if match := _TICKER.fullmatch(rest):
        return Channel(Kind.WINDOW_TICKER, known, 1000, interval=match[1])
    raise MalformedStream(name)


def split_name(name: str) -> tuple[str, str]:
    """The symbol as payloads write it, and what stands behind its `@`. Raises MalformedStream."""
    symbol, at, rest = name.partition("@")
    if len(name) > MAX_NAME or not at or not _SYMBOL.fullmatch(symbol):
        raise MalformedStream(name)
    return symbol.upper() if symbol == symbol.lower() else symbol.lower(), rest


def _parse_array(name: str) -> Channel:
    if name == "!miniTicker@arr":
        return Channel(Kind.ALL_MINI_TICKERS, period_ms=1000)
    if match := re.fullmatch(r"!ticker_(1h|4h|1d)@arr", name):
        return Channel(Kind.ALL_WINDOW_TICKERS, period_ms=1000, interval=match[1])
    raise MalformedStream(name)  # !ticker@arr and !bookTicker were switched off on spot
