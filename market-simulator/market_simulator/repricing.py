"""Scenarios that move prices: what they add to every price of a market, and the record of those planted.

A shift is additive, so no two levels of a book ever merge. A market asks for it once per depth update, at the first
instant that anything of that update was seen; what the update covers (bookTickers, trades) carries the same shift.
"""

from bisect import bisect_right
from dataclasses import dataclass
from random import Random

from market_simulator.market import Repricing

_STEP_MS = 250
_FALL_PART = 0.25  # a crash falls in the first quarter of its time and spends the rest on the way back
_PUMP_PART, _DUMP_PART = 0.6, 0.1  # a pump climbs, is sold off, and what is left of it fades
_LEFT_AFTER_DUMP = 0.2


@dataclass(frozen=True, slots=True)
class PricePath:
    """A Repricing of steps: `shifts[i]` (units of 1e-8) holds from `starts_ms[i]` to the next start or the end."""

    start_ms: int
    end_ms: int
    starts_ms: tuple[int, ...]
    shifts: tuple[int, ...]

    def shift(self, at_ms: int) -> int:
        """The step in force; 0 outside [start_ms, end_ms)."""
        if not self.start_ms <= at_ms < self.end_ms:
            return 0
        return self.shifts[bisect_right(self.starts_ms, at_ms) - 1]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Takes back what is left of a repricing from `start_ms` on: planted beside it, the two add up to nothing."""

    repricing: Repricing
    start_ms: int

    @property
    def end_ms(self) -> int:
        return self.repricing.end_ms

    def shift(self, at_ms: int) -> int:
        """Minus the cancelled repricing's shift from `start_ms` on."""
        return -self.repricing.shift(at_ms) if at_ms >= self.start_ms else 0


def flash_crash(start_ms: int, duration_ms: int, depth: int, tick_size: int, seed: int) -> PricePath:
    """Prices fall by `depth` ticks within a quarter of the time, then recover with jitter; exactly 0 at the end.

    `tick_size` in units of 1e-8. Raises ValueError unless `depth` ≥ 1 and `duration_ms` ≥ 1000.
    """
    if depth < 1 or duration_ms < 4 * _STEP_MS:
        raise ValueError("a flash crash needs a depth of at least 1 tick and 1000 ms")
    random = Random(seed)
    count = duration_ms // _STEP_MS
    bottom = max(1, int(count * _FALL_PART))
    ticks = [-_depth_at(step, bottom, count, depth, random) for step in range(count)]
    starts = tuple(start_ms + step * _STEP_MS for step in range(count))
    return PricePath(start_ms, start_ms + duration_ms, starts, tuple(tick * tick_size for tick in ticks))


def _depth_at(step: int, bottom: int, count: int, depth: int, random: Random) -> int:
    """Ticks below the undisturbed price: accelerating down, flattening out on the way back."""
    jitter = random.uniform(0.94, 1.0)  # drawn at each step, so that the path is one function of the seed
    if step < bottom:
        return int(depth * ((step + 1) / (bottom + 1)) ** 2 * jitter)
    if step == bottom:
        return depth
    return int(depth * ((count - step) / (count - bottom)) ** 2 * jitter)


def pump(start_ms: int, duration_ms: int, height: int, tick_size: int, seed: int) -> PricePath:
    """Prices climb by `height` ticks, faster and faster, are dumped by four fifths and fade back to exactly 0.

    `tick_size` in units of 1e-8. Raises ValueError unless `height` ≥ 1 and `duration_ms` ≥ 5000.
    """
    if height < 1 or duration_ms < 20 * _STEP_MS:
        raise ValueError("a pump needs a height of at least 1 tick and 5000 ms")
    random = Random(seed)
    count = duration_ms // _STEP_MS
    top, bottom = int(count * _PUMP_PART), int(count * (_PUMP_PART + _DUMP_PART))
    ticks = [_height_at(step, top, bottom, count, height, random) for step in range(count)]
    starts = tuple(start_ms + step * _STEP_MS for step in range(count))
    return PricePath(start_ms, start_ms + duration_ms, starts, tuple(tick * tick_size for tick in ticks))


def _height_at(step: int, top: int, bottom: int, count: int, height: int, random: Random) -> int:
    """Ticks above the undisturbed price."""
    jitter = random.uniform(0.92, 1.0)  # drawn at each step, so that the path is one function of the seed
    if step < top:
        return int(height * ((step + 1) / (top + 1)) ** 2 * jitter)
    if step == top:
        return height
    if step < bottom:
        return int(height * (1 - (1 - _LEFT_AFTER_DUMP) * (step - top) / (bottom - top)))
    return int(height * _LEFT_AFTER_DUMP * (count - step) / (count - bottom) * jitter)


def gap(start_ms: int, duration_ms: int, size: int, tick_size: int) -> PricePath:
    """Prices jump by `size` ticks (negative: down) at once, stay there, and jump back at the end. Takes no seed.

    `tick_size` in units of 1e-8. Raises ValueError for a size of 0 or no duration.
    """
    if size == 0 or duration_ms < 1:
        raise ValueError("a gap needs a size of at least 1 tick and 1 ms")
    return PricePath(start_ms, start_ms + duration_ms, (start_ms,), (size * tick_size,))


@dataclass(frozen=True, slots=True)
class _Planted:
    repricing: Repricing
    from_ms: int

    def shift(self, at_ms: int) -> int:
        return self.repricing.shift(at_ms) if at_ms >= self.from_ms else 0


class Repricings:
    """The repricings of one market, at most `limit`; the oldest that are over make room for new ones."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._planted: list[_Planted] = []

    def add(self, repricing: Repricing, reached_ms: int) -> None:
        """Plant one; it changes nothing up to `reached_ms`. Raises ValueError when all `limit` are still running."""
        if len(self._planted) >= self._limit:
            self._drop_oldest(reached_ms)
        self._planted.append(_Planted(repricing, max(repricing.start_ms, reached_ms + 1)))

    def _drop_oldest(self, reached_ms: int) -> None:
        """What overlaps goes together: half of a repricing and its cancellation would rewrite the history."""
        ranges = self.ranges()
        start_ms, end_ms = ranges[0]
        if end_ms >= reached_ms:
            raise ValueError(f"no more than {self._limit} repricings at a time")
        self._planted = [one for one in self._planted if not start_ms <= one.repricing.start_ms < end_ms]

    def shift_at(self, at_ms: int) -> int:
        """The sum of all shifts in force."""
        return sum(planted.shift(at_ms) for planted in self._planted)

    def ranges(self) -> list[tuple[int, int]]:
        """[start, end) of the times that have repricings, overlapping ones merged, oldest first."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted((one.repricing.start_ms, one.repricing.end_ms) for one in self._planted):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged
