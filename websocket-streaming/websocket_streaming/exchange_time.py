"""The exchange's clock, read from its /time and carried on by the monotonic clock.

The host's wall clock may be wrong or jump (recordings show 1.27 s of skew), so ages are never taken from it.
"""

from datetime import UTC, datetime
from functools import lru_cache

from shared.clock import Clock

# A monotonic clock drifts by some ms an hour: past this age any new reading is better than the old one.
ANCHOR_LASTS_S = 3600.0
YOUNG_S = 60.0  # readings that close to each other: the sharpest counts
SHARP_S = 0.025  # ages may be wrong by that; a reading more blurred is worth another try


class ExchangeTime:
    """What time it is at the exchange, once it was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor_ms: float | None = None
        self._anchored_at = 0.0
        self._uncertainty_s = 0.0

    def anchor(self, server_ms: int, asked_at: float, answered_at: float) -> None:
        """Take a reading of /time; `asked_at` and `answered_at` are monotonic seconds around the request.

        The moment lies between the two, so a slow answer is a blurred one: it doesn't replace a much sharper one, nor
        a young one that is as sharp.
        """
        uncertainty_s = (answered_at - asked_at) / 2
        held_s = answered_at - self._anchored_at if self._anchor_ms is not None else ANCHOR_LASTS_S
        most_s = self._uncertainty_s if held_s < YOUNG_S else 2 * self._uncertainty_s + 0.1
        if held_s < ANCHOR_LASTS_S and uncertainty_s > most_s:
            return
        self._anchor_ms = float(server_ms)
        self._anchored_at = asked_at + uncertainty_s
        self._uncertainty_s = uncertainty_s

    @property
    def is_sharp(self) -> bool:
        """Whether ages are right within `SHARP_S`."""
        return self._anchor_ms is not None and self._uncertainty_s <= SHARP_S

    def age_s(self, event_ms: int, now: float | None = None) -> float | None:
        """Seconds since that moment of the exchange, never below 0; None while the exchange was never asked.

        `now` is the monotonic clock, for who has just read it.
        """
        if self._anchor_ms is None:
            return None
        since_anchor_s = (self._clock.monotonic() if now is None else now) - self._anchored_at
        age_s = (self._anchor_ms - event_ms) / 1000 + since_anchor_s
        return age_s if age_s > 0.0 else 0.0

    @property
    def now_ms(self) -> float:
        """The exchange's clock now, Unix milliseconds; 0 while it was never asked."""
        if self._anchor_ms is None:
            return 0.0
        return self._anchor_ms + (self._clock.monotonic() - self._anchored_at) * 1000


def iso_of(unix_ms: int) -> str:
    """A moment of the exchange in the contract's form. Updates of one second share its text: 0.3 µs instead of 2."""
    second, ms = divmod(unix_ms, 1000)
    return f"{_second(second)}{ms:03d}000Z"


@lru_cache(maxsize=1024)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
