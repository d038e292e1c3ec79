"""The REST calls."""

from typing import Any, Literal

from shared.service import Service
from shared.web.models import Answer, Query
from websocket_streaming.channels import Channels
from websocket_streaming.market_routes import MarketName, named
from websocket_streaming.topics import MARKETS


class MarketQuery(Query):
    """Which market."""

    market: MarketName = "spot"


class PriceUpdate(Answer):
    """The newest price with its 24 h figures; as the event `price_update`. Futures' mark price stands beside."""

    symbol: str
    price: float
    volume: float
    high: float
    low: float
    change: float
    changePercent: float
    timestamp: str
    venue: Literal["binance", "simulator"]
    market: MarketName
    seq: int
    epoch: str
    stale: bool


class PriceAnswer(Answer):
    """`age_ms` is by the exchange's clock; `stale` says that the price may not be the market's any more."""

    data: PriceUpdate
    source: Literal["cache", "rest"]
    age_ms: int
    stale: bool


class SymbolsData(Answer):
    """Symbols streamed from the start on, symbols streamed now, and the markets served."""

    default_symbols: list[str]
    active_symbols: list[str]
    supported: str


class SymbolsAnswer(Answer):
    """The symbols."""

    data: SymbolsData


class ListedData(Answer):
    """Every symbol of one market that trades now, in alphabetical order; some thousands."""

    market: MarketName
    symbols: list[str]


class ListedAnswer(Answer):
    """The list."""

    data: ListedData


def add_routes(service: Service, channels: Channels, price_limit: int) -> None:
    """Put the calls on the service."""

    @service.route(
        "GET", "/price/<symbol>", limit=price_limit, query=MarketQuery, answer=PriceAnswer, hot=True,
        summary="The newest price of a symbol",
    )  # fmt: skip
    def price(symbol: str, query: MarketQuery) -> dict[str, Any]:
        update, source, age_s, stale = channels.newest_price(named(symbol, query.market))
        return {"data": update, "source": source, "age_ms": round(age_s * 1000), "stale": stale}

    @service.route("GET", "/symbols", answer=SymbolsAnswer, summary="The symbols streamed now")
    def symbols() -> dict[str, Any]:
        document = {
            "default_symbols": list(dict.fromkeys(topic.symbol for topic in channels.subscriptions.permanent)),
            "active_symbols": channels.active_symbols,
            "supported": f"any symbol that the exchange lists on {' or '.join(MARKETS)}, on demand",
        }
        return {"data": document}

    @service.route(
        "GET", "/symbols/listed", limit=price_limit, query=MarketQuery, answer=ListedAnswer,
        summary="Every symbol that the exchange lists on a market",
    )  # fmt: skip
    def listed(query: MarketQuery) -> dict[str, Any]:
        return {"data": {"market": query.market, "symbols": channels.listings[query.market].names()}}
