"""Binance's messages, decoded once and typed: only the fields that are used, straight into the values of `ticks`.

Field names: the exchange's market stream documentation; see the README. Spot and USDT-M futures share them. A frame
is a `Trade`, a `Ticker` …, with the symbol: its fields are named again because `rename` reaches no inherited ones.
"""

import msgspec

from websocket_streaming.ticks import (
    Amount,
    Bar,
    Change,
    Depth,
    Levels,
    Liquidation,
    MarkPrice,
    Ms,
    Price,
    Snapshot,
    Ticker,
    Trade,
)


class TradeFrame(
    Trade, frozen=True, tag_field="e", tag="trade",
    rename={
        "event_ms": "E", "symbol": "s", "trade_id": "t", "price": "p", "quantity": "q", "at_ms": "T",
        "buyer_is_maker": "m",
    },
):  # fmt: skip
    """`<symbol>@trade`."""

    price: Price
    trade_id: int
    event_ms: Ms
    quantity: Amount
    at_ms: Ms
    buyer_is_maker: bool
    symbol: str


class TickerFrame(
    Ticker, frozen=True, tag_field="e", tag="24hrTicker",
    rename={
        "event_ms": "E", "symbol": "s", "price": "c", "trade_id": "L", "volume": "v", "high": "h", "low": "l",
        "change": "p", "change_pct": "P",
    },
):  # fmt: skip
    """`<symbol>@ticker`."""

    price: Price
    trade_id: int
    event_ms: Ms
    volume: Amount
    high: Price
    low: Price
    change: Change
    change_pct: Change
    symbol: str


class MarkPriceFrame(
    MarkPrice, frozen=True, tag_field="e", tag="markPriceUpdate",
    rename={
        "event_ms": "E", "symbol": "s", "mark_price": "p", "index_price": "i", "funding_rate": "r",
        "next_funding_ms": "T",
    },
):  # fmt: skip
    """`<symbol>@markPrice@1s`."""

    event_ms: Ms
    mark_price: Price
    index_price: Amount
    funding_rate: Change
    next_funding_ms: Ms
    symbol: str


class DepthFrame(
    Depth, frozen=True, kw_only=True, tag_field="e", tag="depthUpdate",
    rename={
        "event_ms": "E", "symbol": "s", "first_id": "U", "last_id": "u", "previous_id": "pu", "bids": "b", "asks": "a",
    },
):  # fmt: skip
    """`<symbol>@depth@100ms`."""

    symbol: str
    event_ms: Ms
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    previous_id: int | None = None


class KlineBar(
    Bar, frozen=True,
    rename={
        "open_ms": "t", "close_ms": "T", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v",
        "quote_volume": "q", "trades": "n", "final": "x", "interval": "i",
    },
):  # fmt: skip
    """The bar inside a kline frame."""

    open_ms: Ms
    close_ms: Ms
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    quote_volume: Amount
    trades: int
    final: bool
    interval: str


class KlineFrame(
    msgspec.Struct, frozen=True, tag_field="e", tag="kline", rename={"event_ms": "E", "symbol": "s", "bar": "k"}
):
    """`<symbol>@kline_<interval>`."""

    event_ms: Ms
    symbol: str
    bar: KlineBar


class ForcedOrder(
    msgspec.Struct, frozen=True,
    rename={"symbol": "s", "side": "S", "price": "p", "average_price": "ap", "quantity": "q", "at_ms": "T"},
):  # fmt: skip
    """The order inside a forceOrder frame."""

    symbol: str
    side: str
    price: Price
    average_price: Amount
    quantity: Amount
    at_ms: Ms


class ForceOrderFrame(
    msgspec.Struct, frozen=True, tag_field="e", tag="forceOrder", rename={"event_ms": "E", "order": "o"}
):
    """`<symbol>@forceOrder`."""

    event_ms: Ms
    order: ForcedOrder

    @property
    def symbol(self) -> str:
        """Whose."""
        return self.order.symbol

    def liquidation(self) -> Liquidation:
        """As clients get it."""
        order = self.order
        return Liquidation(
            order.side, order.price, order.average_price, order.quantity, order.at_ms, self.event_ms
        )


Frame = TradeFrame | TickerFrame | MarkPriceFrame | DepthFrame | KlineFrame | ForceOrderFrame


class Combined(msgspec.Struct):
    """`{"stream": …, "data": …}`, the form on `/stream`."""

    data: Frame


class RestTicker(
    Ticker, frozen=True,
    rename={
        "price": "lastPrice", "trade_id": "lastId", "event_ms": "closeTime", "high": "highPrice", "low": "lowPrice",
        "change": "priceChange", "change_pct": "priceChangePercent",
    },
):  # fmt: skip
    """One entry of `ticker/24hr`."""

    price: Price
    trade_id: int
    event_ms: Ms
    volume: Amount
    high: Price
    low: Price
    change: Change
    change_pct: Change
    symbol: str


class RestTrade(
    msgspec.Struct, frozen=True,
    rename={"trade_id": "id", "quantity": "qty", "at_ms": "time", "buyer_is_maker": "isBuyerMaker"},
):  # fmt: skip
    """One entry of `trades` and `historicalTrades`."""

    trade_id: int
    price: Price
    quantity: Amount
    at_ms: Ms
    buyer_is_maker: bool

    def trade(self) -> Trade:
        """As the stream would have brought it; REST knows no event time of its own."""
        return Trade(self.price, self.trade_id, self.at_ms, self.quantity, self.at_ms, self.buyer_is_maker)


class RestBar(msgspec.Struct, frozen=True, array_like=True):
    """One row of `klines`; further columns are left out. Whether it is final stands nowhere."""

    open_ms: Ms
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    close_ms: Ms
    quote_volume: Amount
    trades: int

    def bar(self) -> Bar:
        """As under way."""
        return Bar(
            self.open_ms, self.close_ms, self.open, self.high, self.low, self.close, self.volume, self.quote_volume,
            self.trades, final=False,
        )  # fmt: skip


class RestDepth(Snapshot, frozen=True, rename={"last_id": "lastUpdateId"}):
    """`depth`."""

    last_id: int


# Not strict: the exchange sends decimals as strings.
decode_frame = msgspec.json.Decoder(Combined, strict=False).decode
