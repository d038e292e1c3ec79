"""A generated perpetual: the spot walk of the same symbol and seed, raised by a small basis.

The basis wanders around its usual value and returns to it. Minutes are made by the spot side's keys, so that the price
takes the same path within the day; between two midnights the basis goes straight, give or take a tick.
"""

from dataclasses import replace

from market_simulator.futures.figures import FuturesFigures
from market_simulator.futures.market import FuturesInfo
from market_simulator.live import EPOCH_MS
from market_simulator.market import UNIT, SymbolInfo, SymbolMarket
from market_simulator.random_bits import key, normal, word
from market_simulator.seeded.days import Day, Days, DayWalk, Profile
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.seeded.trades import GeneratedTrades

_USUAL_BASIS = 30_000  # 0.03 %, in units of 1e-8: with interest at 0.01 % funding is mostly paid by longs
_STEP = 30_000
_KEPT = 0.6  # of a deviation, from one midnight to the next
_MORE_TRADES = 2  # than on spot, each worth twice as much


class FuturesDays:
    """Days of one perpetual over those of its spot market."""

    def __init__(self, info: SymbolInfo, spot_info: SymbolInfo, spot_days: Days, seed: int) -> None:
        self._info, self._spot_info, self._spot_days = info, spot_info, spot_days
        self._key = key(seed, info.symbol, "basis")
        self._bases: list[int] = []
        self._days: dict[int, Day] = {}

    def basis(self, number: int) -> int:
        """At the midnight that begins day `number`, as a share of the spot price in units of 1e-8."""
        while len(self._bases) <= number:
            deviation = self._bases[-1] - _USUAL_BASIS if self._bases else 0
            step = round(_STEP * normal(word(self._key, len(self._bases))))
            self._bases.append(_USUAL_BASIS + round(deviation * _KEPT) + step)
        return self._bases[number]

    def day(self, number: int) -> Day:
        """One day, from 0 on."""
        if number not in self._days:
            self._days[number] = self._made(number)
        return self._days[number]

    def _made(self, number: int) -> Day:
        spot = self._spot_days.day(number)
        before, after = self.basis(number), self.basis(number + 1)
        between = (before + after) // 2
        opened, closed = self._ticks(spot.open, before), self._ticks(spot.close, after)
        high = max(self._ticks(spot.high, between), opened + 1, closed + 1)
        low = max(1, min(self._ticks(spot.low, between), opened - 1, closed - 1))
        volume = spot.volume * _MORE_TRADES**2 * self._spot_info.step_size // self._info.step_size
        return Day(number, opened, high, low, closed, volume)

    def _ticks(self, spot_ticks: int, basis: int) -> int:
        """A spot price raised by the basis, in the perpetual's ticks."""
        raised = spot_ticks * self._spot_info.tick_size * (UNIT + basis)
        return (raised + UNIT * self._info.tick_size // 2) // (UNIT * self._info.tick_size)


class GeneratedFutures(GeneratedMarket):
    """One generated perpetual beside its spot market. Update ids have gaps: the exchange counts for all symbols."""

    ids_a_tick = 997
    ids_skipped = 61

    def __init__(
        self, contract: FuturesInfo, spot_info: SymbolInfo, profile: Profile, seed: int, spot: SymbolMarket
    ) -> None:
        """`profile` is spot's, `spot` the market of `spot_info` with the same seed."""
        self.contract = contract
        own_seed = key(seed, "futures")
        busier = replace(
            profile,
            trades_a_minute=profile.trades_a_minute * _MORE_TRADES,
            trade_value=profile.trade_value * _MORE_TRADES,
        )
        days = FuturesDays(contract, spot_info, DayWalk(spot_info, profile, seed), own_seed)
        source = GeneratedTrades(contract, busier, seed, EPOCH_MS, days, own_seed)
        super().__init__(contract, busier, own_seed, source)
        self.figures = FuturesFigures(contract, self, spot, own_seed)
