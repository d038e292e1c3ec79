"""Minutes of a generated day: bars that open, turn and close exactly as the day does, whole days at a time.

The trades of a minute come in pairs that mirror each other around the middle of open and close (same quantity, same
side), and one trade each at the high (a buy) and the low (a sell). So the sums of price × quantity follow from the bar
without making the trades: years of klines need no trade at all, and agree with the trades to the last digit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market_simulator.klines.bars import Ints, product
from market_simulator.random_bits import Floats, Words, fractions, key, normals, words
from market_simulator.seeded.days import MINUTES, Day

_BLOCK_MINUTES = 30  # volatility within a day changes at each half hour


@dataclass(frozen=True, slots=True)
class Minutes:
    """Bars of shape (days, 1440): prices in ticks, quantities in steps.

    `pair_volume` is what one side of all pairs holds (each pair counts twice), `buy_pairs` of them are buys and hold
    `buy_pair_volume`. `high_quantity` and `low_quantity` belong to the trades at the high and the low.
    """

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    count: Ints
    volume: Ints
    high_quantity: Ints
    low_quantity: Ints
    pair_volume: Ints
    buy_pairs: Ints
    buy_pair_volume: Ints

    def quote(self) -> Ints:
        """Sum of price × quantity over a minute's trades, in ticks × steps."""
        middle = product(self.open + self.close, self.pair_volume)
        total: Ints = middle + product(self.high, self.high_quantity) + product(self.low, self.low_quantity)
        return total

    def buy_base(self) -> Ints:
        """What takers bought."""
        bought: Ints = 2 * self.buy_pair_volume + self.high_quantity
        return bought

    def buy_quote(self) -> Ints:
        """What takers paid for it, in ticks × steps."""
        middle = product(self.open + self.close, self.buy_pair_volume)
        paid: Ints = middle + product(self.high, self.high_quantity)
        return paid


