"""Simulated time: a pure function of a clock, `SIM_SPEED` and `SIM_START`.

Simulated = S + speed × (real − S). Real time is the wall clock when the process started, carried on by the monotonic
clock: were the host's clock set, the exchange's time would not jump.
"""

from datetime import UTC, datetime

from shared.clock import Clock


class SimClock:
    """The market's time. At speed 1 it is real time, whatever `start` is."""

    def __init__(self, clock: Clock, speed: float = 1.0, start: datetime | None = None):
        self._clock = clock
        self._wall_s = clock.now().timestamp()
        self._monotonic_s = clock.monotonic()
        self.speed = speed
        self._start_s = self._wall_s if start is None else start.timestamp()

    @property
    def start(self) -> datetime:
        """S, the instant at which simulated and real time agree."""
        return datetime.fromtimestamp(self._start_s, UTC)

    def real_s(self) -> float:
        """Real time in seconds since 1970: limits, pings and Retry-After go by it."""
        return self._wall_s + self._clock.monotonic() - self._monotonic_s

    def now_ms(self) -> int:
        """Simulated time in milliseconds since 1970."""
        return int((self._start_s + self.speed * (self.real_s() - self._start_s)) * 1000)

