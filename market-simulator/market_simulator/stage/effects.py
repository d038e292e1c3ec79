"""Scenarios that change what a book shows: levels thinned, orders added that nobody means.

A bookTicker runs ahead of the depth update that covers it. So no effect moves a best price, and what it makes of a best
level follows from that level alone; a book rebuilt from the stream then still equals every bookTicker of its id.
Prices are those shown, scenarios' shifts included.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Literal, NamedTuple, Protocol

from market_simulator.market import Level
from market_simulator.random_bits import key, word

Side = dict[int, int]  # quantity by price, both in units of 1e-8
SideName = Literal["bid", "ask"]
MAX_RECORDED = 1000  # spoofed orders that one scenario remembers
_MILLION = 10**6
_JITTER = 1024


class Moment(NamedTuple):
    """The depth update that shows a book: its last id and its event time."""

    update_id: int
    event_ms: int


class BookEffect(Protocol):
    """What one scenario makes of a book, from one depth update after `start_ms` to one after `end_ms`."""

    start_ms: int
    end_ms: int

    @property
    def adds(self) -> bool:
        """Whether it adds orders: those come after all that take away, so that their quantities are shown whole."""
        ...

    def top(self, level: Level) -> Level:
        """A best level as shown: the same price, a quantity above 0."""
        ...

    def show(self, moment: Moment, bids: Side, asks: Side) -> tuple[Side, Side]:
        """The whole book (neither side empty) as shown, best levels as `top` says. Once per update, in their order."""
        ...

    def over(self, moment: Moment) -> None:
        """This update is the first one after it."""
        ...


@dataclass(slots=True, eq=False)
class ThinBook:
    """Levels keep about `keep_pct` percent of their quantity (from half to half as much again, by `seed` and price).

    Levels further than `reach` (units of 1e-8) from the best price are gone. Quantities stay multiples of `step`.
    """

    start_ms: int
    end_ms: int
    keep_pct: float
    reach: int
    step: int
    tick: int
    seed: int
    first: Moment | None = None
    ended: Moment | None = None
    levels_before: int = 0
    levels_left: int = 0
    quantity_before: int = 0
    quantity_left: int = 0

    @property
    def adds(self) -> bool:
        return False

    def top(self, level: Level) -> Level:
        return level[0], self._left(level)

    def _left(self, level: Level) -> int:
        price, quantity = level
        jitter = _JITTER // 2 + word(key(self.seed, "thin"), price // self.tick) % _JITTER
        left = quantity * int(self.keep_pct * _MILLION) * jitter // (100 * _MILLION * _JITTER)
        return min(quantity, max(self.step, left // self.step * self.step))

    def show(self, moment: Moment, bids: Side, asks: Side) -> tuple[Side, Side]:
        shown = self._near(bids, max(bids)), self._near(asks, min(asks))
        if self.first is None:
            self.first = moment
            self.levels_before, self.levels_left = len(bids) + len(asks), len(shown[0]) + len(shown[1])
            self.quantity_before = sum(bids.values()) + sum(asks.values())
            self.quantity_left = sum(shown[0].values()) + sum(shown[1].values())
        return shown

    def _near(self, side: Side, best: int) -> Side:
        return {level[0]: self._left(level) for level in side.items() if abs(level[0] - best) <= self.reach}

    def over(self, moment: Moment) -> None:
        self.ended = moment


@dataclass(slots=True)
class SpoofOrder:
    """Ground truth of one order nobody means. It left by its time, for the touch came near, or with the scenario."""

    side: SideName
    price: int
    quantity: int
    placed: Moment
    withdrawn: Moment | None = None
    reason: Literal["", "time", "touch", "end"] = ""


class _Stay(NamedTuple):
    from_ms: int
    until_ms: int
    side: SideName
    distance: int


@dataclass(slots=True, eq=False)
class Spoofing:
    """Again and again a large order a few ticks behind the best price, withdrawn after a while and before it can trade.

    An order keeps its price; when the best price of its side comes down to it, it is withdrawn. What it stands on is
    added to what the market has there. `distance` in units of 1e-8, a multiple of the tick.
    """

    start_ms: int
    end_ms: int
    sides: tuple[SideName, ...]
    quantity: int
    distance: int
    stay_ms: int
    seed: int
    placed: int = 0
    orders: deque[SpoofOrder] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED))
    _stays: list[_Stay] = field(init=False)
    _stay: _Stay | None = None  # the one that the newest order belongs to
    _standing: SpoofOrder | None = None

    def __post_init__(self) -> None:
        """Stays and pauses are drawn once: a pause takes from a quarter of a stay to a whole one."""
        if self.distance < 1 or self.stay_ms < 1 or self.quantity < 1:
            raise ValueError("spoofing needs a distance, a time and a quantity above 0")
        random = Random(self.seed)
        count = (self.end_ms - self.start_ms) // self.stay_ms + 1
        begins = accumulate((random.randint(5, 8) * self.stay_ms // 4 for _ in range(count)), initial=self.start_ms)
        self._stays = [
            _Stay(begin, min(begin + self.stay_ms, self.end_ms), random.choice(self.sides), self.distance)
            for begin in begins
        ]

    @property
    def adds(self) -> bool:
        return True

    def top(self, level: Level) -> Level:
        return level

    def show(self, moment: Moment, bids: Side, asks: Side) -> tuple[Side, Side]:
        best: dict[SideName, int] = {"bid": max(bids), "ask": min(asks)}
        stay = self._stay_at(moment.event_ms)
        self._withdraw_if_due(moment, stay, best)
        if stay is not None and stay is not self._stay:
            self._place(moment, stay, best[stay.side])
        if (order := self._standing) is not None:
            side = bids if order.side == "bid" else asks
            added = {**side, order.price: side.get(order.price, 0) + order.quantity}
            return (added, asks) if order.side == "bid" else (bids, added)
        return bids, asks

    def _stay_at(self, at_ms: int) -> _Stay | None:
        index = bisect_right(self._stays, at_ms, key=lambda stay: stay.from_ms) - 1
        return self._stays[index] if index >= 0 and at_ms < self._stays[index].until_ms else None

    def _place(self, moment: Moment, stay: _Stay, best: int) -> None:
        self._stay = stay
        price = best - stay.distance if stay.side == "bid" else best + stay.distance
        if price > 0:
            self._standing = SpoofOrder(stay.side, price, self.quantity, moment)
            self.orders.append(self._standing)
            self.placed += 1

    def _withdraw_if_due(self, moment: Moment, stay: _Stay | None, best: dict[SideName, int]) -> None:
        if (order := self._standing) is None:
            return
        ahead = best[order.side] - order.price
        if (ahead if order.side == "bid" else -ahead) <= 0:
            self._withdraw(moment, "touch")
        elif stay is not self._stay:
            self._withdraw(moment, "time")

    def _withdraw(self, moment: Moment, reason: Literal["time", "touch", "end"]) -> None:
        if self._standing is not None:
            self._standing.withdrawn, self._standing.reason = moment, reason
            self._standing = None

    def over(self, moment: Moment) -> None:
        self._withdraw(moment, "end")
