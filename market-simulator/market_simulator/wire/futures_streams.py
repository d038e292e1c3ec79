"""Stream names of USDT-M futures, and the route that each is served on (binance-wire.md 7)."""

import re

from market_simulator.klines.intervals import INTERVALS
from market_simulator.wire.streams import Channel, Kind, MalformedStream, split_name

NATIVE_DEPTH_MS = 0  # `@depth@0ms`: what the tape was recorded from; all other speeds are merged from it
LIQUIDATION_MS = 100  # how soon one is seen; the market makes at most one a second for a symbol
ROUTES = ("public", "market", "private")
PUBLIC = frozenset((Kind.BOOK_TICKER, Kind.ALL_BOOK_TICKERS, Kind.DEPTH, Kind.PARTIAL_DEPTH))

_PLAIN = {
    "trade": (Kind.TRADE, 0),
    "aggTrade": (Kind.AGG_TRADE, 0),
    "bookTicker": (Kind.BOOK_TICKER, 0),
    "miniTicker": (Kind.MINI_TICKER, 2000),
    "ticker": (Kind.TICKER, 2000),
    "markPrice": (Kind.MARK_PRICE, 3000),
    "markPrice@1s": (Kind.MARK_PRICE, 1000),
    "forceOrder": (Kind.LIQUIDATION, LIQUIDATION_MS),
    "compositeIndex": (Kind.SILENT, 0),
    "rpiDepth": (Kind.SILENT, 0),
    "rpiDepth@500ms": (Kind.SILENT, 0),
}
_ALL = {
    "!miniTicker@arr": (Kind.ALL_MINI_TICKERS, 1000),
    "!ticker@arr": (Kind.ALL_TICKERS, 1000),
    "!bookTicker": (Kind.ALL_BOOK_TICKERS, 5000),
    "!markPrice@arr": (Kind.ALL_MARK_PRICES, 3000),
    "!markPrice@arr@1s": (Kind.ALL_MARK_PRICES, 1000),
    "!forceOrder@arr": (Kind.ALL_LIQUIDATIONS, LIQUIDATION_MS),
    "!contractInfo": (Kind.SILENT, 0),
    "!assetIndex@arr": (Kind.SILENT, 0),
    "tradingSession": (Kind.SILENT, 0),
}
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500)ms)?")
_KLINE = re.compile(r"kline_([0-9]{1,2}[mhdwM])")
_CONTINUOUS = re.compile(r"continuousKline_([0-9]{1,2}[mhdwM])")
_CONTRACT = re.compile(r"(.+)_(PERPETUAL|CURRENT_QUARTER|NEXT_QUARTER)")


def parse_futures_stream(name: str) -> Channel:
    """The channel that a stream name asks for. Raises MalformedStream."""
    if name in _ALL:
        kind, period = _ALL[name]
        return Channel(kind, period_ms=period, market="futures")
    symbol, rest = split_name(name)
    if rest in _PLAIN:
        kind, period = _PLAIN[rest]
        return Channel(kind, symbol, period, market="futures")
    if match := _DEPTH.fullmatch(rest):
        levels, speed = match.groups()
        kind = Kind.PARTIAL_DEPTH if levels else Kind.DEPTH
        return Channel(kind, symbol, int(speed or 250), levels=int(levels or 0), market="futures")
    if (match := _KLINE.fullmatch(rest)) and match[1] in INTERVALS:
        return Channel(Kind.KLINE, symbol, 250, interval=match[1], market="futures")
    contract = _CONTRACT.fullmatch(symbol)
    if contract and (match := _CONTINUOUS.fullmatch(rest)) and match[1] in INTERVALS:
        kind = Kind.CONTINUOUS_KLINE if contract[2] == "PERPETUAL" else Kind.SILENT
        return Channel(kind, contract[1], 250, interval=match[1], market="futures")
    raise MalformedStream(name)


def is_served_on(route: str, channel: Channel) -> bool:
    """Whether a route carries a channel: on the wrong one it is accepted and stays silent, as all is on `/private`.

    Trades are undocumented: by the documents' rule they are on `/market`, ccxt asks for them on `/public`.
    """
    if route == "private":
        return False
    if channel.kind is Kind.TRADE:
        return True
    return (channel.kind in PUBLIC) == (route == "public")
