"""The trades of a generated market as a TradeSource: days, minutes and single trades, each made when asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from cachetools import LRUCache

from market_simulator.klines.bars import Bar, Bars, Ints, cut, joined, stacked
from market_simulator.market import SymbolInfo, Trade
from market_simulator.seeded.days import MINUTES, Days, DayWalk, Profile
from market_simulator.seeded.minute_run import MinuteRun, minute_bars
from market_simulator.seeded.minute_trades import MINUTE_MS, MinuteTrades, TradeMaker
from market_simulator.seeded.minutes import MinuteMaker

DAY_MS = MINUTES * MINUTE_MS
TICK_MS = 100  # a depth update each tick; what it covers is shown after the tick before
_FIRST_ID = 1
_BLOCK_DAYS = 32
_PART_MINUTES = 120  # what bars of 2 h to 12 h consist of
_PART_MS = _PART_MINUTES * MINUTE_MS
_PARTS = MINUTES // _PART_MINUTES
_KEPT_BLOCKS = 17  # of parts, 27 KB each: a thousand bars of 12 h
_KEPT_DAYS, _KEPT_MINUTES = 3, 64  # 160 KB a day, 4 KB a minute; a 24 h window needs two of each
_SPREAD_ROOM = 10  # ticks that the best bid may lie below the lowest trade


class GeneratedTrades:
    """Trade `number` is trade `number % n` of day `number // n`; every day has n trades."""

    def __init__(
        self, info: SymbolInfo, profile: Profile, seed: int, epoch_ms: int,
        days: Days | None = None, trade_seed: int | None = None,
    ) -> None:  # fmt: skip
        """`days`: others than the seed's own walk. `trade_seed`: for the trades within the minutes, if not `seed`."""
        self.first_id = _FIRST_ID
        self.tick, self.step = info.tick_size, info.step_size
        self._info, self._epoch_ms = info, epoch_ms
        self._a_day = profile.trades_a_day
        self._walk = days or DayWalk(info, profile, seed)
        self._minute_maker = MinuteMaker(seed, info.symbol, self._a_day)
        self._trade_maker = TradeMaker(seed if trade_seed is None else trade_seed, info.symbol)
        self._days: LRUCache[int, MinuteRun] = LRUCache(_KEPT_DAYS)
        self._minutes: LRUCache[tuple[int, int], MinuteTrades] = LRUCache(_KEPT_MINUTES)
        self._whole_days: dict[int, Bars] = {}  # by block: 32 rows, 2.5 KB
        self._kept_parts: LRUCache[int, Bars] = LRUCache(_KEPT_BLOCKS)

    def count_before(self, at_ms: int) -> int:
        """How many trades since the epoch have `at_ms` below this instant."""
        day, offset = divmod(at_ms - self._epoch_ms, DAY_MS)
        if day < 0:
            return 0
        return day * self._a_day + (self._day(day).count_before(offset) if offset else 0)

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
        return joined(self._pieces(first, last)).scaled(self.tick, self.step)

    def _pieces(self, first: int, last: int) -> Iterator[Bar]:
        """Parts of days at the ends, whole days between."""
        a_day = self._a_day
        day, index = divmod(first, a_day)
        if index:
            stop = min(last - day * a_day, a_day)
            yield self._day(day).bar(index, stop)
            first, day = day * a_day + stop, day + 1
        if (days := (last - first) // a_day) > 0:
            yield self._whole(np.array([day]), np.array([day + days])).bar(0)
            first, day = first + days * a_day, day + days
        if first < last:
            yield self._day(day).bar(0, last - first)

    def _whole(self, first: Ints, last: Ints) -> Bars:
        """The days from `first` to before `last` in one bar, for each pair."""
        return _over_blocks(first, last, _BLOCK_DAYS, self._days_of)

    def _days_of(self, block: int) -> Bars:
        if block not in self._whole_days:
            self._make_block(block)
        return self._whole_days[block]

    def _parts_of(self, block: int) -> Bars:
        if block not in self._kept_parts:
            self._make_block(block)
        return self._kept_parts[block]

    def _make_block(self, block: int) -> None:
        """Days 32 × block and on, and their parts, a row each: some 5 ms."""
        minutes = self._bars_of(range(block * _BLOCK_DAYS, (block + 1) * _BLOCK_DAYS))
        starts = np.arange(0, len(minutes), _PART_MINUTES)
        self._kept_parts[block] = parts = minutes.over(starts, starts + _PART_MINUTES)
        starts = np.arange(0, len(parts), _PARTS)
        self._whole_days[block] = parts.over(starts, starts + _PARTS)

    def prepare(self, now_ms: int) -> Iterator[None]:
        """Make what long bars up to `now_ms` consist of, 32 days at a step; without it who asks first waits for it."""
        for block in range((now_ms - self._epoch_ms) // DAY_MS // _BLOCK_DAYS + 1):
            self._days_of(block)
            yield

    def _bars_of(self, days: Sequence[int]) -> Bars:
        """All minutes of these days."""
        if all(day in self._days for day in days):
            return stacked([self._days[day].bars for day in days])
        return minute_bars(self._minute_maker.make([self._walk.day(day) for day in days]))

    def bars(self, instants: Ints) -> Bars:
        """As TradeSource.bars: from days where they are whole, else from minutes, at the ends from trades."""
        offsets = np.maximum(instants - self._epoch_ms, 0)
        cuts = cut(cut(cut(offsets, MINUTE_MS), _PART_MS), DAY_MS)
        first, last = cuts[:-1], cuts[1:]
        kinds = _kinds(first, last)
        places, rows = list[Ints](), list[Bars]()
        makers = (self._within_between, self._minutes_between, self._parts_between, self._whole_between)
        for kind, make in enumerate(makers):
            (at,) = np.nonzero(kinds == kind)
            if len(at):
                places.append(at)
                rows.append(make(first[at], last[at]))
        if len(rows) == 1 and len(cuts) == len(offsets):
            return rows[0]
        pieces = stacked(rows).placed(np.concatenate(places), len(first))
        return pieces.grouped(np.searchsorted(offsets, first, side="right") - 1, len(offsets) - 1)

    def _whole_between(self, first: Ints, last: Ints) -> Bars:
        return self._whole(first // DAY_MS, last // DAY_MS)

    def _parts_between(self, first: Ints, last: Ints) -> Bars:
        return _over_blocks(first // _PART_MS, last // _PART_MS, _BLOCK_DAYS * _PARTS, self._parts_of)

    def _minutes_between(self, first: Ints, last: Ints) -> Bars:
        """Ranges of whole minutes, none of them across the edge of a day; 32 days at a time."""
        days = first // DAY_MS
        rows = []
        for block in np.unique(days // _BLOCK_DAYS).tolist():
            begin, end = np.searchsorted(days, (block * _BLOCK_DAYS, (block + 1) * _BLOCK_DAYS)).tolist()
            needed, rank = np.unique(days[begin:end], return_inverse=True)
            shift = rank * MINUTES - days[begin:end] * MINUTES
            minutes = first[begin:end] // MINUTE_MS + shift, last[begin:end] // MINUTE_MS + shift
            rows.append(self._bars_of(needed.tolist()).over(*minutes))
        return stacked(rows)

    def _within_between(self, first: Ints, last: Ints) -> Bars:
        """Ranges within a minute."""
        rows, days = [], first // DAY_MS
        for day in range(int(days[0]), int(days[-1]) + 1):
            at = days == day
            rows.append(self._day(day).within(first[at] - day * DAY_MS, last[at] - day * DAY_MS))
        return stacked(rows)

    def _parts(self, first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
        """The range minute by minute: day, minute, and the trades [begin, end) within it."""
        while first < last:
            day, index = divmod(first, self._a_day)
            stop = min(index + last - first, self._a_day)
            for minute, begin, end in self._day(day).parts(index, stop):
                yield day, minute, begin, end
            first += stop - index

    def _day(self, number: int) -> MinuteRun:
        if number not in self._days:
            minutes = self._minute_maker.make([self._walk.day(number)])
            self._days[number] = MinuteRun(minutes, partial(self._minute, number))
        return self._days[number]

    def _minute(self, day: int, minute: int) -> MinuteTrades:
        if (day, minute) not in self._minutes:
            self._minutes[day, minute] = self._trade_maker.make(self._day(day).minutes, day, 0, minute)
        return self._minutes[day, minute]


def _kinds(first: Ints, last: Ints) -> Ints:
    """How many of minute, part and day both ends are whole ones of."""
    kinds = np.zeros(len(first), dtype=np.int64)
    for unit in (MINUTE_MS, _PART_MS, DAY_MS):
        kinds += (first % unit == 0) & (last % unit == 0)
    return kinds


def _over_blocks(first: Ints, last: Ints, size: int, of: Callable[[int], Bars]) -> Bars:
    """The rows from `first` to before `last` in one bar, for each pair; `of` gives them in blocks of `size` rows."""
    blocks = range(int(first[0]) // size, (int(last[-1]) - 1) // size + 1)
    skipped = blocks[0] * size
    return stacked([of(block) for block in blocks]).over(first - skipped, last - skipped)


def segment_start(at_ms: int) -> int:
    """The first instant that the tick at or after `at_ms` covers."""
    return -(-at_ms // TICK_MS) * TICK_MS - TICK_MS + 1
