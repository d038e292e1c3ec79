"""Many bars at once, in columns: what a TradeSource answers when it is asked for a year of them.

Columns are 64-bit integers, or Python integers (dtype object) where 64 bits don't hold a sum. Nothing is a float.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_SAFE = 2.0**60  # a bar's quote is the sum of three such products


class Bar(NamedTuple):
    """A range of trades in one. Prices and volumes in units of 1e-8, quotes in 1e-16; or in ticks and steps."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    buy_base: int
    buy_quote: int

    def moved(self, shift: int) -> "Bar":
        """The same trades with `shift` added to each price."""
        return Bar(
            self.open + shift, self.high + shift, self.low + shift, self.close + shift,
            self.volume, self.quote + shift * self.volume, self.buy_base, self.buy_quote + shift * self.buy_base,
        )

    def scaled(self, tick: int, step: int) -> "Bar":
        """Ticks and steps of these sizes in units."""
        return Bar(
            self.open * tick, self.high * tick, self.low * tick, self.close * tick,
            self.volume * step, self.quote * tick * step, self.buy_base * step, self.buy_quote * tick * step,
        )  # fmt: skip

    def in_steps(self, tick: int, step: int) -> "Bar":
        """The reverse of `scaled`."""
        return Bar(
            self.open // tick, self.high // tick, self.low // tick, self.close // tick,
            self.volume // step, self.quote // (tick * step), self.buy_base // step, self.buy_quote // (tick * step),
        )  # fmt: skip

    def then(self, later: "Bar") -> "Bar":
        """This range and the one after it."""
        return Bar(
            self.open, max(self.high, later.high), min(self.low, later.low), later.close,
            self.volume + later.volume, self.quote + later.quote,
            self.buy_base + later.buy_base, self.buy_quote + later.buy_quote,
        )


def joined(bars: Iterator[Bar]) -> Bar:
    """Consecutive ranges as one; at least one."""
    total = next(bars)
    for bar in bars:
        total = total.then(bar)
    return total


@dataclass(frozen=True, slots=True)
class Bars:
    """Ranges of trades, one a row. Prices in ticks, volumes in steps, quotes in ticks × steps.

    A row without a trade (count 0) holds zeros.
    """

    count: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote: Ints
    buy_base: Ints
    buy_quote: Ints

    def __len__(self) -> int:
        return len(self.count)

    def over(self, first: Ints, last: Ints) -> "Bars":
        """The rows [first[i], last[i]) as one bar each. Ranges are not empty and follow each other.

        Each range begins with a traded row; where a later row's count is 0, it holds the price that was in force.
        """
        if len(first) and bool((last - first == 1).all()):
            return self.rows(first)
        edges = np.column_stack((first, last)).ravel()
        if len(last) and last[-1] == len(self):
            edges = edges[:-1]  # reduceat takes no edge past the end: the last range then reaches it

        def summed(column: Ints) -> Ints:
            sums: Ints = np.add.reduceat(column, edges)[::2]
            return sums

        return Bars(
            summed(self.count), self.open[first], np.maximum.reduceat(self.high, edges)[::2],
            np.minimum.reduceat(self.low, edges)[::2], self.close[last - 1],
            summed(self.volume), summed(self.quote), summed(self.buy_base), summed(self.buy_quote),
        )  # fmt: skip

    def rows(self, rows: Ints | slice) -> "Bars":
        """Some of the rows."""
        return Bars(*(getattr(self, one.name)[rows] for one in fields(Bars)))

    def bar(self, row: int) -> Bar:
        """One row, in ticks and steps."""
        return Bar(*(int(getattr(self, one)[row]) for one in Bar._fields))

    def put(self, row: int, bar: Bar) -> None:
        """Replace one row's prices and sums; in ticks and steps."""
        for name, value in zip(Bar._fields, bar, strict=True):
            getattr(self, name)[row] = value

    def grouped(self, groups: Ints, count: int) -> "Bars":
        """`count` bars: the rows with one group number (never falling, below `count`) are one bar."""
        kept = np.flatnonzero(self.count)
        groups = groups[kept]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        rows = self.rows(kept)
        if len(starts):
            rows = rows.over(starts, np.append(starts[1:], len(groups)))
        return rows if len(rows) == count else rows.placed(groups[starts], count)

    def placed(self, places: Ints, count: int) -> "Bars":
        """`count` rows, of which these are the ones at `places`."""
        columns = []
        for one in fields(Bars):
            column = getattr(self, one.name)
            spread = np.zeros(count, dtype=column.dtype)
            spread[places] = column
            columns.append(spread)
        return Bars(*columns)


def empty_bars(count: int) -> Bars:
    """Rows without a trade, to be filled."""
    return Bars(*(np.zeros(count, dtype=np.int64) for _ in fields(Bars)))


def stacked(parts: list[Bars]) -> Bars:
    """These rows one after another; at least one part."""
    return Bars(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Bars)))


def product(left: Ints, right: Ints) -> Ints:
    """left × right, in Python integers where a sum over all of them could pass 64 bits."""
    most = float(left.max(initial=0)) * float(right.max(initial=0)) * left.size
    return (left if most < _SAFE else left.astype(object)) * right


def running(column: Ints) -> Ints:
    """Sums of the values before each place, and of all; in Python integers where they could pass 64 bits."""
    if column.dtype != object and float(column.max(initial=0)) * len(column) >= _SAFE:
        column = column.astype(object)
    sums = np.zeros(len(column) + 1, dtype=column.dtype)
    np.cumsum(column, out=sums[1:])
    return sums


def cut(instants: Ints, unit: int) -> Ints:
    """The instants (rising) and, around each that is no multiple of `unit`, the multiples next to it within them."""
    past = instants % unit
    floors = (instants - past)[past != 0]
    floors = floors[np.flatnonzero(np.diff(floors, prepend=floors[:1] - 1))]
    edges = np.concatenate((floors, floors + unit))
    edges = edges[(edges > instants[0]) & (edges < instants[-1])]
    cuts = np.sort(np.concatenate((instants, edges)), kind="stable")
    return cuts[np.flatnonzero(np.diff(cuts, prepend=cuts[:1] - 1))]
