"""Work that goes on by itself: named threads (greenlets, once gevent has patched the process) with one way to stop."""

import threading
from collections.abc import Callable

from shared.clock import Clock
from shared.logger import FleetLogger


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

    def every(self, seconds: float, name: str, turn: Callable[[], None]) -> None:
        """Call `turn` again and again, `seconds` apart."""

        def loop(stopping: threading.Event) -> None:
            while not stopping.wait(seconds):
                turn()

        self.run(name, loop)

    def stop(self) -> None:
        """Have all loops end; returns at once."""
        self._stopping.set()
