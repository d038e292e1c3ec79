"""The REST calls about order book, trades and klines: the live state where there is one, else the exchange's word."""

from functools import lru_cache
from typing import Any, Literal

from pydantic import Field

from shared.errors import InvalidInput, NotFound
from shared.service import Service
from shared.web.models import Answer, Query
from websocket_streaming.channels import Channels
from websocket_streaming.ticks import Symbol
from websocket_streaming.topics import FUTURES, read_symbol

MAX_ROWS = 1000
MarketName = Literal["spot", "futures"]
Interval = Literal["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]


class RowsQuery(Query):
    """Which market, and how many rows (levels of each side)."""

    market: MarketName = "spot"
    limit: int = Field(100, ge=1, le=MAX_ROWS)


class KlinesQuery(RowsQuery):
    """Which interval, too. Futures have no 1s."""

    interval: Interval = "1m"


class OrderBookData(Answer):
    """Best levels first, each [price, quantity], as of `update_id`."""

    symbol: str
    market: MarketName
    bids: list[list[float]]
    asks: list[list[float]]
    update_id: int
    venue: str
    seq: int
    epoch: str


class TradeData(Answer):
    """One trade; `side` is the taker's."""

    symbol: str
    market: MarketName
    trade_id: int
    price: float
    quantity: float
    side: Literal["buy", "sell"]
    buyer_is_maker: bool
    timestamp: str


class KlineData(Answer):
    """One bar; a final one never changes again."""

    symbol: str
    market: MarketName
    interval: Interval
    open_time: str
    close_time: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: int
    final: bool


class LiveAnswer(Answer):
    """`cache` is the live state, `rest` the exchange asked just now; `age_ms` is by the exchange's clock."""

    source: Literal["cache", "rest"]
    age_ms: int
    stale: bool


class OrderBookAnswer(LiveAnswer):
    """An order book."""

    data: OrderBookData


class TradesData(Answer):
    """Oldest first."""

    symbol: str
    market: MarketName
    trades: list[TradeData]


class TradesAnswer(LiveAnswer):
    """The newest trades."""

    data: TradesData


class KlinesData(Answer):
    """Oldest first; the last is under way."""

    symbol: str
    market: MarketName
    interval: Interval
    klines: list[KlineData]


class KlinesAnswer(LiveAnswer):
    """The newest klines."""

    data: KlinesData


def add_market_routes(service: Service, channels: Channels, limit_a_minute: int) -> None:
    """Put the calls on the service."""

    @service.route(
        "GET", "/orderbook/<symbol>", limit=limit_a_minute, query=RowsQuery, answer=OrderBookAnswer,
        summary="The order book of a symbol, best levels first",
    )  # fmt: skip
    def order_book(symbol: str, query: RowsQuery) -> dict[str, Any]:
        document, source, age_s, stale = channels.order_book(named(symbol, query.market), query.limit)
        return _answer(document, source, age_s, stale)

    @service.route(
        "GET", "/trades/<symbol>", limit=limit_a_minute, query=RowsQuery, answer=TradesAnswer,
        summary="The newest trades of a symbol",
    )  # fmt: skip
    def trades(symbol: str, query: RowsQuery) -> dict[str, Any]:
        of = named(symbol, query.market)
        rows, source, age_s, stale = channels.trades.trades(of, query.limit)
        return _answer({"symbol": of.name, "market": of.market, "trades": rows}, source, age_s, stale)

    @service.route(
        "GET", "/klines/<symbol>", limit=limit_a_minute, query=KlinesQuery, answer=KlinesAnswer,
        summary="The newest klines of a symbol",
    )  # fmt: skip
    def klines(symbol: str, query: KlinesQuery) -> dict[str, Any]:
        of = named(symbol, query.market)
        if query.market == FUTURES and query.interval == "1s":
            raise InvalidInput.field("interval", "futures have no 1s")
        rows, source, age_s, stale = channels.klines.klines(of, query.interval, query.limit)
        data = {"symbol": of.name, "market": of.market, "interval": query.interval, "klines": rows}
        return _answer(data, source, age_s, stale)


@lru_cache(maxsize=4096)
def named(text: str, market: str) -> Symbol:
    """The symbol that a path names. Raises NotFound for what can't be one."""
    name = read_symbol(text)
    if name is None:
        raise NotFound("that is not a symbol: 1 to 32 letters, digits or _")
    return Symbol(market, name)


def _answer(data: dict[str, Any], source: str, age_s: float, stale: bool) -> dict[str, Any]:
    return {"data": data, "source": source, "age_ms": round(age_s * 1000), "stale": stale}
