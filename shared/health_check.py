"""The health document: what a service is, how long it runs, and how its dependencies are.

A probe runs in a thread of its own and its answer is kept for a moment, so that no probe, however long it hangs, holds
an answer longer than `timeout_s`, and there is never more than one running per dependency.
"""

if __name__ == "__main__":  # run by path: make `shared` importable from any folder
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.clock import to_iso
from shared.config import config

Probe = Callable[[], Any]
STATES = ("healthy", "degraded", "unhealthy")


class _Dependency:
    """One dependency: its probe, the last answer, and the thread that asks, if one does."""

    def __init__(self, name: str, probe: Probe, critical: bool, timeout_s: float, keep_s: float):
        self.name, self.critical = name, critical
        self._probe, self._timeout_s, self._keep_s = probe, timeout_s, keep_s
        self._answer: dict[str, Any] | None = None
        self._answered_at = 0.0
        self._running: threading.Thread | None = None
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Start the probe, unless its last answer is fresh or it runs already."""
        with self._lock:
            fresh = self._answer is not None and time.monotonic() - self._answered_at < self._keep_s
            if fresh or (self._running is not None and self._running.is_alive()):
                return
            self._running = threading.Thread(target=self._ask, name=f"probe-{self.name}", daemon=True)
            self._asked_at = time.monotonic()
            self._running.start()

    def state(self) -> dict[str, Any]:
        """The newest answer, awaited until the running probe's time is over; then why there is none."""
        running = self._running
        if running is not None:
            running.join(max(0.0, self._asked_at + self._timeout_s - time.monotonic()))
            if running.is_alive():
                return {"status": "unhealthy", "detail": f"no answer within {self._timeout_s:g} s"}
        return self._answer or {"status": "unhealthy", "detail": "no answer"}

    def _ask(self) -> None:
        try:
            answer = _as_state(self._probe())
        except Exception as error:  # noqa: BLE001  # a probe may fail in any way, and that is its answer
            detail = config.hide_secrets(f"{type(error).__name__}: {error}")  # drivers put whole URLs into their errors
            answer = {"status": "unhealthy", "detail": detail[:200]}
        self._answer, self._answered_at = answer, time.monotonic()


def _as_state(answer: Any) -> dict[str, Any]:
    """A probe answers nothing or True (healthy), False (unhealthy), or a document with `status`."""
    if isinstance(answer, Mapping):
        status = answer.get("status", "healthy")
        return {**answer, "status": status if status in STATES else "unhealthy"}
    return {"status": "unhealthy" if answer is False else "healthy"}


class HealthCheck:
    """A service's health. `name` is its title, `port` where it listens."""

    def __init__(self, name: str, port: int, version: str = "1.0.0"):
        self.name, self.port, self.version = name, port, version
        self._started = time.monotonic()
        self._dependencies: list[_Dependency] = []
        self._metrics: Callable[[], Mapping[str, Any]] = dict
        self._notes: Callable[[], Mapping[str, Any]] = dict

    def add_dependency(
        self, name: str, probe: Probe, *, critical: bool = False, timeout_s: float = 1.0, keep_s: float = 1.0
    ) -> None:
        """Watch a dependency. Without a `critical` one the service can't do its job; any other only degrades it.

        `probe()` answers None or True (healthy), False (unhealthy) or `{"status", "detail"}`; raising is unhealthy.
        """
        self._dependencies.append(_Dependency(name, probe, critical, timeout_s, keep_s))

    def metrics(self, counters: Callable[[], Mapping[str, Any]]) -> None:
        """What `metrics` shows beside `white_hat_mode`."""
        self._metrics = counters

    def notes(self, notes: Callable[[], Mapping[str, Any]]) -> None:
        """Further facts at the top of the document (limits switched off, say)."""
        self._notes = notes

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def uptime(self) -> str:
        """As people read it: `0h 0m 11s`."""
        minutes, seconds = divmod(int(self.uptime_s), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}h {minutes}m {seconds}s"

    def get_health(self) -> dict[str, Any]:
        """The document of the contract; plain values only."""
        for dependency in self._dependencies:  # all at once, so that their waits don't add up
            dependency.ask()
        states = {dependency.name: dependency.state() for dependency in self._dependencies}
        return {
            "service": self.name,
            "status": self._status(states),
            "port": self.port,
            "version": self.version,
            "timestamp": to_iso(datetime.now(UTC)),
            "uptime": self.uptime,
            "uptime_seconds": round(self.uptime_s, 1),
            "dependencies": states,
            "metrics": {"white_hat_mode": True, **self._metrics()},
            **self._notes(),
        }

    def _status(self, states: Mapping[str, Mapping[str, Any]]) -> str:
        worst = [states[d.name]["status"] for d in self._dependencies if d.critical]
        if "unhealthy" in worst:
            return "unhealthy"
        return "healthy" if all(state["status"] == "healthy" for state in states.values()) else "degraded"


if __name__ == "__main__":
    import json

    check = HealthCheck("Self-check", 5000)
    check.add_dependency("always there", lambda: True)
    check.add_dependency("never there", lambda: False)
    print(json.dumps(check.get_health(), indent=2))
