"""The registry of sessions on a clock that moves when told: who is idle, and for how long."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from market_simulator.sessions import IDLE_S, SessionPlan, Sessions
from market_simulator.venue import Venue
from shared.errors import Conflict, NotFound
from shared.testing.fakes import FakeClock

pytestmark = pytest.mark.unit


class Empty:
    """As much of a Venue as the registry looks at."""

    def __init__(self) -> None:
        self.lobby = self.clock = self.director = self
        self.connections: dict[str, str] = {}
        self.seed, self.speed, self.running, self.markets, self.limit = 1, 1.0, 0, (), None
        self.calls: list[str] = []

    def now_ms(self) -> int:
        return 0

    def start(self, _on_bug: Any) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class Stage:
    """A registry with room for two."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 5, 1, tzinfo=UTC))
        self.sessions = Sessions(lambda _plan: cast(Venue, Empty()), self.clock, 2, lambda _error: None)

    def open(self) -> str:
        return str(self.sessions.open(SessionPlan("", None, 1.0, (), True, None))["id"])

    def venue(self, id: str) -> Empty:
        return cast(Empty, self.sessions.find(id))


def test_a_session_ends_after_an_idle_hour_and_not_before() -> None:
    stage = Stage()
    id = stage.open()
    venue = stage.venue(id)
    stage.clock.advance(IDLE_S - 1)
    stage.sessions.end_idle()
    assert venue.calls == ["start"]
    stage.clock.advance(1)
    stage.sessions.end_idle()
    assert venue.calls == ["start", "stop"]
    with pytest.raises(NotFound):
        stage.sessions.find(id)


def test_a_call_or_an_open_socket_keeps_a_session() -> None:
    stage = Stage()
    asked, listened = stage.open(), stage.open()
    stage.venue(listened).connections["a"] = "socket"
    for _ in range(3):
        stage.clock.advance(IDLE_S - 1)
        stage.sessions.find(asked)
        stage.sessions.end_idle()
    assert len(stage.sessions) == 2


def test_a_full_house_refuses_and_a_free_place_is_given_again() -> None:
    stage = Stage()
    first = stage.open()
    stage.open()
    with pytest.raises(Conflict):
        stage.open()
    stage.sessions.end(first)
    assert stage.open() not in (first, "")
    stage.sessions.end_all()
    assert len(stage.sessions) == 0
