"""How the crowd leans: seeded drifts, most of it long as it usually is."""

from market_simulator.futures.market import CrowdKind, LongShort
from market_simulator.market import UNIT
from market_simulator.random_bits import drift, key

_USUAL: dict[CrowdKind, float] = {"global_accounts": 0.58, "top_accounts": 0.61, "top_positions": 0.54}
_SWINGS = ((3 * 86_400_000, 0.09), (14_400_000, 0.03), (300_000, 0.004))
_SHOWN = UNIT // 10_000  # four decimals


class Crowd:
    """Of one contract."""

    def __init__(self, symbol: str, seed: int) -> None:
        self._keys = {kind: key(seed, symbol, kind) for kind in _USUAL}

    def at(self, kind: CrowdKind, at_ms: int) -> LongShort:
        """The shares at an instant."""
        swing = sum(size * drift(self._keys[kind], at_ms, period_ms) for period_ms, size in _SWINGS)
        long = round((_USUAL[kind] + swing) * 10_000) * _SHOWN
        return LongShort(at_ms, long, UNIT - long)
