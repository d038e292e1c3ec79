"""A circuit breaker: a service that does not answer is left alone for a while, so that callers learn it at once."""

import threading
from collections.abc import Callable

from shared.errors import Unavailable

FAILURES = 5  # in a row
OPEN_S = 5.0


class Breaker:
    """Of one service. `enter` before a call, then `succeeded` or `failed`. Thread-safe."""

    def __init__(self, name: str, monotonic: Callable[[], float]):
        self._name, self._monotonic = name, monotonic
        self._failures, self._until = 0, float("-inf")
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """True while calls are refused."""
        return self._monotonic() < self._until

    def enter(self) -> None:
        """Raises Unavailable while the circuit is open. When its time is over one caller tries, the others wait on."""
        with self._lock:
            now = self._monotonic()
            if now < self._until:
                raise Unavailable(f"{self._name} does not answer", retry_after_s=self._until - now)
            if self._failures >= FAILURES:
                self._until = now + OPEN_S

    def succeeded(self) -> None:
        """It answered, whatever it said."""
        if self._failures:
            with self._lock:
                self._failures, self._until = 0, float("-inf")

    def failed(self) -> None:
        """It did not answer, or too late."""
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._until = self._monotonic() + OPEN_S
