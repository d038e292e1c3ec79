"""The exchange's clock, read from its /time and carried on by the monotonic clock.

The host's wall clock may be wrong or jump (recordings show 1.27 s of skew), so ages are never taken from it.
"""

from shared.clock import Clock

# A monotonic clock drifts by some ms an hour: past this age any new reading is better than the old one.
ANCHOR_LASTS_S = 3600.0


class ExchangeTime:
    """What time it is at the exchange, once it was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor_ms: float | None = None
        self._anchored_at = 0.0
        self._uncertainty_s = 0.0

    def anchor(self, server_ms: int, asked_at: float, answered_at: float) -> None:
        """Take a reading of /time; `asked_at` and `answered_at` are monotonic seconds around the request.

        The moment lies between the two, so a slow answer is a blurred one: it doesn't replace a much sharper one.
        """
        uncertainty_s = (answered_at - asked_at) / 2
        lasting = self._anchor_ms is not None and answered_at - self._anchored_at < ANCHOR_LASTS_S
        if lasting and uncertainty_s > 2 * self._uncertainty_s + 0.1:
            return
        self._anchor_ms = float(server_ms)
        self._anchored_at = asked_at + uncertainty_s
        self._uncertainty_s = uncertainty_s

    def age_s(self, event_ms: int) -> float | None:
        """Seconds since that moment of the exchange, never below 0; None while the exchange was never asked."""
        if self._anchor_ms is None:
            return None
        now_ms = self._anchor_ms + (self._clock.monotonic() - self._anchored_at) * 1000
        return max(0.0, (now_ms - event_ms) / 1000)
