"""Paper orders on top of a tape's liquidity: price-time priority, partial fills, fees. Exact, pure, bounded.

Prices and quantities in units of 1e-8, quotes and fees in units of 1e-16.

- An order that takes goes through the book's levels, best first. What it took stays taken until the market sets that
  level anew. The last level of a side can't be taken: a book never runs empty, and what only that level would fill
  expires.
- An order that rests stands behind what the market has at its price. The market's trades at that price use that up
  first and then fill the order; trades beyond its price, and levels that cross it, fill it at once. The market's own
  trades stay as they are: fills are trades beside them.
- An order never trades with another of ours: the resting one expires.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from market_simulator.market import UNIT, DepthUpdate, SymbolInfo, Trade
from market_simulator.order_book import BookSide, OrderBook
from shared.errors import Conflict, InvalidInput, NotFound

MAX_RESTING = 200  # as the exchange's MAX_NUM_ORDERS
MAX_ORDERS = 1_000  # remembered, resting ones included
MAX_FILLS = 10_000
MAX_QUANTITY = 10**6 * UNIT
MAX_PRICE = 10**7 * UNIT

Direction = Literal["BUY", "SELL"]
Kind = Literal["MARKET", "LIMIT"]
Status = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED"]


@dataclass(frozen=True, slots=True)
class Fees:
    """Parts of the traded value in units of 1e-8: 10 basis points are 100,000."""

    maker: int = 100_000
    taker: int = 100_000

    def of(self, quote: int, is_maker: bool) -> int:
        """The fee on a quote amount (1e-16), rounded up to the next unit."""
        return -(-quote * (self.maker if is_maker else self.taker) // UNIT)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order."""

    trade_id: int
    price: int
    quantity: int
    fee: int
    at_ms: int
    is_maker: bool


