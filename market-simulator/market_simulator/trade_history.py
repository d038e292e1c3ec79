"""Klines, windows and trade lists over an endless numbered series of trades, repricings included.

A source knows the trades as the market made them and sums any range of them quickly. What was repriced is kept as
pieces with one shift each, so a bar over a piece is the source's bar moved by that shift: exact, and nothing is stored
per trade.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Protocol

import numpy as np

from market_simulator.klines.bars import Bar, Bars, Ints, empty_bars, joined
from market_simulator.klines.intervals import later_open, open_time, opens_between
from market_simulator.klines.kline_table import KlineTable
from market_simulator.market import Kline, Repricing, Trade, Window
from market_simulator.repricing import Repricings

_SLACK_MS = 5_000  # a trade's shift is looked up at most this far from the trade's own time


class TradeSource(Protocol):
    """An endless series of trades, numbered from 0 at the epoch. Prices are whole `tick`s, quantities whole `step`s."""

    first_id: int
    tick: int
    step: int

    def count_before(self, at_ms: int) -> int:
        """How many trades have `at_ms` below this instant."""
        ...

    def trades(self, first: int, last: int) -> list[Trade]:
        """Trades number `first` to `last` - 1."""
        ...

    def bar(self, first: int, last: int) -> Bar:
        """The trades number `first` to `last` - 1 (at least one) in one bar."""
        ...

    def bars(self, instants: Ints) -> Bars:
        """One bar per consecutive pair of instants (two or more, rising): the trades from one to before the other.

        What lies before the epoch holds nothing. In ticks and steps; `count` 0: no trade.
        """
        ...

    def shift_instants(self, first: int, last: int) -> Sequence[int]:
        """For each of these trades the instant whose shift it carries; never falling."""
        ...

    def bounded(self, shift: int, at_ms: int) -> int:
        """The shift, or the lowest one that keeps all prices at this instant above 0."""
        ...


@dataclass(frozen=True, slots=True)
class _Zone:
    """A repriced range of trades: piece `i` is [bounds[i], bounds[i + 1]) and moved by shifts[i]."""

    bounds: list[int]
    shifts: list[int]
    total: Bar

    def pieces(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """The parts of [first, last) in the zone, with their shifts."""
        index = max(0, bisect_right(self.bounds, first) - 1)
        while index < len(self.shifts) and self.bounds[index] < last:
            yield max(first, self.bounds[index]), min(last, self.bounds[index + 1]), self.shifts[index]
            index += 1


class TradeHistory:
    """What REST and the kline streams ask of the past, over one source and its repricings."""

    def __init__(self, source: TradeSource, epoch_ms: int) -> None:
        self._source = source
        self._epoch_ms = epoch_ms
        self._repricings = Repricings()
        self._zones: list[_Zone] = []

    def shift_at(self, at_ms: int) -> int:
        """The shift in force for what is looked up at this instant, in units of 1e-8."""
        shift = self._repricings.shift_at(at_ms)
        return self._source.bounded(shift, at_ms) if shift else 0

    def reprice(self, repricing: Repricing, reached_ms: int) -> None:
        """Plant a repricing; it changes nothing up to `reached_ms`. Raises ValueError when too many are running."""
        self._repricings.add(repricing, reached_ms)
        changed_first, changed_last = self._numbers(repricing.start_ms, repricing.end_ms)
        ranges: list[tuple[int, int]] = []
        for first, last in (self._numbers(*one) for one in self._repricings.ranges()):
            if ranges and first < ranges[-1][1]:
                ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
            elif last > first:
                ranges.append((first, last))
        kept = {
            (zone.bounds[0], zone.bounds[-1]): zone
            for zone in self._zones
            if zone.bounds[-1] <= changed_first or zone.bounds[0] >= changed_last
        }
        self._zones = [kept.get(one) or self._zone(*one) for one in ranges]

    def _numbers(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """All trades that a repricing at these times can reach."""
        return self._source.count_before(start_ms - _SLACK_MS), self._source.count_before(end_ms + _SLACK_MS)

    def _zone(self, first: int, last: int) -> _Zone:
        bounds, shifts = [first], list[int]()
        at = first
        for instant, same in groupby(self._source.shift_instants(first, last)):
            shift = self.shift_at(instant)
            at += sum(1 for _ in same)
            if shifts and shifts[-1] == shift:
                bounds[-1] = at
            else:
                shifts.append(shift)
                bounds.append(at)
        pieces = zip(pairwise(bounds), shifts, strict=True)
        total = joined(self._source.bar(*piece).moved(shift) for piece, shift in pieces)
        return _Zone(bounds, shifts, total)

    def _bar(self, first: int, last: int) -> Bar:
        if not self._zones or last <= self._zones[0].bounds[0]:
            return self._source.bar(first, last)
        return joined(self._bars(first, last))

    def _bars(self, first: int, last: int) -> Iterator[Bar]:
        """Consecutive bars that make up [first, last): plain ranges, whole zones, pieces of zones."""
        for zone in self._zones:
            start, end = zone.bounds[0], zone.bounds[-1]
            if end <= first or start >= last:
                continue
            if first < start:
                yield self._source.bar(first, start)
            if first <= start and end <= last:
                yield zone.total
            else:
                for begin, stop, shift in zone.pieces(max(first, start), min(last, end)):
                    yield self._source.bar(begin, stop).moved(shift)
            first = end
        if first < last:
            yield self._source.bar(first, last)

    def _price_before(self, number: int) -> int:
        """The last price before this trade; before the first one that one's own."""
        number = max(number - 1, 0)
        return self._bar(number, number + 1).close

    def _numbered(self, first: int, last: int) -> list[Trade]:
        trades = self._source.trades(first, last)
        for zone in self._zones:
            for begin, stop, shift in zone.pieces(max(first, zone.bounds[0]), min(last, zone.bounds[-1])):
                for index in range(begin - first, stop - first) if shift else ():
                    trades[index] = replace(trades[index], price=trades[index].price + shift)
        return trades

    def trades(
        self, now_ms: int, *, limit: int, from_id: int | None, start_ms: int | None, end_ms: int | None
    ) -> list[Trade]:
        """As SymbolMarket.trades; `from_id` goes before `start_ms`."""
        end = self._source.count_before(now_ms + 1)
        if end_ms is not None:
            end = min(end, self._source.count_before(end_ms + 1))
        if from_id is not None:
            first = max(0, from_id - self._source.first_id)
        elif start_ms is not None:
            first = self._source.count_before(start_ms)
        else:
            first = max(0, end - limit)
        return self._numbered(first, max(first, min(end, first + limit)))

    def klines(
        self, now_ms: int, interval: str, *, limit: int, start_ms: int | None, end_ms: int | None, offset_ms: int
    ) -> KlineTable:
        """As SymbolMarket.klines; the oldest bar is the one that holds the epoch."""
        oldest = open_time(self._epoch_ms, interval, offset_ms)
        newest = open_time(now_ms if end_ms is None else min(end_ms, now_ms), interval, offset_ms)
        if start_ms is None:
            opened = max(oldest, later_open(newest, interval, 1 - limit, offset_ms))
        else:
            opened = max(oldest, open_time(start_ms, interval, offset_ms))
            if opened < start_ms:
                opened = later_open(opened, interval, 1, offset_ms)
        return self._table(opens_between(opened, newest, interval, limit, offset_ms), now_ms)

    def _table(self, edges: Ints, now_ms: int) -> KlineTable:
        """The bars between consecutive edges, up to `now_ms`."""
        source = self._source
        if not len(edges):
            return KlineTable(edges, edges, edges, empty_bars(0), source.tick, source.step)
        instants = edges.copy()
        instants[-1] = min(instants[-1], now_ms + 1)
        bars = source.bars(instants)
        first = source.count_before(int(edges[0])) + np.cumsum(bars.count) - bars.count
        self._move(bars, first)
        self._fill(bars, int(first[0]))
        first_ids = np.where(bars.count > 0, source.first_id + first, -1)
        return KlineTable(edges[:-1], edges[1:] - 1, first_ids, bars, source.tick, source.step)

    def _move(self, bars: Bars, first: Ints) -> None:
        """Reprice the bars that hold trades of a zone."""
        steps = self._source.tick, self._source.step
        for zone in self._zones:
            touched = (first < zone.bounds[-1]) & (first + bars.count > zone.bounds[0]) & (bars.count > 0)
            for row in np.flatnonzero(touched).tolist():
                begin = int(first[row])
                bars.put(row, self._bar(begin, begin + int(bars.count[row])).in_steps(*steps))

    def _fill(self, bars: Bars, first: int) -> None:
        """Give bars without a trade the price before them."""
        traded = bars.count > 0
        if traded.all():
            return
        latest = np.maximum.accumulate(np.where(traded, np.arange(len(bars)), -1))
        before = self._price_before(first) // self._source.tick
        prices = np.where(latest < 0, before, bars.close[latest])[~traded]
        for column in (bars.open, bars.high, bars.low, bars.close):
            column[~traded] = prices

    def kline_at(self, now_ms: int, interval: str, offset_ms: int) -> Kline:
        """As SymbolMarket.kline_at."""
        opened = open_time(now_ms, interval, offset_ms)
        first, last = self._source.count_before(opened), self._source.count_before(now_ms + 1)
        return self._kline(opened, later_open(opened, interval, 1, offset_ms), first, last)

    def _kline(self, opened: int, following: int, first: int, last: int) -> Kline:
        if first >= last:
            price = self._price_before(first)
            return Kline(opened, following - 1, price, price, price, price, 0, 0, 0, 0, 0, -1, -1)
        bar, ids = self._bar(first, last), self._source.first_id
        return Kline(
            opened, following - 1, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote,
            last - first, bar.buy_base, bar.buy_quote, ids + first, ids + last - 1,
        )

    def window(self, now_ms: int, length_ms: int) -> Window:
        """As SymbolMarket.window; both ends belong to it."""
        opened = now_ms - length_ms
        first, last = self._source.count_before(opened), self._source.count_before(now_ms + 1)
        previous = self._price_before(first)
        if first >= last:
            return Window(opened, now_ms, previous, previous, previous, previous, 0, 0, 0, -1, -1, 0, previous)
        bar, ids = self._bar(first, last), self._source.first_id
        newest = self._source.trades(last - 1, last)[0]
        return Window(
            opened, now_ms, bar.open, bar.high, bar.low, bar.close, newest.quantity, bar.volume, bar.quote,
            ids + first, ids + last - 1, last - first, previous,
        )
