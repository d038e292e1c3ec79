"""Begins, ends and remembers scenarios. What one does is its own file's business; what is allowed stands here."""

import itertools
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from shared.clock import to_iso
from shared.errors import Conflict, FleetError, InvalidInput, NotFound
from shared.web.parsing import validate

MAX_RUNNING = 20
MAX_REMEMBERED = 100
MAX_DURATION_S = 3600.0

Market = Literal["spot", "futures"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request for a scenario."""

    id: str
    symbol: str | None
    duration_s: float
    params: BaseModel
    seed: int


class Scenario(Protocol):
    """One lie. `begin` may raise a FleetError and has then changed nothing."""

    def begin(self) -> None:
        """Plant it."""
        ...

    def end(self, expired: bool) -> None:
        """Take it back; `expired`: its time is over, else somebody ended it."""
        ...

    def truth(self) -> dict[str, Any]:
        """What it did so far: what, when, which ids."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu. `duration_s` None: it happens at once. `simulated`: its seconds are simulated ones."""

    name: str
    summary: str
    symbol: Literal["required", "optional", "none"]
    duration_s: float | None
    params: type[BaseModel]
    make: Callable[[Plan], Scenario]
    simulated: bool = False
    least_s: float = 0.1

    def document(self) -> dict[str, Any]:
        """As GET /sim/scenarios shows it."""
        return {
            "name": self.name,
            "summary": self.summary,
            "symbol": self.symbol,
            "default_duration_s": self.duration_s,
            "params": self.params.model_json_schema().get("properties", {}),
        }


@dataclass(slots=True)
class Run:
    """A scenario that was begun."""

    plan: Plan
    name: str
    market: Market
    scenario: Scenario
    began_s: float
    ends_s: float
    ended_s: float | None = None

    def document(self) -> dict[str, Any]:
        """Ground truth, as POST /sim/scenario and GET /sim/status show it."""
        return {
            "id": self.plan.id,
            "name": self.name,
            "market": self.market,
            "symbol": self.plan.symbol,
            "seed": self.plan.seed,
            "params": self.plan.params.model_dump(),
            "running": self.ended_s is None,
            "began_at": _iso(self.began_s),
            "ends_at": _iso(self.ends_s),
            "ended_at": None if self.ended_s is None else _iso(self.ended_s),
            "planted": self.scenario.truth(),
        }


class Director:
    """The menu and what runs. `real_s` is the wall clock in seconds; `speed` turns simulated seconds into real ones.

    Each market has its menu and its symbols. What is about sockets and REST as a whole stands on spot's alone.
    """

    def __init__(
        self, menu: list[Entry], symbols: Container[str], real_s: Callable[[], float], speed: float = 1.0,
        futures: tuple[list[Entry], Container[str]] = ([], ()),
    ):  # fmt: skip
        self.menu = {entry.name: entry for entry in menu}
        self._menus = {"spot": self.menu, "futures": {entry.name: entry for entry in futures[0]}}
        self._symbols = {"spot": symbols, "futures": futures[1]}
        self._real_s = real_s
        self._speed = speed
        self._running: dict[str, Run] = {}
        self._ended: deque[Run] = deque(maxlen=MAX_REMEMBERED)
        self._numbers = itertools.count(1)

    def entries(self) -> list[dict[str, Any]]:
        """The menu, as GET /sim/scenarios shows it."""
        return [
            {**entry.document(), "markets": [market for market, menu in self._menus.items() if entry.name in menu]}
            for entry in self.menu.values()
        ]

    def begin(
        self, name: str, symbol: str | None, duration_s: float | None, params: dict[str, Any], seed: int,
        market: Market = "spot",
    ) -> dict[str, Any]:  # fmt: skip
        """Start a scenario and return its ground truth. Raises InvalidInput (names the field) or Conflict."""
        if name not in self.menu:
            raise InvalidInput.field("name", f"must be one of {', '.join(self.menu)}")
        entry = self._menus[market].get(name)
        if entry is None:
            raise InvalidInput.field("market", f"{name} is not about {market} alone")
        if symbol is not None and entry.symbol != "none" and symbol not in self._symbols[market]:
            raise InvalidInput.field("symbol", "is not listed here")
        plan = self._plan(entry, symbol, duration_s, params, seed)
        if len(self._running) >= MAX_RUNNING:
            raise Conflict(f"{MAX_RUNNING} scenarios are running; end one first")
        scenario = entry.make(plan)
        scenario.begin()
        now_s = self._real_s()
        length_s = plan.duration_s / self._speed if entry.simulated else plan.duration_s
        run = Run(plan, name, market, scenario, now_s, now_s + length_s)
        self._running[plan.id] = run
        if entry.duration_s is None:
            self._finish(run, expired=True)
        return run.document()

    def end(self, id: str) -> dict[str, Any]:
        """End a scenario before its time. Raises NotFound for one that doesn't run."""
        run = self._running.get(id)
        if run is None:
            raise NotFound("no scenario of this id is running")
        self._finish(run, expired=False)
        return run.document()

    def end_expired(self) -> None:
        """End what has had its time; call it every tenth of a second or so."""
        now_s = self._real_s()
        for run in list(self._running.values()):
            if now_s >= run.ends_s:
                self._finish(run, expired=True)

    def documents(self) -> list[dict[str, Any]]:
        """Ground truth of what runs and of the last hundred that ran, newest first."""
        return [run.document() for run in (*reversed(self._running.values()), *reversed(self._ended))]

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def _plan(
        self, entry: Entry, symbol: str | None, duration_s: float | None, params: dict[str, Any], seed: int
    ) -> Plan:
        if symbol is not None and entry.symbol == "none":
            raise InvalidInput.field("symbol", f"{entry.name} takes no symbol")
        if symbol is None and entry.symbol == "required":
            raise InvalidInput.field("symbol", f"{entry.name} needs a symbol")
        if duration_s is not None and entry.duration_s is None:
            raise InvalidInput.field("duration_s", f"{entry.name} happens at once")
        length_s = duration_s if duration_s is not None else entry.duration_s or 0.0
        if entry.duration_s is not None and not entry.least_s <= length_s <= MAX_DURATION_S:
            raise InvalidInput.field("duration_s", f"must be from {entry.least_s:g} to {MAX_DURATION_S:g}")
        return Plan(f"{entry.name}-{next(self._numbers)}", symbol, length_s, _params(entry, params), seed)

    def _finish(self, run: Run, expired: bool) -> None:
        del self._running[run.plan.id]
        run.ended_s = self._real_s()
        self._ended.append(run)
        run.scenario.end(expired)


def _params(entry: Entry, params: dict[str, Any]) -> BaseModel:
    try:
        return validate(entry.params, params)
    except FleetError as error:
        details = [{"field": f"params.{one['field']}", "message": one["message"]} for one in error.details]
        raise InvalidInput(error.message, details=details) from None  # type: ignore[arg-type]  # built as Detail above


def _iso(real_s: float) -> str:
    return to_iso(datetime.fromtimestamp(real_s, UTC))
