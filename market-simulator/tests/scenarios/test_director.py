"""The director: lifetimes, bounds and memory of scenarios, on a clock that moves when told."""

from typing import Any

import pytest

from market_simulator.scenarios.director import MAX_REMEMBERED, MAX_RUNNING, Director, Entry, Plan
from market_simulator.scenarios.wire_faults import NoParams
from shared.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.unit


class Lie:
    """Notes what happens to it."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.ends = plan, list[bool]()

    def begin(self) -> None:
        if self.plan.seed == 13:
            raise Conflict("no")

    def end(self, expired: bool) -> None:
        self.ends.append(expired)

    def truth(self) -> dict[str, Any]:
        return {"ends": self.ends}


class Stage:
    """A director and its clock."""

    def __init__(self, speed: float = 1.0) -> None:
        self.now_s = 1_700_000_000.0
        menu = [
            Entry("lie", "a lie", "optional", 10.0, NoParams, Lie),
            Entry("simulated", "in simulated time", "none", 10.0, NoParams, Lie, simulated=True),
            Entry("flash", "at once", "none", None, NoParams, Lie),
        ]
        self.director = Director(menu, {"BTCUSDT": 1}, lambda: self.now_s, speed)

    def begin(
        self, name: str = "lie", symbol: str | None = None, duration_s: float | None = None, seed: int = 0
    ) -> str:
        return str(self.director.begin(name, symbol, duration_s, {}, seed)["id"])

    def ends(self, id: str) -> Any:
        return next(one for one in self.director.documents() if one["id"] == id)["planted"]["ends"]


def test_a_scenario_ends_when_its_time_is_over() -> None:
    stage = Stage()
    id = stage.begin(duration_s=5)
    stage.now_s += 4.9
    stage.director.end_expired()
    assert stage.ends(id) == []
    stage.now_s += 0.1
    stage.director.end_expired()
    assert stage.ends(id) == [True]
    stage.director.end_expired()
    assert stage.ends(id) == [True], "once"


def test_simulated_seconds_pass_at_the_markets_speed() -> None:
    stage = Stage(speed=10)
    id = stage.begin("simulated")
    stage.now_s += 1.0
    stage.director.end_expired()
    assert stage.ends(id) == [True]


def test_what_happens_at_once_is_over_at_once() -> None:
    stage = Stage()
    assert stage.ends(stage.begin("flash")) == [True]
    assert stage.director.running == 0


def test_one_can_be_ended_early_and_only_once() -> None:
    stage = Stage()
    id = stage.begin()
    assert stage.director.end(id)["planted"]["ends"] == [False]
    with pytest.raises(NotFound):
        stage.director.end(id)


def test_a_scenario_that_refuses_to_begin_leaves_nothing() -> None:
    stage = Stage()
    with pytest.raises(Conflict):
        stage.begin(seed=13)
    assert stage.director.documents() == []


def test_running_ones_and_memory_are_bounded() -> None:
    stage = Stage()
    for _ in range(MAX_RUNNING):
        stage.begin()
    with pytest.raises(Conflict):
        stage.begin()
    stage.now_s += 11
    stage.director.end_expired()
    for _ in range(MAX_REMEMBERED + 5):
        stage.begin("flash")
    assert len(stage.director.documents()) == MAX_REMEMBERED


def test_a_symbol_must_be_wanted_and_listed() -> None:
    stage = Stage()
    stage.begin(symbol="BTCUSDT")
    for name, symbol in (("lie", "NOPE"), ("flash", "BTCUSDT")):
        with pytest.raises(InvalidInput) as caught:
            stage.begin(name, symbol)
        assert caught.value.details[0]["field"] == "symbol"
