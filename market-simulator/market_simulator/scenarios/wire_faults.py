"""Scenarios of sockets: the market is right, but the connections aren't. Their seconds are the wall clock's."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from market_simulator.scenarios.director import Entry, Plan
from market_simulator.wire.faults import Faults
from market_simulator.wire.hub import Hub
from market_simulator.wire.lobby import DAY_OVER, GOING_AWAY, Lobby
from market_simulator.wire.payloads import server_shutdown
from market_simulator.wire.session import Session
from shared.web.models import Body


class NoParams(Body):
    """Nothing to set."""


class OutageParams(Body):
    """`status` of every REST answer."""

    status: Literal[500, 502, 503, 504] = Field(503, description="HTTP status of every exchange REST call")


@dataclass
class Outage:
    """REST answers 5xx; sockets are dropped, and new ones as soon as they open."""

    plan: Plan
    faults: Faults
    lobby: Lobby
    dropped: int = 0

    def begin(self) -> None:
        assert isinstance(self.plan.params, OutageParams)  # noqa: S101  # the entry's own model, for the type checker
        self.faults.outages[self.plan.id] = self.plan.params.status
        sessions = self.lobby.matching(None)
        self.dropped = len(sessions)
        self.lobby.cut(sessions)

    def end(self, expired: bool) -> None:  # noqa: ARG002  # ends alike
        self.faults.outages.pop(self.plan.id, None)

    def truth(self) -> dict[str, Any]:
        return {"sockets_dropped": self.dropped}


@dataclass
class Cut:
    """The TCP connections of sockets break without a Close frame."""

    plan: Plan
    lobby: Lobby
    cut: int = 0

    def begin(self) -> None:
        sessions = self.lobby.matching(self.plan.symbol)
        self.cut = len(sessions)
        self.lobby.cut(sessions)

    def end(self, expired: bool) -> None:
        """Nothing to take back."""

    def truth(self) -> dict[str, Any]:
        return {"sockets_cut": self.cut}


@dataclass
class SilentSocket:
    """The sockets open now stay open, answer pings and commands, and carry no data. New ones are not touched."""

    plan: Plan
    lobby: Lobby
    silenced: tuple[Session, ...] = ()

    def begin(self) -> None:
        self.silenced = tuple(self.lobby.matching(self.plan.symbol))
        for session in self.silenced:
            session.muted.add(self.plan.id)

    def end(self, expired: bool) -> None:  # noqa: ARG002  # ends alike
        for session in self.silenced:
            session.muted.discard(self.plan.id)

    def truth(self) -> dict[str, Any]:
        return {"sockets_silenced": len(self.silenced)}


@dataclass
class DayCut:
    """Sockets are closed as at the end of their day."""

    plan: Plan
    lobby: Lobby
    closed: int = 0

    def begin(self) -> None:
        sessions = self.lobby.matching(self.plan.symbol)
        self.closed = len(sessions)
        for session in sessions:
            session.outbox.end(GOING_AWAY, DAY_OVER)

    def end(self, expired: bool) -> None:
        """Nothing to take back."""

    def truth(self) -> dict[str, Any]:
        return {"sockets_closed": self.closed}


@dataclass
class ServerShutdown:
    """`serverShutdown` to the sockets open now, which are closed when the time is over."""

    plan: Plan
    lobby: Lobby
    hub: Hub
    warned: tuple[Session, ...] = ()
    sent_at_ms: int = 0

    def begin(self) -> None:
        self.warned = tuple(self.lobby.matching(self.plan.symbol))
        self.sent_at_ms = self.hub.now_ms()
        for session in self.warned:
            session.send_event("!serverShutdown", server_shutdown(self.sent_at_ms, session.scale))

    def end(self, expired: bool) -> None:
        for session in self.warned if expired else ():
            session.outbox.end(GOING_AWAY, "server shutdown")

    def truth(self) -> dict[str, Any]:
        return {"sockets_warned": len(self.warned), "event_time": self.sent_at_ms}


def menu(hub: Hub, lobby: Lobby, faults: Faults) -> list[Entry]:
    """These scenarios' entries."""
    return [
        Entry(
            "outage", "every REST call answers 5xx, every socket is dropped, new ones at once", "none", 30.0,
            OutageParams, lambda plan: Outage(plan, faults, lobby),
        ),
        Entry(
            "cut", "the TCP connections of the sockets (of those that listen to `symbol`) break", "optional", None,
            NoParams, lambda plan: Cut(plan, lobby),
        ),
        Entry(
            "silent_socket", "the sockets open now (those that listen to `symbol`) stay open without data", "optional",
            30.0, NoParams, lambda plan: SilentSocket(plan, lobby),
        ),
        Entry(
            "day_cut", "the sockets (those that listen to `symbol`) are closed as after 24 h", "optional", None,
            NoParams, lambda plan: DayCut(plan, lobby),
        ),
        Entry(
            "server_shutdown", "serverShutdown is sent, and after duration_s the sockets are closed", "optional", 5.0,
            NoParams, lambda plan: ServerShutdown(plan, lobby, hub),
        ),
    ]  # fmt: skip
