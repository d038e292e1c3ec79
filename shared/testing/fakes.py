"""Stand-ins that pass the same suites as the real things."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that moves only when told to; `sleep` moves it too."""

    def __init__(self, start: datetime | None = None):
        self._now = start or datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump_wall_clock(self, seconds: float) -> None:
        """Set the wall clock without any time passing."""
        self._now += timedelta(seconds=seconds)
