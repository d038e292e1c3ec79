"""The exchange's paths on the service: requests to `Rest`, its documents and errors back; sockets to the lobby."""

from collections.abc import Callable
from typing import Any

import orjson
from flask import Response, request
from werkzeug.wrappers import Request

from market_simulator.wire.errors import ExchangeError, illegal, internal, unsupported
from market_simulator.wire.faults import Faults
from market_simulator.wire.limits import WeightLimit
from market_simulator.wire.lobby import Lobby
from market_simulator.wire.rest import Rest
from shared.errors import FleetError
from shared.rate_limiter import client_address
from shared.service import Service
from shared.web.websocket import WebSocket

PREFIXES = ("/api", "/fapi", "/dapi", "/futures")
SOCKETS = ("/ws", "/stream", "/public", "/market")
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def add_exchange_routes(
    service: Service, rest: Rest, lobby: Lobby, faults: Faults, limit: WeightLimit | None, real_s: Callable[[], float]
) -> None:
    """Register everything that obeys the exchange's protocol. `limit` None: SIM_LIMITS is off."""

    def spend(weight: int) -> None:
        if limit is not None:
            limit.spend(client_address(request.environ), weight, real_s())

    def answer(**_path: str) -> Response:
        status = faults.outage_status
        if status is not None:
            return _respond(internal().document(), status)
        try:
            if request.method not in ("GET", "HEAD"):
                spend(1)
                raise unsupported(405)
            query = request.query_string.decode("utf-8", "replace")
            document = rest.answer(request.path, query, request.headers.get("X-MBX-TIME-UNIT"), spend)
            response = _respond(document, 200)
        except ExchangeError as error:
            response = _respond(error.document(), error.status)
            response.headers.update(error.headers)
        if limit is not None:
            response.headers[WEIGHT_HEADER] = str(limit.used(client_address(request.environ), real_s()))
        return response

    def enter(ws: WebSocket, upgrade: Request, **_path: str) -> None:
        query = upgrade.query_string.decode("utf-8", "replace")
        lobby.serve(ws, client_address(upgrade.environ), upgrade.path, query, upgrade.environ.get("fleet.socket"))

    for prefix in PREFIXES:
        for rule in (prefix, f"{prefix}/", f"{prefix}/<path:rest>"):
            service.app.add_url_rule(rule, f"exchange {rule}", answer, methods=METHODS)
        service.other_shape(f"{prefix}/", _shape)
    for path in SOCKETS:
        service.other_shape(path, _shape)
        service.websocket(path, enter)
        service.websocket(f"{path}/<path:rest>", enter)


def _respond(document: Any, status: int) -> Response:
    response = Response(orjson.dumps(document), status)
    response.headers["Content-Type"] = "application/json;charset=UTF-8"
    return response


def _shape(error: FleetError) -> Response:
    """What the hall refuses below our prefixes (Host, size, method, a bug), in the exchange's words."""
    if error.status >= 500:
        return _respond(internal().document(), error.status)
    document = illegal("request", "^.*$").document() if error.status == 400 else unsupported(error.status).document()
    return _respond(document, error.status)
