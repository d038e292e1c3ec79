"""What the exchange tells, as values: trades, 24 h figures, bars, depth, mark prices, liquidations.

Prices are floats where they are only shown; the levels of a book stay the exchange's own texts, which are exact.
Times are the exchange's, Unix milliseconds. The feed's frames are these very types, so nothing is copied per message.
"""

from typing import Annotated, NamedTuple

import msgspec

# Bounds refuse NaN and infinities, which no client could read.
Price = Annotated[float, msgspec.Meta(gt=0, le=1e18)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
Change = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=10**14)]  # up to the year 5138: every one of these can be shown
Levels = list[tuple[str, str]]  # price and quantity; quantity 0 deletes the level


class Symbol(NamedTuple):
    """A symbol on its market, e.g. ("spot", "BTCUSDT")."""

    market: str
    name: str


class Trade(msgspec.Struct, frozen=True):
    """One trade. Ids rise by one per trade of a symbol. The buyer as maker means that the taker sold."""

    price: Price
    trade_id: int
    event_ms: Ms
    quantity: Amount
    at_ms: Ms
    buyer_is_maker: bool


class Ticker(msgspec.Struct, frozen=True):
    """Rolling 24 h figures. `trade_id` is the last trade they include, `price` its price; change in percent."""

    price: Price
    trade_id: int
    event_ms: Ms
    volume: Amount
    high: Price
    low: Price
    change: Change
    change_pct: Change


class MarkPrice(msgspec.Struct, frozen=True):
    """A perpetual's mark price. `funding_rate` is a fraction per funding interval."""

    event_ms: Ms
    mark_price: Price
    index_price: Amount
    funding_rate: Change
    next_funding_ms: Ms


class Bar(msgspec.Struct, frozen=True):
    """One kline. `close_ms` is the last millisecond inside; a final one never changes again."""

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


class Depth(msgspec.Struct, frozen=True):
    """A change of the order book: update ids `first_id`..`last_id`. Futures name the update before, spot doesn't."""

    event_ms: Ms
    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    previous_id: int | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """The order book as REST tells it: the best levels of each side, best first, as of update `last_id`."""

    last_id: int
    bids: Levels
    asks: Levels


class Liquidation(msgspec.Struct, frozen=True):
    """A forced order. SELL closes a long. The exchange shows at most one a second and symbol: a sample."""

    side: str
    price: Price
    average_price: Amount
    quantity: Amount
    at_ms: Ms
    event_ms: Ms
