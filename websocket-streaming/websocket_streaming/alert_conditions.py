"""What an alert waits for: a price that crosses a level, or a move by so many percent within a window."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from shared.errors import InvalidInput

MAX_WINDOW_S = 3600
DEFAULT_WINDOW_S = 300
CONDITION_FIELDS = ("crosses", "move_pct", "window_s")
BUCKETS = 60  # a window is kept in so many parts: its edge is sharp to a sixtieth, its memory bounded


class Condition(Protocol):
    """Looks at every price of its symbol."""

    def is_met(self, price: float, now: float) -> bool:
        """Whether this price, at this monotonic second, is what was waited for."""
        ...

    def describe(self) -> dict[str, Any]:
        """As the client wished it."""
        ...


class Crosses:
    """The price reaches or passes a level, from whichever side it was on when first seen."""

    def __init__(self, level: float) -> None:
        self._level = level
        self._was_above: bool | None = None

    def is_met(self, price: float, now: float) -> bool:  # noqa: ARG002  # Condition's
        """See `Condition`."""
        if self._was_above is None:
            self._was_above = price > self._level
            return price == self._level
        return price <= self._level if self._was_above else price >= self._level

    def describe(self) -> dict[str, Any]:
        """See `Condition`."""
        return {"crosses": self._level}


class Moves:
    """The price is so many percent above the lowest, or below the highest, of the last `window_s` seconds."""

    def __init__(self, move_pct: float, window_s: float) -> None:
        self._move_pct, self._window_s = move_pct, window_s
        self._buckets: deque[list[float]] = deque()  # [begun, lowest, highest]
        self.change_pct = 0.0  # of the price that met it

    def is_met(self, price: float, now: float) -> bool:
        """See `Condition`."""
        while self._buckets and now - self._buckets[0][0] > self._window_s:
            self._buckets.popleft()
        if not self._buckets or now - self._buckets[-1][0] >= self._window_s / BUCKETS:
            self._buckets.append([now, price, price])
        newest = self._buckets[-1]
        newest[1], newest[2] = min(newest[1], price), max(newest[2], price)
        lowest, highest = min(bucket[1] for bucket in self._buckets), max(bucket[2] for bucket in self._buckets)
        rise, fall = (price / lowest - 1) * 100, (price / highest - 1) * 100
        self.change_pct = rise if rise >= -fall else fall
        return max(rise, -fall) >= self._move_pct

    def describe(self) -> dict[str, Any]:
        """See `Condition`."""
        return {"move_pct": self._move_pct, "window_s": self._window_s}


def read_condition(payload: Mapping[Any, Any]) -> Condition:
    """From `crosses`, or `move_pct` with `window_s`. Raises InvalidInput, which names the field."""
    if ("crosses" in payload) == ("move_pct" in payload):
        raise InvalidInput.field("crosses", "an alert has either crosses, or move_pct with window_s")
    if "crosses" in payload and "window_s" in payload:
        raise InvalidInput.field("window_s", "goes with move_pct; a level is crossed at whatever time")
    if "crosses" in payload:
        return Crosses(_number(payload, "crosses", 1e18))
    return Moves(_number(payload, "move_pct", 10_000), _number(payload, "window_s", MAX_WINDOW_S, DEFAULT_WINDOW_S))


def _number(payload: Mapping[Any, Any], name: str, most: float, default: float | None = None) -> float:
    value = payload.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise InvalidInput.field(name, f"must be a number over 0, at most {most:g}")
    return float(value)
