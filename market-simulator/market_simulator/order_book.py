"""An exact order book of integers, and the difference between two books."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from itertools import islice

from market_simulator.market import Level


class BookSide:
    """One side of a book: quantity by price, prices kept sorted. Quantities are absolute, 0 deletes."""

    def __init__(self, levels: Iterable[Level] = ()) -> None:
        self.quantities: dict[int, int] = {price: quantity for price, quantity in levels if quantity}
        self._prices: list[int] = sorted(self.quantities)

    def __len__(self) -> int:
        return len(self._prices)

    def apply(self, price: int, quantity: int) -> None:
        """Set the level; deleting an unknown level is normal (binance-wire.md 5) and changes nothing."""
        if quantity:
            if price not in self.quantities:
                insort(self._prices, price)
            self.quantities[price] = quantity
        elif self.quantities.pop(price, 0):
            del self._prices[bisect_left(self._prices, price)]

    def highest(self) -> Level | None:
        """The level with the highest price: the best bid."""
        return (self._prices[-1], self.quantities[self._prices[-1]]) if self._prices else None

    def lowest(self) -> Level | None:
        """The level with the lowest price: the best ask."""
        return (self._prices[0], self.quantities[self._prices[0]]) if self._prices else None

    def descending(self, count: int | None = None) -> list[Level]:
        """Up to `count` levels (all by default) from the highest price down."""
        return [(price, self.quantities[price]) for price in islice(reversed(self._prices), count)]

    def ascending(self, count: int | None = None) -> list[Level]:
        """Up to `count` levels (all by default) from the lowest price up."""
        return [(price, self.quantities[price]) for price in islice(self._prices, count)]


class OrderBook:
    """Bids and asks of one symbol; the update ids are the caller's."""

    def __init__(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.bids = BookSide(bids)
        self.asks = BookSide(asks)

    def apply(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set all these levels, as one depth update does."""
        for price, quantity in bids:
            self.bids.apply(price, quantity)
        for price, quantity in asks:
            self.asks.apply(price, quantity)

    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and best ask; None for an empty side."""
        return self.bids.highest(), self.asks.lowest()


def difference(before: Mapping[int, int], after: Mapping[int, int]) -> tuple[Level, ...]:
    """The levels that turn one side (quantity by price) into the other, by price; a vanished level has quantity 0."""
    changed = [(price, 0) for price in before if price not in after]
    changed += [(price, quantity) for price, quantity in after.items() if before.get(price) != quantity]
    return tuple(sorted(changed))
