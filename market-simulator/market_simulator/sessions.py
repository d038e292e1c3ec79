"""Sessions: private markets under /s/<id>, so that tests and learners don't disturb each other."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from market_simulator.venue import Venue
from shared.clock import Clock, to_iso
from shared.errors import Conflict, NotFound

IDLE_S = 3600.0
PREFIX = "/s/"


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A checked wish for a session. `seed` None: the service's. `symbols` empty: all. `replay`: a recorded day."""

    name: str
    seed: int | None
    speed: float
    symbols: tuple[str, ...]
    limits: bool
    replay: str | None


@dataclass(slots=True)
class PrivateVenue:
    """One session: its venue, and when it was last of use."""

    id: str
    plan: SessionPlan
    venue: Venue
    opened_at: datetime
    used_s: float

    def document(self, monotonic_s: float) -> dict[str, Any]:
        """As GET /sim/sessions shows it."""
        idle_s = 0.0 if self.venue.lobby.connections else monotonic_s - self.used_s
        return {
            "id": self.id,
            "name": self.plan.name,
            "path": PREFIX + self.id,
            "opened_at": to_iso(self.opened_at),
            "idle_s": round(idle_s, 1),
            "ends_when_idle_s": IDLE_S,
            "replay": self.plan.replay,
            "seed": self.venue.seed,
            "speed": self.venue.clock.speed,
            "limits": self.venue.limit is not None,
            "symbols": list(self.venue.markets),
            "now_ms": self.venue.clock.now_ms(),
            "sockets": len(self.venue.lobby.connections),
            "scenarios_running": self.venue.director.running,
        }


class Sessions:
    """The open sessions, `most` at a time. `make` builds a venue, `on_bug` hears what a pump met."""

    def __init__(
        self, make: Callable[[SessionPlan], Venue], clock: Clock, most: int, on_bug: Callable[[Exception], None]
    ):
        self._make, self._clock, self._most, self._on_bug = make, clock, most, on_bug
        self._open: dict[str, PrivateVenue] = {}

    def __len__(self) -> int:
        return len(self._open)

    def venues(self) -> list[Venue]:
        """Those of the open sessions."""
        return [one.venue for one in self._open.values()]

    def open(self, plan: SessionPlan) -> dict[str, Any]:
        """Begin a session. Raises Conflict when too many are open, and what `make` raises (InvalidInput, NotFound)."""
        if len(self._open) >= self._most:
            raise Conflict(f"{self._most} sessions are open; end one first")
        venue = self._make(plan)
        one = PrivateVenue(secrets.token_hex(4), plan, venue, self._clock.now(), self._clock.monotonic())
        self._open[one.id] = one
        venue.start(self._on_bug)
        return one.document(self._clock.monotonic())

    def find(self, id: str) -> Venue:
        """A session's venue, which is thereby of use. Raises NotFound."""
        one = self._found(id)
        one.used_s = self._clock.monotonic()
        return one.venue

    def end(self, id: str) -> dict[str, Any]:
        """End a session: its sockets are closed, its scenarios forgotten. Raises NotFound."""
        one = self._found(id)
        document = one.document(self._clock.monotonic())
        del self._open[id]
        one.venue.stop()
        return document

    def end_idle(self) -> None:
        """End those that nobody has asked or listened to for an hour; call it every minute or so."""
        now_s = self._clock.monotonic()
        for one in list(self._open.values()):
            if one.venue.lobby.connections:
                one.used_s = now_s
            elif now_s - one.used_s >= IDLE_S:
                self.end(one.id)

    def end_all(self) -> None:
        """End every session."""
        for id in list(self._open):
            self.end(id)

    def documents(self) -> list[dict[str, Any]]:
        """The open sessions, oldest first."""
        now_s = self._clock.monotonic()
        return [one.document(now_s) for one in self._open.values()]

    def _found(self, id: str) -> PrivateVenue:
        one = self._open.get(id)
        if one is None:
            raise NotFound("no such session is open; POST /sim/session opens one")
        return one
