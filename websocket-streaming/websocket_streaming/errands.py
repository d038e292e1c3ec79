"""Questions to REST, each asked once however often it is wished, in their turn, and again while the exchange refuses.

The exchange's weight budget and its bans are kept by the client that errands call: it raises, and says when to retry.
"""

import threading
from collections.abc import Callable, Hashable

from shared.clock import Clock
from shared.errors import FleetError
from shared.logger import FleetLogger

AGAIN_AFTER_S = 1.0
TURN_S = 0.05
Errand = Callable[[], None]


class Errands:
    """Runs errands. One that raises FleetError is run again; it looks by itself whether it is still of use."""

    def __init__(self, clock: Clock, logger: FleetLogger) -> None:
        self._clock, self._logger = clock, logger
        self._lock = threading.Lock()
        self._due: dict[Hashable, tuple[float, Errand]] = {}
        self._running: set[Hashable] = set()
        self._work = threading.Event()

    def ask(self, key: Hashable, errand: Errand, after_s: float = 0.0) -> None:
        """Have `errand` run soon, or not before `after_s`; one with the same key that waits already is enough."""
        due_at = self._clock.monotonic() + after_s
        with self._lock:
            known = self._due.get(key)
            self._due[key] = (min(due_at, known[0]) if known else due_at, errand)
        self._work.set()

    def run(self, stopping: threading.Event) -> None:
        """Run what is due until `stopping`; several threads may do so."""
        while not stopping.is_set():
            if not self.run_one():
                self._work.clear()
                self._work.wait(TURN_S if self._due else 1.0)

    def run_one(self) -> bool:
        """Run the errand that is due longest; False when none is."""
        now = self._clock.monotonic()
        with self._lock:
            ready = [key for key, (at, _) in self._due.items() if at <= now and key not in self._running]
            if not ready:
                return False
            key = min(ready, key=lambda one: self._due[one][0])
            _, errand = self._due.pop(key)
            self._running.add(key)
        try:
            errand()
        except FleetError as error:
            again_s = max(AGAIN_AFTER_S, error.retry_after_s or 0.0)
            self._logger.warning("asking REST failed, again in %.0f s: %s", again_s, error.message)
            self.ask(key, errand, again_s)
        finally:
            with self._lock:
                self._running.discard(key)
        return True
