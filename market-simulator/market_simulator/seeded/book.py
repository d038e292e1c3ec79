"""The book of a generated market at any tick: a pure function of the tick and of the last trade before it."""

import numpy as np

from market_simulator.market import UNIT, SymbolInfo, Trade
from market_simulator.random_bits import key, word, words
from market_simulator.seeded.days import Profile

LEVELS = 120  # prices a side; about three in four hold a level
_SHORTEST_SLOT_TICKS = 4  # a level keeps its quantity for 4 to 67 ticks, so few levels change at a tick
_MOST_SLOTS = 2**40

Side = dict[int, int]  # quantity by price, both in units of 1e-8


class BookMaker:
    """Makes the books of one symbol."""

    def __init__(self, info: SymbolInfo, profile: Profile, seed: int) -> None:
        self._info = info
        self._usual_steps = max(8, round(5 * profile.trade_value * UNIT / profile.price / info.step_size))
        self._keys = {name: key(seed, info.symbol, "book", name) for name in ("level", "quantity", "spread")}
        self._away = np.arange(LEVELS, dtype=np.int64)

    def make(self, tick: int, last: Trade) -> tuple[Side, Side]:
        """Bids and asks: the last buyer paid the best ask, the last seller got the best bid."""
        price = last.price // self._info.tick_size
        spread = 1 + (word(self._keys["spread"], tick // 20) % 8 == 0)
        bid = price if last.buyer_is_maker else price - spread
        return self._side(tick, bid, -1), self._side(tick, bid + spread, 1)

    def _side(self, tick: int, best: int, direction: int) -> Side:
        prices = best + direction * self._away
        levels = words(self._keys["level"], prices * 2 + (direction > 0))
        lasting = (levels >> np.uint64(58)).astype(np.int64) + _SHORTEST_SLOT_TICKS
        slots = (tick + (levels & np.uint64(63)).astype(np.int64)) // lasting
        bits = words(self._keys["quantity"], prices * _MOST_SLOTS + slots * 2 + (direction > 0))
        deeper = self._usual_steps * (8 + self._away // 4) // 8
        steps = 1 + (bits >> np.uint64(24)).astype(np.int64) % (2 * deeper)
        there = (levels >> np.uint64(32) & np.uint64(3)) != 0
        there[0] = True
        units = prices[there] * self._info.tick_size, steps[there] * self._info.step_size
        return dict(zip(units[0].tolist(), units[1].tolist(), strict=True))
