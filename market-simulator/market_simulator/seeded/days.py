"""Days of a generated market: a seeded walk from the epoch that keeps returning to the coin's usual price.

Prices in ticks, volumes in steps: small integers, so that sums stay within 64 bits.
"""

from dataclasses import dataclass
from typing import Protocol

from market_simulator.market import UNIT, SymbolInfo
from market_simulator.random_bits import fraction, key, normal, word

_REGIMES = (0.6, 1.0, 1.7)  # calm, usual, wild: times the coin's daily volatility
_REGIME_CHANGE = 0.07  # a day's chance
_PULL = 0.05  # a day's way back to the usual price; with 3 % a day it stays within about a third of it
_LEAST_TRADES_A_MINUTE = 4
MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Profile:
    """What makes a coin look like itself. `price` and `trade_value` in quote currency, `volatility` of one day."""

    price: float
    volatility: float
    trades_a_minute: int
    trade_value: float

    @property
    def trades_a_day(self) -> int:
        """Even, the same every day: trade ids are a function of the day."""
        return MINUTES * max(_LEAST_TRADES_A_MINUTE, self.trades_a_minute // 2 * 2)


@dataclass(frozen=True, slots=True)
class Day:
    """One day's bar, in ticks and steps."""

    number: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class Days(Protocol):
    """The days of one symbol; each opens where the one before closed."""

    def day(self, number: int) -> Day:
        """One day, counted from the epoch, from 0 on."""
        ...


class DayWalk:
    """Day `number` counts from the epoch. Days are walked one after another and kept: 2,400 take 20 ms."""

    def __init__(self, info: SymbolInfo, profile: Profile, seed: int) -> None:
        self._profile = profile
        self._usual = profile.price * UNIT / info.tick_size
        self._steps_of_value = profile.trade_value * UNIT / info.step_size * UNIT / info.tick_size
        self._key = key(seed, info.symbol, "days")
        self._regime = 1
        self._days: list[Day] = []

    def day(self, number: int) -> Day:
        """One day, from 0 on."""
        while len(self._days) <= number:
            self._days.append(self._following(len(self._days)))
        return self._days[number]

    def _following(self, number: int) -> Day:
        bits = [word(self._key, number * 8 + place) for place in range(6)]
        if fraction(bits[0]) < _REGIME_CHANGE:
            self._regime = bits[0] % len(_REGIMES)
        wildness = _REGIMES[self._regime]
        volatility = self._profile.volatility * wildness
        opened = self._days[-1].close if self._days else round(self._usual)
        change = _PULL * (1 - opened / self._usual) + volatility * normal(bits[1])
        closed = max(round(opened * (1 + max(change, -0.5))), 100)
        high = max(opened, closed) * (1 + volatility * (0.1 + 0.7 * fraction(bits[2]) ** 2))
        low = min(opened, closed) * (1 - volatility * (0.1 + 0.7 * fraction(bits[3]) ** 2))
        trade = self._steps_of_value / opened * (0.7 + 0.3 * wildness) * (0.8 + 0.4 * fraction(bits[4]))
        volume = round(self._profile.trades_a_day * max(trade, 4.0))
        return Day(number, opened, int(high) + 1, max(int(low), 50), closed, volume)
