"""Consecutive minutes of made trades: any range of them in one bar, many bars at once, single trades when asked for."""

from collections.abc import Callable, Iterator

import numpy as np

from market_simulator.klines.bars import Bar, Bars, Ints, cut, empty_bars, joined, product, running, stacked
from market_simulator.seeded.minute_trades import MINUTE_MS, MinuteTrades
from market_simulator.seeded.minutes import Minutes


def minute_bars(minutes: Minutes) -> Bars:
    """The minutes of all days, one after another."""
    columns = (
        minutes.count, minutes.open, minutes.high, minutes.low, minutes.close,
        minutes.volume, minutes.quote(), minutes.buy_base(), minutes.buy_quote(),
    )  # fmt: skip
    return Bars(*(column.ravel() for column in columns))


class MinuteRun:
    """Minutes 0 to n - 1 and their trades, numbered from 0. Bars are in ticks and steps.

    `trades_of(minute)` makes a minute's trades; it is asked for minutes with trades only.
    """

    def __init__(self, minutes: Minutes, trades_of: Callable[[int], MinuteTrades]) -> None:
        self.minutes = minutes
        self._trades_of = trades_of
        self.bars = minute_bars(minutes)
        self._counts = running(self.bars.count)
        bars = self.bars
        self._sums = [running(column) for column in (bars.volume, bars.quote, bars.buy_base, bars.buy_quote)]

    def __len__(self) -> int:
        return len(self.bars)

    def count_before(self, offset_ms: int) -> int:
        """How many trades lie before this offset from the run's start; 0 ≤ offset ≤ its length."""
        minute, rest = divmod(offset_ms, MINUTE_MS)
        count = int(self._counts[minute])
        if not rest or not self.bars.count[minute]:
            return count
        return count + int(np.searchsorted(self._trades_of(minute).offsets_ms, rest))

    def parts(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """The range minute by minute: the minute, and the trades [begin, end) within it."""
        while first < last:
            minute = self._minute_of(first)
            begin, end = first - int(self._counts[minute]), int(self._counts[minute + 1] - self._counts[minute])
            end = min(end, begin + last - first)
            yield minute, begin, end
            first += end - begin

    def _minute_of(self, number: int) -> int:
        return int(np.searchsorted(self._counts, number, side="right")) - 1

    def bar(self, first: int, last: int) -> Bar:
        """The trades number `first` to `last` - 1 (at least one) in one bar."""
        return joined(self._pieces(first, last))

    def _pieces(self, first: int, last: int) -> Iterator[Bar]:
        """Parts of minutes at the ends, whole minutes between."""
        counts = self._counts
        minute = self._minute_of(first)
        if first > counts[minute]:
            stop = min(last, int(counts[minute + 1]))
            yield self._within_minute(minute, first - int(counts[minute]), stop - int(counts[minute]))
            first, minute = stop, minute + 1
        if first >= last:
            return
        end = self._minute_of(last)
        if end > minute:
            yield self._whole_minutes(minute, end)
        if last > counts[end]:
            yield self._within_minute(end, 0, last - int(counts[end]))

    def _within_minute(self, minute: int, first: int, last: int) -> Bar:
        one, part = self._trades_of(minute), slice(first, last)
        prices, sizes, buys = one.prices[part], one.quantities[part], one.buys[part]
        quotes = product(prices, sizes)
        sums = (sizes.sum(), quotes.sum(), sizes[buys].sum(), quotes[buys].sum())
        return Bar(int(prices[0]), int(prices.max()), int(prices.min()), int(prices[-1]), *map(int, sums))

    def _whole_minutes(self, first: int, last: int) -> Bar:
        bars, part = self.bars, slice(first, last)
        sums = (int(sums[last] - sums[first]) for sums in self._sums)
        high, low = int(bars.high[part].max()), int(bars.low[part].min())
        return Bar(int(bars.open[first]), high, low, int(bars.close[last - 1]), *sums)

    def bars_between(self, offsets: Ints) -> Bars:
        """One bar per consecutive pair of offsets (ms from the run's start, rising)."""
        cuts = cut(offsets, MINUTE_MS)
        first, last = cuts[:-1], cuts[1:]
        whole = (first % MINUTE_MS == 0) & (last % MINUTE_MS == 0)
        (part,) = np.nonzero(~whole)
        traded, bars = self._whole(np.flatnonzero(whole), first[whole] // MINUTE_MS, last[whole] // MINUTE_MS)
        rows = stacked([bars, self.within(first[part], last[part])])
        pieces = rows.placed(np.concatenate((traded, part)), len(first))
        return pieces.grouped(np.searchsorted(offsets, first, side="right") - 1, len(offsets) - 1)

    def within(self, first: Ints, last: Ints) -> Bars:
        """One bar per pair of offsets (rising), both of them in one minute."""
        rows, minutes = [empty_bars(0)], first // MINUTE_MS
        for minute in np.unique(minutes).tolist():
            (at,) = np.nonzero(minutes == minute)
            rows.append(self._within(minute, first[at] - minute * MINUTE_MS, last[at] - minute * MINUTE_MS))
        return stacked(rows)

    def _within(self, minute: int, first: Ints, last: Ints) -> Bars:
        if not self.bars.count[minute]:
            return empty_bars(len(first))
        one = self._trades_of(minute)
        begins, ends = np.searchsorted(one.offsets_ms, first), np.searchsorted(one.offsets_ms, last)
        (traded,) = np.nonzero(begins < ends)
        quotes = product(one.prices, one.quantities)
        prices = (one.prices,) * 4
        bought = one.quantities * one.buys, quotes * one.buys
        rows = Bars(np.ones_like(one.prices), *prices, one.quantities, quotes, *bought)
        return rows.over(begins[traded], ends[traded]).placed(traded, len(first))

    def _whole(self, places: Ints, first: Ints, last: Ints) -> tuple[Ints, Bars]:
        """Ranges of minutes as bars, those without a trade left out."""
        numbers = self._counts[first]
        traded = numbers < self._counts[last]
        begins = np.searchsorted(self._counts, numbers[traded], side="right") - 1  # a bar begins with its first trade
        return places[traded], self.bars.over(begins, last[traded])
