"""Work that goes on by itself: named threads (greenlets, once gevent has patched the process) with one way to stop."""

import threading
from collections.abc import Callable

from shared.clock import Clock
from shared.logger import FleetLogger

LATE_S = 0.5  # a turn that comes so much later than due: this process, or its loop, has stood still


class Background:
    """Runs loops until `stop`. A bug in one turn is logged and the loop goes on: prices must not stop for it."""

    def __init__(self, clock: Clock, logger: FleetLogger) -> None:
        self._clock, self._logger = clock, logger
        self._stopping = threading.Event()

    def run(self, name: str, loop: Callable[[threading.Event], None]) -> None:
        """Start `loop`, which returns soon after its event is set."""

        def keep_running() -> None:
            while not self._stopping.is_set():
                try:
                    loop(self._stopping)
                except Exception:
                    self._logger.exception("%s failed and begins anew", name)
                    self._clock.sleep(1.0)

        threading.Thread(target=keep_running, name=name, daemon=True).start()

    def every(self, seconds: float, name: str, turn: Callable[[], None], *, judges: bool = False) -> None:
        """Call `turn` again and again, `seconds` apart.

        One that `judges` by the clock what did not come waits once more after a standstill: what came meanwhile is
        still in the socket, and whoever reads it goes first. Never twice in a row, so that a busy machine is judged.
        """

        def loop(stopping: threading.Event) -> None:
            waited = False
            due_at = self._clock.monotonic() + seconds
            while not stopping.wait(seconds):
                waited = judges and not waited and self._clock.monotonic() > due_at + LATE_S
                if not waited:
                    turn()
                due_at = self._clock.monotonic() + seconds

        self.run(name, loop)

    def stop(self) -> None:
        """Have all loops end; returns at once."""
        self._stopping.set()
