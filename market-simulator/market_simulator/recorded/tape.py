"""One lap of a recorded market in columns: a start book and what happened to it, event by event.

Prices and quantities in units of 1e-8. Times are offsets in milliseconds from the lap's start. `tape_reader` makes it.
"""

from array import array
from dataclasses import dataclass, field
from itertools import compress

from market_simulator.market import BookTicker, DepthUpdate, Level, Trade
from market_simulator.order_book import OrderBook

TRADE, TICKER, DEPTH = 0, 1, 2


def column() -> "array[int]":
    """An empty column of 64-bit integers: a tape as Python objects would take 30 MB."""
    return array("q")


@dataclass(slots=True)
class DepthColumns:
    """Depth updates. Levels of update `i`: bids in [bounds[2i], bounds[2i+1]), asks from there up to bounds[2i+2]."""

    first_ids: "array[int]" = field(default_factory=column)
    last_ids: "array[int]" = field(default_factory=column)
    at_ms: "array[int]" = field(default_factory=column)
    event_ms: "array[int]" = field(default_factory=column)
    bounds: "array[int]" = field(default_factory=lambda: array("q", [0]))
    prices: "array[int]" = field(default_factory=column)
    quantities: "array[int]" = field(default_factory=column)

    def levels(self, index: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks of one update."""
        start, middle, end = self.bounds[2 * index : 2 * index + 3]
        return (
            list(zip(self.prices[start:middle], self.quantities[start:middle], strict=True)),
            list(zip(self.prices[middle:end], self.quantities[middle:end], strict=True)),
        )

    def extend(self, other: "DepthColumns") -> None:
        """Append all updates of `other`."""
        offset = len(self.prices)
        self.first_ids += other.first_ids
        self.last_ids += other.last_ids
        self.at_ms += other.at_ms
        self.event_ms += other.event_ms
        self.bounds.extend(offset + bound for bound in other.bounds[1:])
        self.prices += other.prices
        self.quantities += other.quantities

    def __getitem__(self, index: int) -> DepthUpdate:
        bids, asks = self.levels(index)
        first_id = self.first_ids[index]
        previous_id = self.last_ids[index - 1] if index else first_id - 1  # the seam follows the lap before
        return DepthUpdate(
            first_id, self.last_ids[index], self.event_ms[index], tuple(bids), tuple(asks),
            previous_id, self.at_ms[index],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.last_ids)


@dataclass(slots=True)
class TickerColumns:
    """bookTickers, update ids rising."""

    update_ids: "array[int]" = field(default_factory=column)
    bids: "array[int]" = field(default_factory=column)
    bid_quantities: "array[int]" = field(default_factory=column)
    asks: "array[int]" = field(default_factory=column)
    ask_quantities: "array[int]" = field(default_factory=column)
    at_ms: "array[int]" = field(default_factory=column)
    event_ms: "array[int]" = field(default_factory=column)

    def append(self, ticker: BookTicker) -> None:
        self.update_ids.append(ticker.update_id)
        self.bids.append(ticker.bid[0])
        self.bid_quantities.append(ticker.bid[1])
        self.asks.append(ticker.ask[0])
        self.ask_quantities.append(ticker.ask[1])
        self.at_ms.append(ticker.at_ms)
        self.event_ms.append(ticker.event_ms)

    def extend(self, other: "TickerColumns", count: int) -> None:
        """Append the first `count` of `other`."""
        self.update_ids += other.update_ids[:count]
        self.bids += other.bids[:count]
        self.bid_quantities += other.bid_quantities[:count]
        self.asks += other.asks[:count]
        self.ask_quantities += other.ask_quantities[:count]
        self.at_ms += other.at_ms[:count]
        self.event_ms += other.event_ms[:count]

    def __getitem__(self, index: int) -> BookTicker:
        bid = self.bids[index], self.bid_quantities[index]
        ask = self.asks[index], self.ask_quantities[index]
        return BookTicker(self.update_ids[index], bid, ask, self.at_ms[index], self.event_ms[index])

    def __len__(self) -> int:
        return len(self.update_ids)


@dataclass(slots=True)
class TradeColumns:
    """Trades with contiguous ids from `first_id`; `at_ms` never falls."""

    first_id: int = 0
    prices: "array[int]" = field(default_factory=column)
    quantities: "array[int]" = field(default_factory=column)
    at_ms: "array[int]" = field(default_factory=column)
    event_ms: "array[int]" = field(default_factory=column)
    buyer_is_maker: bytearray = field(default_factory=bytearray)

    def __getitem__(self, index: int) -> Trade:
        return Trade(
            self.first_id + index, self.prices[index], self.quantities[index],
            self.at_ms[index], self.event_ms[index], bool(self.buyer_is_maker[index]),
        )

    def __len__(self) -> int:
        return len(self.prices)


@dataclass(slots=True)
class EventColumns:
    """What happened, in wire order: kind, index within its kind's columns, emission offset."""

    kinds: bytearray = field(default_factory=bytearray)
    indexes: "array[int]" = field(default_factory=column)
    emitted_ms: "array[int]" = field(default_factory=column)

    def append(self, kind: int, index: int, emitted_ms: int) -> None:
        self.kinds.append(kind)
        self.indexes.append(index)
        self.emitted_ms.append(emitted_ms)

    def extend(self, other: "EventColumns", tickers: int) -> None:
        """Append those of `other`, of its bookTickers only the first `tickers`. The seam's own come before them."""
        kept = [kind != TICKER or index < tickers for kind, index in zip(other.kinds, other.indexes, strict=True)]
        moved = (index + (kind != TRADE) for kind, index in zip(other.kinds, other.indexes, strict=True))
        self.kinds.extend(compress(other.kinds, kept))
        self.indexes.extend(compress(moved, kept))
        self.emitted_ms.extend(compress(other.emitted_ms, kept))

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(slots=True)
class Tape:
    """One lap. Events 0 and 1 are the seam: the depth update from the end book to the start book, and its bookTicker.

    `segments` names for each event the depth update that covers it; the number of updates stands for the next lap's
    seam. `segment_ms` is the earliest instant that shows anything of that update's segment; it never falls.
    `began_ns` is the recorder's clock at the lap's start.
    """

    symbol: str
    lap_ms: int
    start_bids: list[Level]
    start_asks: list[Level]
    depth: DepthColumns
    trades: TradeColumns
    tickers: TickerColumns
    events: EventColumns
    segments: "array[int]"
    segment_ms: "array[int]"
    began_ns: int

    @property
    def id_span(self) -> int:
        """How many update ids one lap uses, its seam included."""
        return self.depth.last_ids[-1] - self.depth.last_ids[0] + 1

    def start_book(self) -> OrderBook:
        """A fresh book as it stands after the seam."""
        return OrderBook(self.start_bids, self.start_asks)
