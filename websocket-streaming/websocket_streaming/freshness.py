"""How old something is and whether it may still be believed, by the exchange's clock and what REST confirmed."""

from shared.clock import Clock
from websocket_streaming.exchange_time import ExchangeTime

SILENT_AFTER_S = 8.0  # the contract: then REST is asked, and again as often while the symbol is silent
STALE_AFTER_S = 10.0  # silent and unconfirmed for that long is stale; leaves REST 2 s to confirm


class Freshness:
    """The age of one thing that a stream keeps up to date."""

    __slots__ = ("_clock", "_exchange_time", "_received_at", "_verified_at", "event_ms", "suspect")

    def __init__(self, clock: Clock, exchange_time: ExchangeTime, event_ms: int | None = None, age_s: float = 0.0):
        """`event_ms` is the newest event's time at the exchange, None if it has none; it came `age_s` ago."""
        self._clock, self._exchange_time = clock, exchange_time
        self.event_ms = event_ms
        self._received_at = clock.monotonic() - age_s
        self._verified_at: float | None = None  # when REST last said that nothing newer exists
        self.suspect = False  # REST knew more than the stream brought

    def touch(self, event_ms: int | None) -> None:
        """The stream brought something."""
        self.event_ms, self._received_at, self.suspect = event_ms, self._clock.monotonic(), False

    def confirm(self) -> None:
        """REST says that what is held is the newest."""
        self._verified_at, self.suspect = self._clock.monotonic(), False

    def look(self) -> tuple[float, bool]:
        """`age_s` and `is_stale`, by one reading of the clock."""
        now = self._clock.monotonic()
        age_s = now - self._received_at
        if self.event_ms is not None:
            event_age_s = self._exchange_time.age_s(self.event_ms, now)
            if event_age_s is not None and event_age_s > age_s:
                age_s = event_age_s
        if self.suspect:
            return age_s, True
        unconfirmed_s = age_s if self._verified_at is None else min(age_s, now - self._verified_at)
        return age_s, unconfirmed_s > STALE_AFTER_S

    @property
    def age_s(self) -> float:
        """Seconds since the newest event, by the exchange's clock; at least those since it arrived."""
        return self.look()[0]

    @property
    def is_silent(self) -> bool:
        """Whether REST should be asked."""
        return self.age_s >= SILENT_AFTER_S

    @property
    def is_stale(self) -> bool:
        """Whether it may no longer be the market's: the stream missed something, or is silent and unconfirmed."""
        return self.look()[1]
