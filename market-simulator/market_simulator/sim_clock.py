"""Simulated time: a pure function of a clock, a speed and the instant where the two begin together.

Simulated = S + speed × (real − S). Real time is the wall clock when the object was made, carried on by the monotonic
clock: were the host's clock set, the exchange's time would not jump.
"""

from datetime import UTC, datetime

from shared.clock import Clock


class SimClock:
    """The market's time. At speed 1 it is real time, whatever `start` is, unless it begins elsewhere (`begins_at`)."""

    def __init__(
        self, clock: Clock, speed: float = 1.0, start: datetime | None = None, *, begins_at: datetime | None = None
    ):
        """`start` is S; unset: now. `begins_at` instead: simulated time stands there now, as a replay's does."""
        self._clock = clock
        self._wall_s = clock.now().timestamp()
        self._monotonic_s = clock.monotonic()
        self.speed = speed
        self._real_start_s = self._wall_s if start is None else start.timestamp()
        self._start_s = self._real_start_s if begins_at is None else begins_at.timestamp()

    @property
    def start(self) -> datetime:
        """Simulated time where it began: S, the instant at which simulated and real time agree, or a replay's begin."""
        return datetime.fromtimestamp(self._start_s, UTC)

    def real_s(self) -> float:
        """Real time in seconds since 1970: limits, pings and Retry-After go by it."""
        return self._wall_s + self._clock.monotonic() - self._monotonic_s

    def now_ms(self) -> int:
        """Simulated time in milliseconds since 1970."""
        return int((self._start_s + self.speed * (self.real_s() - self._real_start_s)) * 1000)
