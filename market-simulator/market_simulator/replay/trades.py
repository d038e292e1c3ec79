"""The trades of a replay as a TradeSource: recorded minute bars, and between them trades that give each bar exactly."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from cachetools import LRUCache

from market_simulator.klines.bars import Bar, Bars, Ints
from market_simulator.market import Trade
from market_simulator.replay.bars import ReplayBars
from market_simulator.seeded.minute_run import MinuteRun
from market_simulator.seeded.minute_trades import MINUTE_MS, MinuteTrades, TradeMaker
from market_simulator.seeded.minutes import MinuteMaker, Minutes
from market_simulator.seeded.trades import TICK_MS, segment_start

USUAL_TRADES = 120  # in a minute of the usual volume
_MOST_TRADES = 1_500
_FIRST_ID = 1
_KEPT_MINUTES = 64
_SPREAD_ROOM = 10  # ticks that the best bid may lie below the lowest trade


class ReplayTrades:
    """Trades are numbered from the recording's first minute on. Nothing trades before it, in its holes or after it."""

    def __init__(self, bars: ReplayBars, seed: int) -> None:
        self.first_id = _FIRST_ID
        self.tick, self.step = bars.tick, bars.step
        self._start_ms, self._length_ms = bars.start_ms, bars.end_ms - bars.start_ms
        self._closed = [*bars.holes, (bars.end_ms, 2**63)]
        self._lowest = int(bars.low.min())
        self._trade_maker = TradeMaker(seed, bars.symbol)
        self._minutes: LRUCache[int, MinuteTrades] = LRUCache(_KEPT_MINUTES)
        self._run = MinuteRun(_minutes(bars, seed), self._minute)

    def _minute(self, minute: int) -> MinuteTrades:
        if minute not in self._minutes:
            self._minutes[minute] = self._trade_maker.make(self._run.minutes, 0, 0, minute)
        return self._minutes[minute]

    def open_at(self, at_ms: int) -> int:
        """The latest instant up to this one at which the exchange was there; before the start: a tick before it."""
        index = bisect_right(self._closed, at_ms, key=lambda span: span[0]) - 1
        if index >= 0 and at_ms < self._closed[index][1]:
            return self._closed[index][0]
        return max(at_ms, self._start_ms - TICK_MS)

    def count_before(self, at_ms: int) -> int:
        """How many trades have `at_ms` below this instant."""
        return self._run.count_before(min(max(at_ms - self._start_ms, 0), self._length_ms))

    def trades(self, first: int, last: int) -> list[Trade]:
        """Trades number `first` to `last` - 1."""
        trades: list[Trade] = []
        for minute, begin, end in self._run.parts(first, last):
            start_ms, one = self._start_ms + minute * MINUTE_MS, self._minute(minute)
            number = _FIRST_ID + first + len(trades)
            columns = (one.offsets_ms, one.prices, one.quantities, one.buys)
            for at, price, size, buy in zip(*(column[begin:end].tolist() for column in columns), strict=True):
                trades.append(Trade(number, price * self.tick, size * self.step, start_ms + at, start_ms + at, not buy))
                number += 1
        return trades

    def shift_instants(self, first: int, last: int) -> Sequence[int]:
        """Where the tick begins that covers each trade."""
        return [
            self._start_ms + minute * MINUTE_MS + segment_start(at)
            for minute, begin, end in self._run.parts(first, last)
            for at in self._minute(minute).offsets_ms[begin:end].tolist()
        ]

    def bounded(self, shift: int, at_ms: int) -> int:  # noqa: ARG002  the recording's floor is one for all times
        """The shift, or the lowest one that keeps all prices of the recording above 0."""
        return max(shift, (_SPREAD_ROOM - self._lowest) * self.tick)

    def bar(self, first: int, last: int) -> Bar:
        """The trades number `first` to `last` - 1 (at least one) in one bar."""
        return self._run.bar(first, last).scaled(self.tick, self.step)

    def bars(self, instants: Ints) -> Bars:
        """As TradeSource.bars."""
        return self._run.bars_between(np.clip(instants - self._start_ms, 0, self._length_ms))


def _minutes(bars: ReplayBars, seed: int) -> Minutes:
    """The bars with what they lack: how many trades, and how the volume is shared out among them."""
    traded = np.flatnonzero(bars.volume)
    volumes = bars.volume[traded]
    usual = max(1, int(np.median(volumes)))
    counts = 4 + 2 * np.minimum(volumes * (USUAL_TRADES // 2) // usual, _MOST_TRADES // 2)
    counts = np.minimum(counts, volumes - volumes % 2)
    maker = MinuteMaker(seed, bars.symbol, 0)
    opened, high, low, closed, volume = (
        column[np.newaxis] for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
    )
    parts = np.zeros((6, *volume.shape), dtype=np.int64)
    parts[:, 0, traded] = counts, *maker.split(bars.start_ms // MINUTE_MS + traded, counts, volumes)
    count, at_high, at_low, pairs, buy_pairs, bought = parts
    return Minutes(opened, high, low, closed, count, volume, at_high, at_low, pairs, buy_pairs, bought)