def apportion(amount: Ints, weights: Ints) -> Ints:
    """Whole shares of each row's amount in proportion to the weights along the last axis; they add up exactly."""
    running: Ints = np.cumsum(weights, axis=-1)
    total = running[..., -1:]
    amount = amount[..., np.newaxis]
    # amount × running // total, without passing 64 bits
    parts = running * (amount // total) + running * (amount % total) // total
    shares: Ints = np.diff(parts, axis=-1, prepend=0)
    return shares


class MinuteMaker:
    """Makes the minutes of one symbol's days."""

    def __init__(self, seed: int, symbol: str, trades_a_day: int) -> None:
        self._trades_a_day = trades_a_day
        self._keys = {
            name: key(seed, symbol, "minutes", name)
            for name in ("path", "block", "wick", "count", "volume", "ends", "buys")
        }

    def make(self, days: Sequence[Day]) -> Minutes:
        """The minutes of these days (32 days at a time keep the arrays within the processor's cache)."""
        numbers = np.array([day.number for day in days], dtype=np.int64)
        counters = numbers[:, np.newaxis] * MINUTES + np.arange(MINUTES, dtype=np.int64)
        blocks = counters[:, ::_BLOCK_MINUTES] // _BLOCK_MINUTES
        liveliness = np.repeat(0.4 + 1.8 * fractions(self._bits("block", blocks)), _BLOCK_MINUTES, axis=1)
        bars = self._bars(days, counters, liveliness)
        counts, volumes = self._activity(days, counters, liveliness)
        return Minutes(*bars, counts, volumes, *self.split(counters, counts, volumes))

    def _bits(self, purpose: str, counters: Ints) -> Words:
        return words(self._keys[purpose], counters)

    def _bars(self, days: Sequence[Day], counters: Ints, liveliness: Floats) -> tuple[Ints, Ints, Ints, Ints]:
        opened, high, low, closed = (
            np.array(values, dtype=np.int64)[:, np.newaxis]
            for values in zip(*((day.open, day.high, day.low, day.close) for day in days), strict=True)
        )
        row = np.arange(len(days))
        path, tops, bottoms = _path(normals(self._bits("path", counters)) * liveliness, opened, high, low, closed)
        closes = np.clip(np.rint(path).astype(np.int64), low, high)
        closes[:, -1:] = closed
        opens = np.concatenate((opened, closes[:, :-1]), axis=1)
        wick = self._bits("wick", counters)
        reach = (high - low) / 30.0 * liveliness
        up, down = fractions(wick), fractions(wick << np.uint64(32))
        highs = np.minimum(np.maximum(opens, closes) + (up * up * reach).astype(np.int64), high)
        lows = np.maximum(np.minimum(opens, closes) - (down * down * reach).astype(np.int64), low)
        highs[row, tops], lows[row, bottoms] = high[:, 0], low[:, 0]
        return opens, highs, lows, closes

    def _activity(self, days: Sequence[Day], counters: Ints, liveliness: Floats) -> tuple[Ints, Ints]:
        """Trades and volume of each minute: even counts of at least 4, at least one step a trade."""
        pairs = np.full(len(days), (self._trades_a_day - 4 * MINUTES) // 2, dtype=np.int64)
        lively = (liveliness * 100).astype(np.int64)
        weights = lively * (32 + (self._bits("count", counters) >> np.uint64(57)).astype(np.int64))
        counts = 4 + 2 * apportion(pairs, weights)
        spare = np.array([day.volume - self._trades_a_day for day in days], dtype=np.int64)
        size = 16 + (self._bits("volume", counters) >> np.uint64(58)).astype(np.int64)
        return counts, counts + apportion(spare, counts * size)

    def split(self, counters: Ints, counts: Ints, volumes: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Quantities of the trades at high and low, then of all pairs, and how much of those is bought.

        Counts are even and at least 4, volumes at least one step a trade.
        """
        ends = self._bits("ends", counters)
        spare = volumes - counts
        mean = spare // counts
        at_high = 1 + (mean * (ends & np.uint64(63)).astype(np.int64) >> 5)
        at_low = 1 + (mean * (ends >> np.uint64(58)).astype(np.int64) >> 5)
        at_low += (volumes - at_high - at_low) & 1  # pairs need an even rest
        pair_volumes = (volumes - at_high - at_low) // 2
        pairs = counts // 2 - 1
        buy_pairs = ((pairs + 1) * fractions(self._bits("buys", counters))).astype(np.int64)
        bought = buy_pairs + share(pair_volumes - pairs, buy_pairs, pairs)
        return at_high, at_low, pair_volumes, buy_pairs, bought


def share(amount: Ints, part: Ints, whole: Ints) -> Ints:
    """amount × part // whole, without passing 64 bits."""
    return amount // whole * part + amount % whole * part // whole


def _path(steps: Floats, opened: Ints, high: Ints, low: Ints, closed: Ints) -> tuple[Floats, Ints, Ints]:
    """A bridge from open to close that touches high and low once each; also where it does.

    What lies above the straight line is stretched by one factor, what lies below by another.
    """
    passed = np.arange(1, MINUTES + 1) / float(MINUTES)
    walk = np.cumsum(steps, axis=1)
    bend = walk - walk[:, -1:] * passed
    line = opened + (closed - opened) * passed
    far = np.inf
    room_up = np.divide(high - line, bend, out=np.full_like(bend, far), where=bend > 1e-9)
    room_down = np.divide(low - line, bend, out=np.full_like(bend, far), where=bend < -1e-9)
    tops, bottoms = room_up.argmin(axis=1), room_down.argmin(axis=1)
    row = np.arange(len(steps))
    up, down = room_up[row, tops][:, np.newaxis], room_down[row, bottoms][:, np.newaxis]
    # a bend that never leaves one side of the line has no factor there (0 × inf would be no number)
    up, down = np.where(up == far, 0.0, up), np.where(down == far, 0.0, down)
    return line + bend * np.where(bend > 0, up, down), tops.astype(np.int64), bottoms.astype(np.int64)
