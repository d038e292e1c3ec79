"""The trades of a tape, repeated lap after lap, as a TradeSource: any range in O(log n) by prefix sums."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from math import gcd

import numpy as np
from numpy.typing import NDArray

from market_simulator.klines.bars import Bar, Bars, Ints, joined, product, running
from market_simulator.market import Trade
from market_simulator.recorded.tape import TRADE, Tape, TradeColumns


class _Extremes:
    """Highest and lowest price of any range in O(1): `table[k][i]` covers the 2^k prices from `i`."""

    def __init__(self, prices: "array[int]") -> None:
        self._highest = [np.array(prices, dtype=np.int64)]
        self._lowest = [self._highest[0]]
        width = 1
        while 2 * width <= len(prices):
            self._highest.append(np.maximum(self._highest[-1][:-width], self._highest[-1][width:]))
            self._lowest.append(np.minimum(self._lowest[-1][:-width], self._lowest[-1][width:]))
            width *= 2

    def of_each(self, first: Ints, last: Ints) -> tuple[Ints, Ints]:
        """The same for many ranges."""
        rows = np.frexp(last - first)[1] - 1
        high, low = np.empty_like(first), np.empty_like(first)
        for row in np.unique(rows).tolist():
            at = rows == row
            one, other = first[at], last[at] - (1 << row)
            high[at] = np.maximum(self._highest[row][one], self._highest[row][other])
            low[at] = np.minimum(self._lowest[row][one], self._lowest[row][other])
        return high, low

    def of(self, first: int, last: int) -> tuple[int, int]:
        row = (last - first).bit_length() - 1
        other = last - (1 << row)
        high: NDArray[np.int64] = self._highest[row]
        low: NDArray[np.int64] = self._lowest[row]
        return max(int(high[first]), int(high[other])), min(int(low[first]), int(low[other]))


class _Columns:
    """A lap's trades in ticks and steps, for many ranges at once."""

    def __init__(self, trades: TradeColumns, tick: int, step: int) -> None:
        self.at_ms = np.array(trades.at_ms, dtype=np.int64)
        self.prices = np.array(trades.prices, dtype=np.int64) // tick
        volume = np.array(trades.quantities, dtype=np.int64) // step
        bought = np.frombuffer(bytes(trades.buyer_is_maker), dtype=np.bool_) == 0
        quote = product(self.prices, volume)
        self.sums = [running(column) for column in (volume, quote, volume * bought, quote * bought)]
        self.highest, self.lowest = (
            (of.accumulate(self.prices), of.accumulate(self.prices[::-1])[::-1]) for of in (np.maximum, np.minimum)
        )  # of the lap up to a trade, and from it on

    def count_before(self, laps: Ints, offsets: Ints) -> Ints:
        """How many trades of all laps lie before each offset within its lap."""
        counts: Ints = np.maximum(laps * len(self.prices) + np.searchsorted(self.at_ms, offsets), 0)
        return counts


