"""Time, passed in: what may be asked of a clock, the system's own, and the wire's form of a moment.

Moments are aware UTC datetimes; durations come from `monotonic`, which no change of the wall clock touches.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MIN_TIME = datetime(2009, 1, 1, tzinfo=UTC)  # the contract's first acceptable moment
MAX_AHEAD = timedelta(hours=24)  # and how far past now one may lie
WITH_MICROSECONDS = len("2025-11-01T10:47:01.535448+00:00")


class Clock(Protocol):
    """What a service may ask of time."""

    def now(self) -> datetime:
        """The moment, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; only differences mean something."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    # See `Clock.monotonic`. The function itself: it is asked several times for each update and request.
    monotonic = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`. Looked up on each call, so that it is gevent's where gevent has patched the process."""
        time.sleep(seconds)


def to_iso(moment: datetime) -> str:
    """The contract's form: UTC with six decimals and `Z`, e.g. `2025-11-01T10:47:01.535448Z`."""
    text = (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()
    # Six times as fast as strftime, and each stored signal has one: what isoformat leaves out are six zeros.
    return f"{text[:26]}Z" if len(text) == WITH_MICROSECONDS else f"{text[:19]}.000000Z"


def parse_time(text: str) -> datetime:
    """ISO 8601 into an aware UTC moment; without a zone it is read as UTC.

    Raises ValueError with a sentence for the user when it isn't one.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time in ISO 8601, such as 2025-11-01T10:47:01.535448Z") from None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between 2009-01-01 and now + 24 h") from None


def check_range(moment: datetime, now: datetime) -> None:
    """Raise ValueError unless `moment` lies between 2009-01-01 and `now` + 24 h."""
    if not MIN_TIME <= moment <= now + MAX_AHEAD:
        raise ValueError("must lie between 2009-01-01 and now + 24 h")
