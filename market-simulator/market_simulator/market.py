"""What the wire asks of a market: values and the Protocol that recorded and generated markets both implement.

Prices and quantities are integers in units of 1e-8 (`UNIT`), exact; the wire formats them. Moments are simulated UTC
milliseconds. A market is a pure function of (tape, seed, instant): asking twice gives the same answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

UNIT = 10**8
Level = tuple[int, int]  # (price, quantity); quantity 0 deletes the level


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """One tradable pair. `tick_size` and `step_size` in units of 1e-8."""

    symbol: str
    base: str
    quote: str
    tick_size: int
    step_size: int
    kind: Literal["recorded", "generated", "replayed"]


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade; `at_ms` is the wire's `T`, `event_ms` its `E`. `buyer_is_maker` true: the aggressor sold."""

    id: int
    price: int
    quantity: int
    at_ms: int
    event_ms: int
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class BookTicker:
    """Best bid and ask at book update `update_id`. `at_ms`, `event_ms`: `T` and `E`, which only futures send."""

    update_id: int
    bid: Level
    ask: Level
    at_ms: int = 0
    event_ms: int = 0


@dataclass(frozen=True, slots=True)
class DepthUpdate:
    """Absolute quantities of the levels that changed in updates `first_id`..`last_id` (the wire's `U`..`u`).

    `previous_id` is the `last_id` of the update before (futures' `pu`): futures' ids are not contiguous, so it need not
    be `first_id` - 1. `at_ms` is futures' `T`.
    """

    first_id: int
    last_id: int
    event_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    previous_id: int = 0
    at_ms: int = 0


Event = Trade | BookTicker | DepthUpdate


@dataclass(frozen=True, slots=True)
class BookView:
    """The book at one moment; bids descending, asks ascending. Times are those of its last update."""

    last_update_id: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    at_ms: int = 0
    event_ms: int = 0


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar. Quotes in units of 1e-16 (price × quantity). Ids are -1 without a trade."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_buy_base: int
    taker_buy_quote: int
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Window:
    """Statistics of the trades in [open_ms, close_ms]. `quote_volume` in 1e-16; `previous_close`: the price before."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    last: int
    last_quantity: int
    volume: int
    quote_volume: int
    first_id: int
    last_id: int
    count: int
    previous_close: int


class Repricing(Protocol):
    """A scenario's effect on prices: an amount added to every price of the market, a whole number of ticks."""

    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...

    def shift(self, at_ms: int) -> int:
        """Units of 1e-8 to add at this instant (0 outside start_ms..end_ms); always a multiple of the tick size."""
        ...


class SymbolMarket(Protocol):
    """One symbol's market. Not thread-safe: one owner advances it; the history calls change nothing."""

    info: SymbolInfo

    def advance(self, to_ms: int) -> list[Event]:
        """Move the live book to `to_ms` and return, in wire order, what happened since the last call.

        The first call, a jump backwards, or a jump ahead by more than 60 s places the book without listing events.
        """
        ...

    def book(self) -> BookView:
        """The live book where `advance` left it, all levels."""
        ...

    def best(self) -> BookTicker:
        """The live best bid and ask with the id of the book's last update."""
        ...

    def reprice(self, repricing: Repricing) -> None:
        """Add a scenario's price shift; it must start at or after the instant `advance` reached."""
        ...

    def trades(self, now_ms: int, *, limit: int, from_id: int | None = None,
               start_ms: int | None = None, end_ms: int | None = None) -> list[Trade]:
        """Trades up to `now_ms`, oldest first: the newest `limit`, or `limit` from `from_id` / `start_ms` on."""
        ...

    def klines(self, now_ms: int, interval: str, *, limit: int,
               start_ms: int | None = None, end_ms: int | None = None, offset_ms: int = 0) -> list[Kline]:
        """Bars by the range rule of binance-wire.md 2, the last one possibly still forming. `offset_ms`: timeZone."""
        ...

    def kline_at(self, now_ms: int, interval: str, offset_ms: int = 0) -> Kline:
        """The bar that holds `now_ms`."""
        ...

    def window(self, now_ms: int, length_ms: int) -> Window:
        """Rolling statistics of the last `length_ms`."""
        ...

    def status(self, now_ms: int) -> dict[str, object]:
        """Ground truth for /sim/status: kind, and for recorded ones lap, next_seam_at (ms), seam_jump_pct, note."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A market that can make ahead, in small steps, what its long bars consist of."""

    def prepare(self, now_ms: int) -> Iterator[None]:
        """A few milliseconds of work at each step; changes no answer."""
        ...
