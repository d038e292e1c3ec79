"""Loops that go on by themselves: what they do after a standstill."""

import threading

import pytest

from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.background import Background


class Stalling(FakeClock):
    """Says these times, one a reading, then the last of them for ever."""

    def __init__(self, *times: float) -> None:
        super().__init__()
        self.times = list(times)

    def monotonic(self) -> float:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


@pytest.mark.parametrize(
    ("judges", "left"), [(True, [20.0]), (False, [9.0, 10.0, 20.0])], ids=["judges", "judges nothing"]
)
def test_a_turn_that_judges_waits_once_after_a_standstill_and_not_twice(judges: bool, left: list[float]) -> None:
    clock, turned = Stalling(0.0, 9.0, 10.0, 20.0), threading.Event()
    seen: list[list[float]] = []
    background = Background(clock, get_logger("test"))

    def turn() -> None:
        seen.append(list(clock.times))
        background.stop()
        turned.set()

    background.every(0.001, "a test", turn, judges=judges)
    assert turned.wait(10)
    assert seen == [left]  # readings of the clock that were still to come
