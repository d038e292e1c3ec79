"""Recorded minute bars made fit for a replay: exact, in order, one row for each minute, their defects counted.

A minute that the recording lacks is a hole: the exchange was away, nothing traded. A zero-volume bar is no hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from market_simulator.klines.bars import Ints
from market_simulator.market import UNIT

MINUTE_MS = 60_000
_LEAST_STEPS = 4  # a minute's trades: open, high, low and close
_LEAST_TICKS = 1_000  # room for a book below the lowest price
_MOST_MINUTES = 5_300_000  # ten years
_EXACT = 1e15  # a decimal of up to 15 digits is the only one of its length that gives its float


@dataclass(frozen=True, slots=True)
class ReplayBars:
    """One symbol's minutes from `start_ms` on; prices in `tick`s, volumes in `step`s (units of 1e-8).

    In a minute of a hole (`is_recorded` false) or without volume all prices are the close before.
    """

    base: str
    quote: str
    start_ms: int
    tick: int
    step: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    is_recorded: NDArray[np.bool_]
    holes: tuple[tuple[int, int], ...]  # [start, end) in ms
    duplicates_ms: tuple[int, ...]  # the later row of each was taken
    rounded: int  # figures with more than 8 decimals
    quoted: int  # bars without volume whose price was not the close before: replayed at that close

    @property
    def symbol(self) -> str:
        return self.base + self.quote

    @property
    def end_ms(self) -> int:
        """When the last minute is over."""
        return self.start_ms + len(self.volume) * MINUTE_MS

    @property
    def recorded(self) -> int:
        """How many bars there are, without holes."""
        return int(self.is_recorded.sum())

    def lowest_ms(self) -> int:
        """The minute of the lowest price."""
        return self.start_ms + int(self.low.argmin()) * MINUTE_MS


def make_bars(base: str, quote: str, times_ms: Sequence[int], figures: NDArray[np.float64]) -> ReplayBars:
    """Rows of open, high, low, close, volume (as floats, as the files have them) at these times.

    Raises ValueError for what is no set of minute bars; no retry.
    """
    times = np.array(times_ms, dtype=np.int64)
    _check(times, figures)
    order = np.argsort(times, kind="stable")
    times, figures = times[order], figures[order]
    is_last = np.append(np.diff(times) > 0, True)
    duplicates = tuple(times[:-1][~is_last[:-1]].tolist())
    times, figures = times[is_last], figures[is_last]
    first = int((figures[:, 4] > 0).argmax())
    units, rounded = _units(figures[first:])
    tick, step = _tick(units[:, :4]), _step(units[:, 4])
    count = int(times[-1] - times[first]) // MINUTE_MS + 1
    if count > _MOST_MINUTES:
        raise ValueError(f"spans {count} minutes")
    places = (times[first:] - times[first]) // MINUTE_MS
    is_recorded = np.zeros(count, dtype=np.bool_)
    is_recorded[places] = True
    columns = np.zeros((5, count), dtype=np.int64)
    columns[:4, places] = units[:, :4].T // tick
    columns[4, places] = units[:, 4] // step
    quoted = _still(columns)
    return ReplayBars(
        base, quote, int(times[first]), tick, step,
        columns[0], columns[1], columns[2], columns[3], columns[4], is_recorded,
        _holes(int(times[first]), is_recorded), duplicates, rounded, quoted,
    )  # fmt: skip


def _check(times: Ints, figures: NDArray[np.float64]) -> None:
    if not len(times) or figures.shape != (len(times), 5):
        raise ValueError("no rows of time, open, high, low, close and volume")
    if (times % MINUTE_MS).any() or times.min() < 0:
        raise ValueError("a bar that does not begin with a minute")
    if not np.isfinite(figures).all() or figures.min() < 0 or figures[:, :4].min() <= 0 or figures.max() > 1e10:
        raise ValueError("a figure that is no price or volume")
    opened, high, low, closed, volume = figures.T
    if (low > np.minimum(opened, closed)).any() or (high < np.maximum(opened, closed)).any():
        raise ValueError("an open or close outside of low and high")
    if not volume.any():
        raise ValueError("no bar with a volume")


def _units(figures: NDArray[np.float64]) -> tuple[Ints, int]:
    """Figures in units of 1e-8, and how many had more decimals. A float stands for its shortest decimal."""
    units = np.rint(figures * UNIT)
    plain = (units < _EXACT) & (units / UNIT == figures)
    exact: Ints = units.astype(np.int64)
    rounded = 0
    for row, column in np.argwhere(~plain).tolist():
        amount = Decimal(repr(float(figures[row, column]))) * UNIT
        exact[row, column] = nearest = round(amount)
        rounded += nearest != amount
    return exact, rounded


def _power_of_ten(units: Ints) -> int:
    """The largest one, up to 1, that all of these are multiples of."""
    common, power = int(np.gcd.reduce(units, axis=None)), 1
    while power < UNIT and common % (power * 10) == 0:
        power *= 10
    return power


def _tick(prices: Ints) -> int:
    tick = _power_of_ten(prices)
    while tick > 1 and prices.min() < _LEAST_TICKS * tick:
        tick //= 10
    return tick


def _step(volumes: Ints) -> int:
    """As fine as the volumes are, and finer where a bar holds less than a minute's trades need."""
    step, least = _power_of_ten(volumes), int(volumes[volumes > 0].min())
    while step > 1 and least < _LEAST_STEPS * step:
        step //= 10
    if least < _LEAST_STEPS * step:
        raise ValueError(f"a volume of {least} × 1e-8: too little for a minute's trades")
    return step


def _still(columns: Ints) -> int:
    """Put minutes without volume at the close before; how many of them had stood elsewhere."""
    traded = columns[4] > 0
    latest = np.maximum.accumulate(np.where(traded, np.arange(len(traded)), -1))
    still = np.flatnonzero(~traded)
    closes = columns[3, latest[still]]
    elsewhere = (columns[:4, still] != closes).any(axis=0) & (columns[3, still] > 0)
    columns[:4, still] = closes
    return int(elsewhere.sum())


def _holes(start_ms: int, is_recorded: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(is_recorded.astype(np.int8))) + 1
    return tuple(
        (start_ms + int(first) * MINUTE_MS, start_ms + int(last) * MINUTE_MS)
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    )
