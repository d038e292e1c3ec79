"""The trades of a generated market as a TradeSource: days, minutes and single trades, each made when asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

from market_simulator.generated_days import MINUTES, Day, DayWalk, Profile
from market_simulator.generated_minute_trades import MINUTE_MS, MinuteTrades, TradeMaker
from market_simulator.generated_minutes import Ints, MinuteMaker, Minutes
from market_simulator.market import SymbolInfo, Trade
from market_simulator.trade_history import Bar, joined

DAY_MS = MINUTES * MINUTE_MS
TICK_MS = 100  # a depth update each tick; what it covers is shown after the tick before
_FIRST_ID = 1
_BLOCK_DAYS = 32
_KEPT_DAYS, _KEPT_MINUTES = 3, 64  # 160 KB a day, 4 KB a minute; a 24 h window needs two of each
_SPREAD_ROOM = 10  # ticks that the best bid may lie below the lowest trade


@dataclass(frozen=True, slots=True)
class _DayMinutes:
    """One day's minutes with running sums from 0: `counts` in trades, the others as in `sums` of a range."""

    minutes: Minutes
    counts: Ints
    sums: tuple[Ints, Ints, Ints, Ints]  # volume, quote, buy_base, buy_quote


class GeneratedTrades:
    """Trade `number` is trade `number % n` of day `number // n`; every day has n trades."""

    def __init__(self, info: SymbolInfo, profile: Profile, seed: int, epoch_ms: int) -> None:
        self.first_id = _FIRST_ID
        self._info, self._epoch_ms = info, epoch_ms
        self._a_day = profile.trades_a_day
        self._walk = DayWalk(info, profile, seed)
        self._minute_maker = MinuteMaker(seed, info.symbol, self._a_day)
        self._trade_maker = TradeMaker(seed, info.symbol)
        self._days: LRUCache[int, _DayMinutes] = LRUCache(_KEPT_DAYS)
        self._minutes: LRUCache[tuple[int, int], MinuteTrades] = LRUCache(_KEPT_MINUTES)
        self._whole_days: dict[int, list[Bar]] = {}  # by block: 32 bars of 0.5 KB

    def count_before(self, at_ms: int) -> int:
        """How many trades since the epoch have `at_ms` below this instant."""
        day, offset = divmod(at_ms - self._epoch_ms, DAY_MS)
        if day < 0:
            return 0
        if not offset:
            return day * self._a_day
        minute, rest = divmod(offset, MINUTE_MS)
        count = day * self._a_day + int(self._day(day).counts[minute])
        return count + int(np.searchsorted(self._minute(day, minute).offsets_ms, rest)) if rest else count

    def trades(self, first: int, last: int) -> list[Trade]:
        """Trades number `first` to `last` - 1."""
        trades: list[Trade] = []
        for day, minute, begin, end in self._parts(first, last):
            start_ms = self._epoch_ms + day * DAY_MS + minute * MINUTE_MS
            one = self._minute(day, minute)
            number = _FIRST_ID + first + len(trades)
            columns = (one.offsets_ms, one.prices, one.quantities, one.buys)
            for at, price, size, buy in zip(*(column[begin:end].tolist() for column in columns), strict=True):
                units = price * self._info.tick_size, size * self._info.step_size
                trades.append(Trade(number, *units, start_ms + at, start_ms + at, not buy))
                number += 1
        return trades

    def shift_instants(self, first: int, last: int) -> Sequence[int]:
        """Where the tick begins that covers each trade."""
        instants: list[int] = []
        for day, minute, begin, end in self._parts(first, last):
            start_ms = self._epoch_ms + day * DAY_MS + minute * MINUTE_MS
            offsets = self._minute(day, minute).offsets_ms[begin:end].tolist()
            instants += [start_ms + segment_start(at) for at in offsets]
        return instants

    def bounded(self, shift: int, at_ms: int) -> int:
        """The shift, or the lowest one that keeps this day's and the next day's prices above 0."""
        day = max(0, (at_ms - self._epoch_ms) // DAY_MS)
        lowest = min(self._walk.day(day).low, self._walk.day(day + 1).low)
        return max(shift, (_SPREAD_ROOM - lowest) * self._info.tick_size)

    def bar(self, first: int, last: int) -> Bar:
        """The trades number `first` to `last` - 1 (at least one) in one bar."""
        return joined(self._bars(first, last))

    def _bars(self, first: int, last: int) -> Iterator[Bar]:
        """Parts of days at the ends, whole days between."""
        while first < last:
            day, index = divmod(first, self._a_day)
            stop = min(last - day * self._a_day, self._a_day)
            if index == 0 and stop == self._a_day:
                yield self._whole_day(day)
            else:
                yield from self._within_day(day, index, stop)
            first = day * self._a_day + stop

    def _within_day(self, day: int, first: int, last: int) -> Iterator[Bar]:
        """Trades [first, last) of one day: parts of minutes at the ends, whole minutes between."""
        counts = self._day(day).counts
        minute = int(np.searchsorted(counts, first, side="right")) - 1
        if first > counts[minute]:
            stop = min(last, int(counts[minute + 1]))
            yield self._within_minute(day, minute, first - int(counts[minute]), stop - int(counts[minute]))
            first, minute = stop, minute + 1
        if first >= last:
            return
        end = int(np.searchsorted(counts, last, side="right")) - 1
        if end > minute:
            yield self._whole_minutes(day, minute, end)
        if last > counts[end]:
            yield self._within_minute(day, end, 0, last - int(counts[end]))

    def _within_minute(self, day: int, minute: int, first: int, last: int) -> Bar:
        one, part = self._minute(day, minute), slice(first, last)
        prices, sizes = one.prices[part], one.quantities[part]
        bought = sizes * one.buys[part]
        sums = (sizes.sum(), (prices * sizes).sum(), bought.sum(), (prices * bought).sum())
        return self._units((prices[0], prices.max(), prices.min(), prices[-1]), sums)

    def _whole_minutes(self, day: int, first: int, last: int) -> Bar:
        one = self._day(day)
        bars = one.minutes
        high, low = bars.high[0, first:last].max(), bars.low[0, first:last].min()
        sums = tuple(running[last] - running[first] for running in one.sums)
        return self._units((bars.open[0, first], high, low, bars.close[0, last - 1]), sums)

    def _whole_day(self, number: int) -> Bar:
        block, place = divmod(number, _BLOCK_DAYS)
        if block not in self._whole_days:
            days = [self._walk.day(block * _BLOCK_DAYS + day) for day in range(_BLOCK_DAYS)]
            minutes = self._minute_maker.make(days)
            columns = [of.sum(axis=1) for of in (minutes.quote(), minutes.buy_base(), minutes.buy_quote())]
            sums = zip((day.volume for day in days), *(column.tolist() for column in columns), strict=True)
            self._whole_days[block] = [
                self._units((day.open, day.high, day.low, day.close), of_day)
                for day, of_day in zip(days, sums, strict=True)
            ]
        return self._whole_days[block][place]

    def _units(self, prices: Sequence[int], sums: Sequence[int]) -> Bar:
        """Ticks and steps into units, as Python integers: a day's quote volume in 1e-16 passes 64 bits."""
        tick, step = self._info.tick_size, self._info.step_size
        opened, high, low, closed = (int(price) * tick for price in prices)
        volume, quote, buy_base, buy_quote = map(int, sums)
        return Bar(
            opened, high, low, closed, volume * step, quote * tick * step, buy_base * step, buy_quote * tick * step
        )

    def _parts(self, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
        """The range minute by minute: day, minute, and the trades [begin, end) within it."""
        while first < last:
            day, index = divmod(first, self._a_day)
            counts = self._day(day).counts
            minute = int(np.searchsorted(counts, index, side="right")) - 1
            begin, end = index - int(counts[minute]), int(counts[minute + 1] - counts[minute])
            end = min(end, begin + last - first)
            yield day, minute, begin, end
            first += end - begin

    def _day(self, number: int) -> _DayMinutes:
        if number not in self._days:
            day: Day = self._walk.day(number)
            minutes = self._minute_maker.make([day])
            columns = (minutes.volume, minutes.quote(), minutes.buy_base(), minutes.buy_quote())
            volume, quote, buy_base, buy_quote = (running(column) for column in columns)
            self._days[number] = _DayMinutes(minutes, running(minutes.count), (volume, quote, buy_base, buy_quote))
        return self._days[number]

    def _minute(self, day: int, minute: int) -> MinuteTrades:
        if (day, minute) not in self._minutes:
            self._minutes[day, minute] = self._trade_maker.make(self._day(day).minutes, day, 0, minute)
        return self._minutes[day, minute]


def running(column: Ints) -> Ints:
    """Sums of one day's values before each minute, and of all."""
    return np.concatenate(([0], np.cumsum(column[0])))


def segment_start(at_ms: int) -> int:
    """The first instant that the tick at or after `at_ms` covers."""
    return -(-at_ms // TICK_MS) * TICK_MS - TICK_MS + 1
