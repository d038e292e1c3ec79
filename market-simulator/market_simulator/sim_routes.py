"""/sim/*: the scenarios and the ground truth, in the contract's own shape (core-api.md)."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from market_simulator.scenarios.director import Director
from shared.service import Service
from shared.web.models import Answer, Body


class ScenarioBody(Body):
    """A lie to tell."""

    name: str = Field(max_length=64, description="as GET /sim/scenarios lists it")
    symbol: str | None = Field(None, max_length=50, description="upper case; which scenarios take one, the list says")
    duration_s: float | None = Field(None, gt=0, le=3600, description="unset: the scenario's own default")
    params: dict[str, Any] = Field(default_factory=dict, description="as the list describes them")
    seed: int = Field(0, ge=0, le=2**53, description="the same seed plants the same")


class DataAnswer(Answer):
    """`data` holds the answer."""

    success: bool
    data: dict[str, Any]


class ListAnswer(Answer):
    """`data` is a list."""

    success: bool
    data: list[dict[str, Any]]


def add_sim_routes(service: Service, director: Director, status: Callable[[], dict[str, Any]]) -> None:
    """Register them. `status` makes the part of /sim/status that isn't the scenarios'."""

    @service.route("GET", "/sim/scenarios", summary="The scenarios and their parameters", answer=ListAnswer)
    def scenarios() -> dict[str, Any]:
        return {"data": [entry.document() for entry in director.menu.values()]}

    @service.route(
        "POST", "/sim/scenario", summary="Begin a scenario", body=ScenarioBody, answer=DataAnswer, errors=(409,)
    )
    def begin(body: ScenarioBody) -> dict[str, Any]:
        return {"data": director.begin(body.name, body.symbol, body.duration_s, body.params, body.seed)}

    @service.route(
        "DELETE", "/sim/scenario/<scenario_id>", summary="End a scenario", answer=DataAnswer, errors=(404,)
    )
    def end(scenario_id: str) -> dict[str, Any]:
        return {"data": director.end(scenario_id)}

    @service.route("GET", "/sim/status", summary="Ground truth: the market, and every lie told", answer=DataAnswer)
    def sim_status() -> dict[str, Any]:
        return {"data": {**status(), "scenarios": director.documents()}}
