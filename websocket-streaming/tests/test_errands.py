"""Errands: once each, in their turn, again when the exchange refuses, no sooner than it says."""

import pytest

from shared.errors import Unavailable
from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.errands import Errands


class Desk:
    """Errands that the test runs by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.errands = Errands(self.clock, get_logger("test"))
        self.done: list[str] = []

    def run_all(self) -> list[str]:
        while self.errands.run_one():
            pass
        done, self.done = self.done, []
        return done


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_wished_twice_is_asked_once(desk: Desk) -> None:
    for _ in range(3):
        desk.errands.ask("a", lambda: desk.done.append("a"))
    assert desk.run_all() == ["a"]
    assert desk.run_all() == []


def test_the_earliest_comes_first_and_none_before_its_time(desk: Desk) -> None:
    desk.errands.ask("late", lambda: desk.done.append("late"), 2.0)
    desk.errands.ask("soon", lambda: desk.done.append("soon"), 1.0)
    assert desk.run_all() == []
    desk.clock.advance(5)
    assert desk.run_all() == ["soon", "late"]


def test_a_wish_that_is_more_urgent_moves_the_errand_forward(desk: Desk) -> None:
    desk.errands.ask("a", lambda: desk.done.append("a"), 5.0)
    desk.errands.ask("a", lambda: desk.done.append("a"))
    assert desk.run_all() == ["a"]


@pytest.mark.parametrize(("says_s", "waits_s"), [(None, 1.0), (0.1, 1.0), (120.0, 120.0)])
def test_a_refusal_is_tried_again_when_it_may(desk: Desk, says_s: float | None, waits_s: float) -> None:
    calls: list[float] = []

    def errand() -> None:
        calls.append(desk.clock.monotonic())
        if len(calls) == 1:
            raise Unavailable("away", retry_after_s=says_s)

    desk.errands.ask("a", errand)
    desk.run_all()
    desk.clock.advance(waits_s - 0.01)
    desk.run_all()
    assert len(calls) == 1
    desk.clock.advance(0.02)
    desk.run_all()
    assert len(calls) == 2


def test_an_errand_may_ask_for_itself_again(desk: Desk) -> None:
    def errand() -> None:
        desk.done.append("a")
        if len(desk.done) < 3:
            desk.errands.ask("a", errand)

    desk.errands.ask("a", errand)
    assert desk.run_all() == ["a"] * 3
