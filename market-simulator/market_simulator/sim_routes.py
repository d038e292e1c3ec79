"""/sim/*: the scenarios and the ground truth of the service's own market and, below /s/<id>, of a session's; in the
contract's own shape (core-api.md)."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from market_simulator.scenarios.director import Market
from market_simulator.sessions import PREFIX
from market_simulator.venue import Venue
from shared.service import Service
from shared.web.models import Body, DataAnswer, ListAnswer


class ScenarioBody(Body):
    """A lie to tell."""

    name: str = Field(max_length=64, description="as GET /sim/scenarios lists it")
    symbol: str | None = Field(None, max_length=50, description="upper case; which scenarios take one, the list says")
    duration_s: float | None = Field(None, gt=0, le=3600, description="unset: the scenario's own default")
    params: dict[str, Any] = Field(default_factory=dict, description="as the list describes them")
    seed: int = Field(0, ge=0, le=2**53, description="the same seed plants the same")
    market: Market = Field("spot", description="futures: the perpetuals; which scenarios know them, the list says")


def add_sim_routes(service: Service, find: Callable[[str], Venue]) -> None:
    """Register them. `find`: a session's venue, or NotFound; "" the root's."""
    _add(service, find, "", "")
    _add(service, find, f"{PREFIX}<session_id>", " of a session")


def _add(service: Service, find: Callable[[str], Venue], base: str, whose: str) -> None:
    @service.route("GET", f"{base}/sim/scenarios", summary="The scenarios and their parameters", answer=ListAnswer)
    def scenarios(session_id: str = "") -> dict[str, Any]:
        return {"data": find(session_id).director.entries()}

    @service.route(
        "POST", f"{base}/sim/scenario", summary=f"Begin a scenario{whose}", body=ScenarioBody, answer=DataAnswer,
        errors=(409,),
    )  # fmt: skip
    def begin(body: ScenarioBody, session_id: str = "") -> dict[str, Any]:
        director = find(session_id).director
        return {"data": director.begin(body.name, body.symbol, body.duration_s, body.params, body.seed, body.market)}

    @service.route(
        "DELETE", f"{base}/sim/scenario/<scenario_id>", summary=f"End a scenario{whose}", answer=DataAnswer,
    )  # fmt: skip
    def end(scenario_id: str, session_id: str = "") -> dict[str, Any]:
        return {"data": find(session_id).director.end(scenario_id)}

    @service.route(
        "GET", f"{base}/sim/status", summary=f"Ground truth{whose}: the market, and every lie told",
        answer=DataAnswer, quiet=True,
    )  # fmt: skip
    def sim_status(session_id: str = "") -> dict[str, Any]:
        return {"data": find(session_id).status()}
