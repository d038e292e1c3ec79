"""/sim/session: private markets, opened and ended."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field

from market_simulator.replay_folder import Replay
from market_simulator.sessions import SessionPlan, Sessions
from shared.service import Service
from shared.web.models import Body, DataAnswer, ListAnswer

Symbol = Annotated[str, Field(max_length=50)]


class SessionBody(Body):
    """A private market."""

    name: str = Field("", max_length=64, description="for people who read the list")
    seed: int | None = Field(None, ge=0, le=2**53, description="of the generated symbols; unset: SIM_SEED")
    speed: float = Field(1.0, gt=0, le=100, description="simulated seconds per real second, from now on")
    symbols: list[Symbol] = Field([], max_length=100, description="upper case; which to list, empty: all")
    limits: bool = Field(True, description="false: no weights, message rates and connection limits")
    replay: str | None = Field(None, max_length=64, description="a day or an instant that GET /sim/replays lists")

    def plan(self) -> SessionPlan:
        """The same as a value."""
        return SessionPlan(self.name, self.seed, self.speed, tuple(self.symbols), self.limits, self.replay)


def add_session_routes(service: Service, sessions: Sessions, replays: Callable[[], Sequence[Replay]]) -> None:
    """Register them. `replays`: what can be replayed, or NotFound."""

    @service.route(
        "POST", "/sim/session", summary="Open a session: a private market below its path, as REST and socket base URL",
        body=SessionBody, answer=DataAnswer, errors=(409,),
    )  # fmt: skip
    def open_session(body: SessionBody) -> dict[str, Any]:
        return {"data": sessions.open(body.plan())}

    @service.route("GET", "/sim/sessions", summary="The open sessions", answer=ListAnswer, quiet=True)
    def list_sessions() -> dict[str, Any]:
        return {"data": sessions.documents()}

    @service.route("GET", "/sim/replays", summary="Recorded days that a session can replay", answer=ListAnswer)
    def list_replays() -> dict[str, Any]:
        return {"data": [replay.described() for replay in replays()]}

    @service.route("DELETE", "/sim/session/<session_id>", summary="End a session", answer=DataAnswer)
    def end_session(session_id: str) -> dict[str, Any]:
        return {"data": sessions.end(session_id)}