class RecordedTrades:
    """Trade `number` is trade `number % n` of lap `number // n`, counted from the lap that starts at `epoch_ms`."""

    def __init__(self, tape: Tape, tick_size: int, epoch_ms: int) -> None:
        self._tape, self._trades, self._epoch_ms = tape, tape.trades, epoch_ms
        self.first_id = tape.trades.first_id
        prices, quantities = tape.trades.prices, tape.trades.quantities
        quotes = [price * quantity for price, quantity in zip(prices, quantities, strict=True)]
        bought = [not maker for maker in tape.trades.buyer_is_maker]
        # Python integers: sums of price × quantity in units of 1e-16 pass 64 bits
        self._sums = [
            list(accumulate(values, initial=0))
            for values in (
                quantities,
                quotes,
                [quantity * buy for quantity, buy in zip(quantities, bought, strict=True)],
                [quote * buy for quote, buy in zip(quotes, bought, strict=True)],
            )
        ]
        self.tick, self.step = gcd(tick_size, *prices), gcd(*quantities)
        self._columns = _Columns(tape.trades, self.tick, self.step)
        self._extremes = _Extremes(prices)
        self._instants = self._segment_instants()
        self._lowest_shift = tick_size - min(min(prices), min(tape.tickers.bids))

    def _segment_instants(self) -> list[int]:
        starts = [*self._tape.segment_ms, self._tape.segment_ms[0] + self._tape.lap_ms]
        events = self._tape.events
        return [
            starts[segment] for kind, segment in zip(events.kinds, self._tape.segments, strict=True) if kind == TRADE
        ]

    def count_before(self, at_ms: int) -> int:
        """How many trades since the epoch have `at_ms` below this instant."""
        lap, offset = divmod(at_ms - self._epoch_ms, self._tape.lap_ms)
        return max(0, lap * len(self._trades) + bisect_left(self._trades.at_ms, offset))

    def trade(self, number: int) -> Trade:
        """One trade, shifted to its lap."""
        lap, index = divmod(number, len(self._trades))
        one, start = self._trades[index], self._epoch_ms + lap * self._tape.lap_ms
        return Trade(
            self.first_id + number, one.price, one.quantity, start + one.at_ms, start + one.event_ms, one.buyer_is_maker
        )

    def trades(self, first: int, last: int) -> list[Trade]:
        """Trades number `first` to `last` - 1."""
        return [self.trade(number) for number in range(first, last)]

    def shift_instants(self, first: int, last: int) -> list[int]:
        """Where each trade's segment begins."""
        instants, count = self._instants, len(self._trades)
        return [
            self._epoch_ms + number // count * self._tape.lap_ms + instants[number % count]
            for number in range(first, last)
        ]

    def bounded(self, shift: int, at_ms: int) -> int:  # noqa: ARG002  the tape's floor is one for all times
        """The shift, or the lowest one that keeps every trade and best bid of the tape above 0."""
        return max(shift, self._lowest_shift)

    def bar(self, first: int, last: int) -> Bar:
        """The trades number `first` to `last` - 1 (at least one) in one bar."""
        return joined(self._bars(first, last))

    def bars(self, instants: Ints) -> Bars:
        """As TradeSource.bars."""
        laps, offsets = np.divmod(instants - self._epoch_ms, self._tape.lap_ms)
        numbers = self._columns.count_before(laps, offsets)
        traded = np.flatnonzero(numbers[1:] > numbers[:-1])
        bars = self._between(numbers[traded], numbers[traded + 1])
        return bars if len(traded) == len(instants) - 1 else bars.placed(traded, len(instants) - 1)

    def _between(self, first: Ints, last: Ints) -> Bars:
        """The trades from number `first` to before `last` in one bar, for each pair."""
        columns, count = self._columns, len(self._trades)
        (lap, begin), (end_lap, end) = np.divmod(first, count), np.divmod(last - 1, count)
        laps = end_lap - lap
        (so_far, onwards), (low_so_far, low_onwards) = columns.highest, columns.lowest
        high = np.maximum(onwards[begin], so_far[end])
        low = np.minimum(low_onwards[begin], low_so_far[end])
        high[laps > 1], low[laps > 1] = so_far[-1], low_so_far[-1]
        one = laps == 0
        high[one], low[one] = (of // self.tick for of in self._extremes.of_each(begin[one], end[one] + 1))
        sums = (of[end + 1] - of[begin] + laps * of[-1] for of in columns.sums)
        prices = columns.prices
        return Bars(last - first, prices[begin], high, low, prices[end], *sums)

    def _bars(self, first: int, last: int) -> Iterator[Bar]:
        """At most three: the end of one lap, whole laps, the start of another."""
        count = len(self._trades)
        lap, index = divmod(first, count)
        if index:
            stop = min(last, (lap + 1) * count)
            yield self._within(index, index + stop - first)
            first = stop
        laps = (last - first) // count
        if laps:
            yield self._within(0, count, laps)
            first += laps * count
        if first < last:
            yield self._within(0, last - first)

    def _within(self, first: int, last: int, times: int = 1) -> Bar:
        high, low = self._extremes.of(first, last)
        volume, quote, buy_base, buy_quote = ((sums[last] - sums[first]) * times for sums in self._sums)
        prices = self._trades.prices
        return Bar(prices[first], high, low, prices[last - 1], volume, quote, buy_base, buy_quote)
