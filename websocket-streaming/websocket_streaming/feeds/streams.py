"""Which streams of the exchange a topic needs, and on which connection each is served.

Sources: binance-spot-api-docs, web-socket-streams.md; the USDT-M futures' change notice about routes (2026-03-06):
books on `/public`, the rest on `/market`. Futures' `@trade` is undocumented; ccxt.pro asks for it on `/public`.
"""

from websocket_streaming.topics import FUTURES, KLINES, LIQUIDATIONS, ORDERBOOK, PRICE, SPOT, TRADES, Topic

# By market: the path of each connection and what it carries.
ROUTES = {
    SPOT: {"/stream": frozenset(("trade", "ticker", "kline", "depth"))},
    FUTURES: {
        "/public/stream": frozenset(("trade", "depth")),
        "/market/stream": frozenset(("ticker", "markPrice", "kline", "forceOrder")),
    },
}
# What each channel listens to. Trades take the ticker's word for which trade is the newest.
KINDS = {
    PRICE: ("trade", "ticker"), TRADES: ("trade", "ticker"), KLINES: ("kline",), ORDERBOOK: ("depth",),
    LIQUIDATIONS: ("forceOrder",),
}  # fmt: skip
SUFFIXES = {"depth": "depth@100ms", "markPrice": "markPrice@1s"}


def streams(topic: Topic) -> list[tuple[str, str]]:
    """Route and name of each stream that the topic needs."""
    kinds = KINDS[topic.channel]
    if topic.channel == PRICE and topic.market == FUTURES:
        kinds = (*kinds, "markPrice")
    return [(_route(topic.market, kind), _name(topic, kind)) for kind in kinds]


def routes_of(market: str, channel: str) -> set[str]:
    """The connections that a channel stands on."""
    return {_route(market, kind) for kind in KINDS[channel] if _is_served(market, kind)}


def channels_of(market: str) -> list[str]:
    """The channels that a market has."""
    return [channel for channel, kinds in KINDS.items() if all(_is_served(market, kind) for kind in kinds)]


def _route(market: str, kind: str) -> str:
    return next(path for path, kinds in ROUTES[market].items() if kind in kinds)


def _is_served(market: str, kind: str) -> bool:
    return any(kind in kinds for kinds in ROUTES[market].values())


def _name(topic: Topic, kind: str) -> str:
    suffix = f"kline_{topic.interval}" if kind == "kline" else SUFFIXES.get(kind, kind)
    return f"{topic.symbol.lower()}@{suffix}"
