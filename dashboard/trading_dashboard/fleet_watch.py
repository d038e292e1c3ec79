"""How every service of the fleet is: asked all at once, when somebody wants to know, and kept for a second."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shared.clock import Clock, to_iso
from shared.errors import Unavailable
from shared.fleet import FleetService
from trading_dashboard.figures import Figures, Rates, rates, read_figures

KEEP_S = 1.0
WINDOW_S = 10.0  # rates are over at least that, if somebody asked so long ago
LOOKS = 30  # kept of each service

# Asks a service: its health document and the text of its /metrics. Raises Unavailable.
Ask = Callable[[], tuple[dict[str, Any], bytes]]


@dataclass(slots=True)
class _Watched:
    """What was seen of one process."""

    name: str
    service: FleetService
    ask: Ask
    looks: deque[tuple[float, Figures]] = field(default_factory=lambda: deque(maxlen=LOOKS))
    health: dict[str, Any] | None = None
    seen_at: str | None = None
    detail: str = ""
    answers: bool = False
    answered_in_ms: float | None = None


class FleetWatch:
    """Asks every process by its `Ask`. Thread-safe: askers at the same time share one look."""

    def __init__(self, processes: Mapping[str, tuple[FleetService, Ask]], clock: Clock) -> None:
        self._watched = [_Watched(name, service, ask) for name, (service, ask) in processes.items()]
        self._clock = clock
        self._lock = threading.Lock()
        self._report: dict[str, Any] = {}
        self._looked_at = float("-inf")

    def report(self) -> dict[str, Any]:
        """Every service's state and figures, at most a second old. Blocks as long as the slowest `Ask`."""
        with self._lock:
            if self._clock.monotonic() - self._looked_at >= KEEP_S:
                with ThreadPoolExecutor(len(self._watched)) as askers:
                    list(askers.map(self._look, self._watched))
                self._report = {
                    "measured_at": to_iso(self._clock.now()),
                    "services": [_row(watched) for watched in self._watched],
                }
                self._looked_at = self._clock.monotonic()
            return self._report

    def _look(self, watched: _Watched) -> None:
        begun = self._clock.monotonic()
        try:
            health, text = watched.ask()
            figures = read_figures(text)
        except (Unavailable, ValueError) as error:
            watched.answers, watched.answered_in_ms = False, None
            watched.detail = error.message if isinstance(error, Unavailable) else "its /metrics can't be read"
            return
        now = self._clock.monotonic()
        watched.answers, watched.detail, watched.health = True, "", health
        watched.answered_in_ms = round((now - begun) * 1000, 1)
        watched.seen_at = to_iso(self._clock.now())
        watched.looks.append((now, figures))


def _row(watched: _Watched) -> dict[str, Any]:
    """What the page gets of one service; of one that is away, what was last seen of it, and when."""
    service, health = watched.service, watched.health or {}
    figures = watched.looks[-1][1] if watched.looks else None
    found = _rates(watched) if watched.answers else None
    return {
        "name": watched.name,
        "service": service.name,
        "title": service.title,
        "port": health.get("port", service.port),
        "state": _state(watched),
        "detail": watched.detail,
        "last_seen": watched.seen_at,
        "answered_in_ms": watched.answered_in_ms,
        "uptime": health.get("uptime"),
        "uptime_seconds": health.get("uptime_seconds"),
        "dependencies": health.get("dependencies", {}),
        "memory_mb": round(figures.memory_mb, 1) if figures and figures.memory_mb is not None else None,
        "max_memory_mb": service.max_memory_mb,
        "rates": None if found is None else {name: getattr(found, name) for name in Rates.__slots__},
        "health": watched.health,
    }


def _state(watched: _Watched) -> str:
    if not watched.answers or watched.health is None:
        return "down"
    return {"healthy": "ready", "degraded": "degraded"}.get(str(watched.health.get("status")), "down")


def _rates(watched: _Watched) -> Rates | None:
    """From the newest look and the youngest one that is a window older, else the oldest."""
    now, newest = watched.looks[-1]
    older = [look for look in watched.looks if now - look[0] >= WINDOW_S] or list(watched.looks)[:1]
    at, before = older[-1]
    return rates(before, newest, now - at)
