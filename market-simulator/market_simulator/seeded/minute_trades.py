"""The trades of one generated minute, made from its bar so that the bar is exactly theirs.

First the open, last the close; between them a walk whose second half mirrors the first around the middle of open and
close (both trades of a pair have one quantity and one side), and one trade each at the high and the low.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market_simulator.klines.bars import Ints
from market_simulator.random_bits import key, normals, words
from market_simulator.seeded.days import MINUTES
from market_simulator.seeded.minutes import Minutes, apportion

MINUTE_MS = 60_000
_MOST_TRADES = 4096  # counters of one minute's purposes don't touch the next minute's


@dataclass(frozen=True, slots=True)
class MinuteTrades:
    """Trades in order: offsets within the minute (ms, never falling), prices in ticks, quantities in steps."""

    offsets_ms: Ints
    prices: Ints
    quantities: Ints
    buys: NDArray[np.bool_]


class TradeMaker:
    """Makes the trades of one symbol's minutes."""

    def __init__(self, seed: int, symbol: str) -> None:
        self._keys = {name: key(seed, symbol, "trades", name) for name in ("time", "walk", "size", "side")}

    def make(self, minutes: Minutes, day: int, row: int, minute: int) -> MinuteTrades:
        """The trades of minute `minute` of day number `day`, which is row `row` of `minutes`."""
        at = (row, minute)
        opened, closed = int(minutes.open[at]), int(minutes.close[at])
        high, low = int(minutes.high[at]), int(minutes.low[at])
        pairs = int(minutes.count[at]) // 2 - 1
        counters = (day * MINUTES + minute) * _MOST_TRADES + np.arange(2 * pairs + 2, dtype=np.int64)
        buys = self._buys(counters[:pairs], int(minutes.buy_pairs[at]))
        sizes = self._sizes(counters[:pairs], buys, int(minutes.pair_volume[at]), int(minutes.buy_pair_volume[at]))
        prices = self._walk(counters[:pairs], opened, closed, high, low)
        return self._ordered(
            self._times(counters),
            np.concatenate((prices, (opened + closed - prices)[::-1])),
            np.concatenate((sizes, sizes[::-1])),
            np.concatenate((buys, buys[::-1])),
            ((high, int(minutes.high_quantity[at]), True), (low, int(minutes.low_quantity[at]), False)),
        )

    def _times(self, counters: Ints) -> Ints:
        """Anywhere in the minute."""
        return np.sort((words(self._keys["time"], counters) % np.uint64(MINUTE_MS)).astype(np.int64))

    def _buys(self, counters: Ints, bought: int) -> NDArray[np.bool_]:
        """Which pairs are bought."""
        order = np.argsort(words(self._keys["side"], counters), kind="stable")
        buys = np.zeros(len(counters), dtype=np.bool_)
        buys[order[:bought]] = True
        return buys

    def _sizes(self, counters: Ints, buys: NDArray[np.bool_], total: int, bought: int) -> Ints:
        """What one trade of each pair holds: at least one step, uneven, exact over the bought and the sold ones."""
        weights = (words(self._keys["size"], counters) >> np.uint64(54)).astype(np.int64)
        weights = weights * weights // 64 + 1
        sizes = np.ones(len(counters), dtype=np.int64)
        for side, amount in ((buys, bought), (~buys, total - bought)):
            if side.any():
                sizes[side] += apportion(np.array(amount - int(side.sum()), dtype=np.int64), weights[side])
        return sizes

    def _walk(self, counters: Ints, opened: int, closed: int, high: int, low: int) -> Ints:
        """From the open towards the middle, within what its mirror image may reach too."""
        count = len(counters)
        passed = np.arange(count) / float(count)
        walk = np.cumsum(normals(words(self._keys["walk"], counters)))
        walk -= walk[0]
        bend = walk - walk[-1] * passed
        lowest, highest = max(low, opened + closed - high), min(high, opened + closed - low)
        reach = max(float(np.abs(bend).max()), 1.0)
        line = opened + (closed - opened) / 2.0 * passed
        walked = np.rint(line + bend / reach * ((highest - lowest) / 2.0)).astype(np.int64)
        prices: Ints = np.clip(walked, lowest, highest)
        prices[0] = opened
        return prices

    @staticmethod
    def _ordered(
        times: Ints, prices: Ints, sizes: Ints, buys: NDArray[np.bool_], ends: tuple[tuple[int, int, bool], ...]
    ) -> MinuteTrades:
        """Put the trades at high and low where the walk comes nearest to them, never first nor last."""
        places = [min(max(int(np.abs(prices - price).argmin()), 1), len(prices) - 1) for price, _, _ in ends]
        return MinuteTrades(
            times,
            np.insert(prices, places, [price for price, _, _ in ends]),
            np.insert(sizes, places, [size for _, size, _ in ends]),
            np.insert(buys, places, [buy for _, _, buy in ends]),
        )
