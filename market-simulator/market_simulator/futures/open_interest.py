"""Open interest: a slow seeded drift around what is usual for the contract."""

from market_simulator.futures.market import FuturesInfo
from market_simulator.random_bits import drift, key

# (how long a swing takes, how large it is at most, as a share)
_SWINGS = ((7 * 86_400_000, 0.12), (28_800_000, 0.04), (300_000, 0.003))


class OpenInterests:
    """Of one contract."""

    def __init__(self, info: FuturesInfo, seed: int) -> None:
        self._info = info
        self._key = key(seed, info.symbol, "open interest")

    def at(self, at_ms: int) -> int:
        """Contracts open at an instant, whole steps, in units of 1e-8."""
        swing = sum(size * drift(self._key, at_ms, period_ms) for period_ms, size in _SWINGS)
        steps = self._info.usual_open_interest // self._info.step_size
        return max(1, steps + round(steps * swing)) * self._info.step_size
