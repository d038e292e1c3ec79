"""`/api/fleet` and `/api/page`: how the fleet is, and what the page must know before it can ask anything else."""

from collections.abc import Callable
from typing import Any

from flask import request

from shared.fleet import Fleet
from shared.service import Service
from shared.web.models import DataAnswer
from trading_dashboard.fleet_watch import FleetWatch
from trading_dashboard.logins import Logins
from trading_dashboard.opened import DOOR, links
from trading_dashboard.stream_place import StreamPlace

NOTE = "Educational, on paper only: no order is ever placed."

Market = Callable[[], dict[str, Any]]


def add_fleet_routes(
    service: Service, fleet: Fleet, watch: FleetWatch, market: Market, place: StreamPlace, logins: Logins
) -> None:
    """Register both. `market`: venue and symbols as websocket-streaming has them, or as it last had them."""

    @service.route("GET", "/api/fleet", summary="How each service is", answer=DataAnswer, errors=(401,), quiet=True)
    def fleet_state() -> dict[str, Any]:
        logins.let_in()
        return {"data": watch.report()}

    @service.route(
        "GET", "/api/page", summary="What the page needs to know at its start", answer=DataAnswer, errors=(401,),
        quiet=True,
    )  # fmt: skip
    def page() -> dict[str, Any]:
        who = logins.who()
        settings, door = service.settings, DOOR in request.headers
        data = {
            "title": settings.SERVICE_NAME,
            "version": fleet.version,
            "note": NOTE,
            **market(),
            "login": who and {"role": who["role"], "writes": _writes(who["scopes"])},
            "stream": {"url": place.url(request.host, door=door), "path": place.path},
            "links": links(request.host, settings.SERVICE_PORT, door=door, asks=settings.AUTH_REQUIRED),
            "services": [{"name": one.name, "title": one.title, "port": one.port} for one in fleet.services],
        }
        return {"data": data}


def _writes(scopes: list[str]) -> bool:
    """Whether a role does more than read; what exactly, the gateway judges call by call."""
    return any(not scope.endswith(":read") for scope in scopes)