@dataclass(slots=True, eq=False)
class Order:
    """One order. `ahead`: what the market had at its price before it and has not traded or withdrawn since."""

    id: int
    direction: Direction
    kind: Kind
    quantity: int
    price: int | None
    placed_ms: int
    left: int
    status: Status = "NEW"
    reason: str = ""
    ahead: int = 0
    fills: list[Fill] = field(default_factory=list)

    @property
    def is_buy(self) -> bool:
        return self.direction == "BUY"

    @property
    def is_open(self) -> bool:
        """Whether it rests in the book."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    def reaches(self, price: int) -> bool:
        """Whether it would trade at this price."""
        return self.price is None or (self.price >= price if self.is_buy else self.price <= price)


Report = Callable[[int, int, bool], tuple[int, int]]  # price, quantity, buyer is maker → trade id, time


class Matching:
    """The orders of one session in one symbol's market. `report` makes a fill a trade of that market."""

    def __init__(self, info: SymbolInfo, fees: Fees, report: Report) -> None:
        self._info, self._fees, self._report = info, fees, report
        self.book = OrderBook()  # the market's own
        self.orders: dict[int, Order] = {}
        self.fills = 0
        self._changed: set[tuple[bool, int]] = set()  # (is a bid, price) of levels that may show something new
        self._taken: dict[bool, dict[int, int]] = {True: {}, False: {}}
        self._resting: list[Order] = []

    @property
    def is_idle(self) -> bool:
        """Whether the book shown is the market's own."""
        return not self._resting and not self._changed and not any(self._taken.values())

    def take_changes(self) -> list[tuple[bool, int, int]]:
        """(is a bid, price, quantity shown) of all levels that may have changed since the last time, by price.

        The quantity is the market's, but for what was taken, and our own.
        """
        own: Counter[tuple[bool, int]] = Counter()
        for order in self._resting:
            own[order.is_buy, order.price or 0] += order.left
        changed = sorted(self._changed)
        self._changed.clear()
        return [(is_bid, price, self._available(is_bid, price) + own[is_bid, price]) for is_bid, price in changed]

    # What clients ask for

    def place(self, direction: Direction, kind: Kind, quantity: int, price: int | None, now_ms: int) -> Order:
        """Take what can be taken now; the rest of a limit order rests, that of a market order expires.

        Raises InvalidInput, or Conflict when a bound is reached.
        """
        self._check(kind, quantity, price)
        order = Order(self._next_id(), direction, kind, quantity, price, now_ms, quantity)
        self.orders[order.id] = order
        self._take(order)
        if not order.is_open:
            return order
        if kind == "MARKET":
            self._end(order, "EXPIRED", "no more liquidity")
        elif self._crosses(order):
            self._end(order, "EXPIRED", "only the last level is left")
        else:
            self._rest(order)
        return order

    def cancel(self, id: int) -> Order:
        """Withdraw a resting order. Raises NotFound, or Conflict for one that is over."""
        order = self.find(id)
        if not order.is_open:
            raise Conflict(f"the order is {order.status}")
        self._end(order, "CANCELED", "")
        return order

    def find(self, id: int) -> Order:
        """An order that is remembered. Raises NotFound."""
        if id not in self.orders:
            raise NotFound("no such order")
        return self.orders[id]

    def _check(self, kind: Kind, quantity: int, price: int | None) -> None:
        if not 0 < quantity <= MAX_QUANTITY or quantity % self._info.step_size:
            raise InvalidInput.field("quantity", "must be above 0, at most 1000000 and a multiple of the step size")
        if (kind == "LIMIT") != (price is not None):
            raise InvalidInput.field("price", "limit orders need one, market orders take none")
        if price is not None and (not 0 < price <= MAX_PRICE or price % self._info.tick_size):
            raise InvalidInput.field("price", "must be above 0, at most 10000000 and a multiple of the tick size")
        if len(self._resting) >= MAX_RESTING:
            raise Conflict(f"{MAX_RESTING} orders rest; cancel one first")
        if self.fills >= MAX_FILLS:
            raise Conflict(f"this market has had its {MAX_FILLS} fills; open another session")

    def _next_id(self) -> int:
        if len(self.orders) >= MAX_ORDERS:
            del self.orders[next(id for id, order in self.orders.items() if not order.is_open)]
        return next(reversed(self.orders), 0) + 1

    # What the market does

    def on_trade(self, trade: Trade) -> None:
        """Fill what the market's trade reaches: better prices first, then what stands longer."""
        left = trade.quantity
        for order in self._by_priority(trade.buyer_is_maker):
            price = order.price or 0
            if not order.reaches(trade.price):
                break
            if price == trade.price:
                passed, order.ahead = max(0, left - order.ahead), max(0, order.ahead - left)
            else:
                passed = left
            quantity = min(order.left, passed)
            left -= quantity
            self._fill(order, price, quantity, is_maker=True)

    def on_update(self, update: DepthUpdate) -> None:
        """Take over the market's levels: what was taken from them is forgotten, what crosses an order fills it."""
        self.book.apply(update.bids, update.asks)
        for is_bid, levels in ((True, update.bids), (False, update.asks)):
            for price, _ in levels:
                self._taken[is_bid].pop(price, None)
                self._changed.add((is_bid, price))
        self._settle()

    def restart(self, book: OrderBook) -> None:
        """Go on upon another book: nothing of it is taken, and all of its levels count as changed."""
        self.book = book
        sides = ((True, book.bids), (False, book.asks))
        self._changed |= {(is_bid, price) for is_bid, side in sides for price in side.quantities}
        self._taken = {True: {}, False: {}}
        self._settle()

    def _settle(self) -> None:
        for is_bid in (True, False):
            last = self._last(is_bid)
            if last is not None and self._taken[is_bid].pop(last, 0):
                self._changed.add((is_bid, last))
        for order in [*self._by_priority(True), *self._by_priority(False)]:
            order.ahead = min(order.ahead, self._available(order.is_buy, order.price or 0))
            for price, available in self._against(order):
                self._fill_crossed(order, price, min(order.left, available))
            if order.is_open and self._crosses(order):
                self._end(order, "EXPIRED", "only the last level is left")

    def _fill_crossed(self, order: Order, price: int, quantity: int) -> None:
        taken = self._fill(order, order.price or 0, quantity, is_maker=True)
        self._note_taken(not order.is_buy, price, taken)

    # Matching

    def _take(self, order: Order) -> None:
        for price, available in self._against(order):
            self._expire_own(order, price)
            taken = self._fill(order, price, min(order.left, available), is_maker=False)
            self._note_taken(not order.is_buy, price, taken)
        if order.left and order.price is not None:
            self._expire_own(order, order.price)

    def _against(self, order: Order) -> Iterator[tuple[int, int]]:
        """The other side's levels that an order reaches, best first, but for the last one; until it is filled."""
        if not self._meets_market(order):
            return
        levels = self.book.asks.ascending() if order.is_buy else self.book.bids.descending()
        for price, _ in levels[:-1]:
            if not order.left or not order.is_open or not order.reaches(price):
                return
            if available := self._available(not order.is_buy, price):
                yield price, available

    def _crosses(self, order: Order) -> bool:
        """Whether the market still has something at a price that the order reaches."""
        if order.price is None or not self._meets_market(order):
            return False
        best = self._best(not order.is_buy)
        return best is not None and order.reaches(best)

    def _meets_market(self, order: Order) -> bool:
        """Whether it reaches the market's best price, taken or not: most orders don't, and that is quickly seen."""
        best = self.book.asks.lowest() if order.is_buy else self.book.bids.highest()
        return best is not None and order.reaches(best[0])

    def _best(self, is_bid: bool) -> int | None:
        side = self.book.bids if is_bid else self.book.asks
        levels = side.descending() if is_bid else side.ascending()
        return next((price for price, _ in levels if self._available(is_bid, price)), None)

    def _last(self, is_bid: bool) -> int | None:
        level = self.book.bids.lowest() if is_bid else self.book.asks.highest()
        return None if level is None else level[0]

    def _available(self, is_bid: bool, price: int) -> int:
        side: BookSide = self.book.bids if is_bid else self.book.asks
        return side.quantities.get(price, 0) - self._taken[is_bid].get(price, 0)

    def _note_taken(self, is_bid: bool, price: int, quantity: int) -> None:
        if quantity:
            self._taken[is_bid][price] = self._taken[is_bid].get(price, 0) + quantity
            self._changed.add((is_bid, price))

    def _by_priority(self, is_buy: bool) -> list[Order]:
        chosen = [order for order in self._resting if order.is_buy == is_buy]
        return sorted(chosen, key=lambda order: -(order.price or 0) if is_buy else (order.price or 0))

    def _fill(self, order: Order, price: int, quantity: int, *, is_maker: bool) -> int:
        """Trade; return how much. Past MAX_FILLS the order expires."""
        if quantity <= 0:
            return 0
        if self.fills >= MAX_FILLS:
            self._end(order, "EXPIRED", f"{MAX_FILLS} fills")
            return 0
        self.fills += 1
        trade_id, at_ms = self._report(price, quantity, order.is_buy == is_maker)
        fee = self._fees.of(price * quantity, is_maker)
        order.fills.append(Fill(trade_id, price, quantity, fee, at_ms, is_maker))
        order.left -= quantity
        order.status = "PARTIALLY_FILLED" if order.left else "FILLED"
        if is_maker:
            self._leave_if_over(order)
        return quantity

    def _expire_own(self, order: Order, price: int) -> None:
        """Our resting orders that this one would meet up to a price."""
        for other in self._by_priority(not order.is_buy):
            meets = (other.price or 0) <= price if order.is_buy else (other.price or 0) >= price
            if meets:
                self._end(other, "EXPIRED", "would trade with our own order")

    def _rest(self, order: Order) -> None:
        order.ahead = self._available(order.is_buy, order.price or 0)
        self._resting.append(order)
        self._changed.add((order.is_buy, order.price or 0))

    def _end(self, order: Order, status: Status, reason: str) -> None:
        order.status, order.reason = status, reason
        self._leave_if_over(order)

    def _leave_if_over(self, order: Order) -> None:
        if order in self._resting:
            self._changed.add((order.is_buy, order.price or 0))
            if not order.is_open:
                self._resting.remove(order)
