"""Binance's messages, decoded once and typed: only the fields that are used, prices straight into floats.

Field names: the exchange's market stream documentation; see the README.
"""

from typing import Annotated

import msgspec

from websocket_streaming.price_book import Ticker, Trade

# Bounds refuse NaN and infinities, which no client could read.
Price = Annotated[float, msgspec.Meta(gt=0, le=1e18)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
Change = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]


class TradeFrame(
    msgspec.Struct, tag_field="e", tag="trade",
    rename={"event_ms": "E", "symbol": "s", "trade_id": "t", "price": "p"},
):  # fmt: skip
    """`<symbol>@trade`."""

    event_ms: int
    symbol: str
    trade_id: int
    price: Price

    def trade(self) -> Trade:
        """As the price book takes it."""
        return Trade(self.price, self.trade_id, self.event_ms)


class TickerFrame(
    msgspec.Struct, tag_field="e", tag="24hrTicker",
    rename={
        "event_ms": "E", "symbol": "s", "price": "c", "trade_id": "L", "volume": "v", "high": "h", "low": "l",
        "change": "p", "change_pct": "P",
    },
):  # fmt: skip
    """`<symbol>@ticker`."""

    event_ms: int
    symbol: str
    price: Price
    trade_id: int
    volume: Amount
    high: Price
    low: Price
    change: Change
    change_pct: Change

    def ticker(self) -> Ticker:
        """As the price book takes it."""
        return Ticker(
            self.price, self.trade_id, self.event_ms, self.volume, self.high, self.low, self.change, self.change_pct
        )


class Combined(msgspec.Struct):
    """`{"stream": …, "data": …}`, the form on `/stream`."""

    data: TradeFrame | TickerFrame


class RestTicker(
    msgspec.Struct,
    rename={
        "price": "lastPrice", "trade_id": "lastId", "event_ms": "closeTime", "high": "highPrice", "low": "lowPrice",
        "change": "priceChange", "change_pct": "priceChangePercent",
    },
):  # fmt: skip
    """One entry of `GET /api/v3/ticker/24hr`."""

    symbol: str
    price: Price
    trade_id: int
    event_ms: int
    volume: Amount
    high: Price
    low: Price
    change: Change
    change_pct: Change

    def ticker(self) -> Ticker:
        """As the price book takes it."""
        return Ticker(
            self.price, self.trade_id, self.event_ms, self.volume, self.high, self.low, self.change, self.change_pct
        )


# Not strict: the exchange sends decimals as strings.
decode_frame = msgspec.json.Decoder(Combined, strict=False).decode
