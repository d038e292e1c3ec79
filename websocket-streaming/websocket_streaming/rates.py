"""Counts that also know how many came in the last seconds."""

from collections import deque

from shared.clock import Clock

WINDOW_S = 10


class Rate:
    """A counter; `add` is cheap enough for every message, `sample` is called about once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.total = 0
        self._samples: deque[tuple[float, int]] = deque([(clock.monotonic(), 0)], maxlen=WINDOW_S + 1)

    def add(self, count: int = 1) -> None:
        """Count."""
        self.total += count

    def sample(self) -> None:
        """Remember where the count stands now."""
        self._samples.append((self._clock.monotonic(), self.total))

    @property
    def per_second(self) -> float:
        """The mean over the last `WINDOW_S` samples."""
        since, count = self._samples[0]
        elapsed_s = self._clock.monotonic() - since
        return round((self.total - count) / elapsed_s, 1) if elapsed_s > 0 else 0.0
