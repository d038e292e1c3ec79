"""The REST calls."""

from typing import Any, Literal

from shared.errors import InvalidInput, NotFound
from shared.service import Service
from shared.web.models import Answer, Query
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.topics import SERVED_MARKETS, SPOT, read_symbol


class PriceQuery(Query):
    """Which market."""

    market: Literal["spot", "futures"] = "spot"


class PriceUpdate(Answer):
    """The newest price with its 24 h figures; the same as the event `price_update`."""

    symbol: str
    price: float
    volume: float
    high: float
    low: float
    change: float
    changePercent: float
    timestamp: str
    venue: Literal["binance", "simulator"]
    market: Literal["spot", "futures"]
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


def add_routes(service: Service, channel: PriceChannel, price_limit: int) -> None:
    """Put the calls on the service."""

    @service.route(
        "GET", "/price/<symbol>", limit=price_limit, query=PriceQuery, answer=PriceAnswer,
        summary="The newest price of a symbol",
    )  # fmt: skip
    def price(symbol: str, query: PriceQuery) -> dict[str, Any]:
        if query.market not in SERVED_MARKETS:
            raise InvalidInput.field("market", f"{query.market} is not served yet")
        name = read_symbol(symbol)
        if name is None:
            raise NotFound("that is not a symbol: 1 to 32 letters, digits or _")
        document, source, age_s = channel.price(name)
        return {"data": document, "source": source, "age_ms": round(age_s * 1000), "stale": document["stale"]}

    @service.route("GET", "/symbols", answer=SymbolsAnswer, summary="The symbols streamed now")
    def symbols() -> dict[str, Any]:
        document = {
            "default_symbols": [topic.symbol for topic in channel.subscriptions.permanent],
            "active_symbols": channel.active_symbols,
            "supported": f"any symbol that the exchange lists on {SPOT}, on demand",
        }
        return {"data": document}
