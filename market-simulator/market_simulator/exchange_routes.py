"""The exchange's paths on the service, at the root and below each session: requests to a venue's `Rest`, its documents
and errors back; sockets to its lobby."""

from collections.abc import Callable
from typing import Any

import gevent
import orjson
from flask import Response, request
from werkzeug.wrappers import Request

from market_simulator.sessions import PREFIX
from market_simulator.venue import Venue
from market_simulator.wire.errors import ExchangeError, illegal, internal, unknown_session, unsupported
from market_simulator.wire.session import POLICY
from shared.errors import FleetError, NotFound
from shared.rate_limiter import client_address
from shared.service import Service
from shared.web.answers import error_answer
from shared.web.websocket import WebSocket

PREFIXES = ("/api", "/fapi", "/dapi", "/futures")
SOCKETS = ("/ws", "/stream", "/public", "/market", "/private")
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Find = Callable[[str], Venue]


def add_exchange_routes(service: Service, find: Find) -> None:
    """Register everything that obeys the exchange's protocol. `find`: a session's venue, or NotFound; "" the root's."""

    def answer(session_id: str = "", **_path: str) -> Response:
        try:
            return _answer(find(session_id))
        except NotFound:
            return _respond(unknown_session().document(), 404)

    def enter(ws: WebSocket, upgrade: Request, session_id: str = "", **_path: str) -> None:
        try:
            lobby = find(session_id).lobby
        except NotFound:
            ws.close(POLICY, unknown_session().msg)
            return
        path, query = below_session(upgrade.path), upgrade.query_string.decode("utf-8", "replace")
        lobby.serve(ws, client_address(upgrade.environ), path, query, upgrade.environ.get("fleet.socket"))

    for base in ("", f"{PREFIX}<session_id>"):
        for prefix in PREFIXES:
            for rule in (base + prefix, f"{base}{prefix}/", f"{base}{prefix}/<path:rest>"):
                service.app.add_url_rule(rule, f"exchange {rule}", answer, methods=METHODS)
        for path in SOCKETS:
            service.websocket(base + path, enter)
            service.websocket(f"{base}{path}/<path:rest>", enter)
    # Exchange clients carry no voucher: what the exchange itself shows to anybody stays open behind the gateway, too.
    service.unvouched += [*(f"{path}/" for path in (*PREFIXES, *SOCKETS)), *PREFIXES, *SOCKETS, PREFIX]
    for prefix in (*(f"{prefix}/" for prefix in PREFIXES), *SOCKETS):
        service.other_shape(prefix, _shape)
    service.other_shape(PREFIX, _shape_in_session)


def below_session(path: str) -> str:
    """A path without the session it lies in: `/s/<id>/api/v3/time` is `/api/v3/time` there."""
    return "/" + path.split("/", 3)[3] if path.startswith(PREFIX) and path.count("/") > 2 else path


def _answer(venue: Venue) -> Response:
    path, address = below_session(request.path), client_address(request.environ)

    def spend(weight: int) -> None:
        if venue.limit is not None:
            venue.limit.spend(address, path, weight, venue.clock.real_s())

    status = venue.faults.outage_status
    if status is not None:
        return _respond(internal().document(), status)
    verdict = venue.faults.rest.judge(path, venue.clock.real_s())
    if verdict.delay_s:
        gevent.sleep(verdict.delay_s)
    try:
        if verdict.error is not None:
            raise verdict.error
        if request.method not in ("GET", "HEAD"):
            spend(1)
            raise unsupported(405)
        query = request.query_string.decode("utf-8", "replace")
        document = venue.rest.answer(path, query, request.environ.get("HTTP_X_MBX_TIME_UNIT"), spend)
        response = _respond(document, 200)
    except ExchangeError as error:
        response = _respond(error.document(), error.status)
        response.headers.update(error.headers)
    if venue.limit is not None:
        response.headers[WEIGHT_HEADER] = str(venue.limit.used(address, path, venue.clock.real_s()))
    return response


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


def _shape_in_session(error: FleetError) -> Response:
    is_exchange = below_session(request.path).startswith((*(f"{prefix}/" for prefix in PREFIXES), *SOCKETS))
    return (_shape if is_exchange else error_answer)(error)
