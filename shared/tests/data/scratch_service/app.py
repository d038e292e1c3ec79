"""A service with nothing of its own, for tests of the hall and the server."""

from gevent import monkey

monkey.patch_all()

import os
from typing import Any

import gevent
from flask import Response
from pydantic import Field

from shared.config import Settings
from shared.errors import Unavailable
from shared.later import Later
from shared.service import create_service, run
from shared.web import connections, ride, running
from shared.web.models import Body, Headers, Query

running.STOP_S = float(os.environ.get("SCRATCH_STOP_S", running.STOP_S))
ride.REQUEST_S = float(os.environ.get("SCRATCH_REQUEST_S", ride.REQUEST_S))
connections.STALL_S = float(os.environ.get("SCRATCH_STALL_S", connections.STALL_S))
service = create_service(
    "database-service", Settings.read(SERVICE_NAME="Scratch"), import_name="shared", about="for tests alone"
)


calls = {"waiting": 0}
service.stats(lambda: dict(calls))


class Echo(Body):
    """What /echo takes."""

    x: float
    sleep_s: float = 0
    padding: float = 0


@service.route("POST", "/echo", summary="Say it again, after a while", body=Echo)
def echo(body: Echo) -> dict[str, Any]:
    calls["waiting"] += 1
    gevent.sleep(body.sleep_s)
    calls["waiting"] -= 1
    return {"x": body.x}


class Name(Headers):
    """What /hot reads."""

    name: str | None = Field(None, alias="Echo-Name", max_length=10)


@service.route("POST", "/hot", summary="Say it again", body=Echo, headers=Name, limit=40, max_body=1000, hot=True)
def hot(body: Echo, headers: Name) -> dict[str, Any]:
    if body.x == 13:
        raise RuntimeError("canary-in-the-error")
    if body.x == 14:
        raise Unavailable("away", retry_after_s=2.5)
    calls["waiting"] += 1
    gevent.sleep(body.sleep_s)
    calls["waiting"] -= 1
    return {"x": body.x, "name": headers.name}


@service.route("POST", "/later", summary="Say it again, later", body=Echo, hot=True)
def later(body: Echo) -> Later[dict[str, Any]]:
    answer: Later[float] = Later()
    gevent.spawn_later(body.sleep_s, answer.resolve, Unavailable("away") if body.x == 14 else body.x)
    return answer.map(lambda x: {"x": 1 / (x - 13), "padding": "x" * int(body.padding)})


class Asked(Query):
    """What /things reads."""

    size: int = Field(1, le=5)
    name: str | None = None


@service.route("GET", "/things/all", summary="All things", limit=40, query=Asked, hot=True)
def all_things(query: Asked) -> dict[str, Any]:
    return {"size": query.size, "name": query.name}


@service.route("GET", "/things/<thing>", summary="One thing", query=Asked, hot=True)
def one_thing(thing: str, query: Asked) -> dict[str, Any]:
    return {"thing": thing, "size": query.size, "name": query.name}


@service.route("GET", "/things/cold", summary="A path of its own")
def cold_thing() -> dict[str, Any]:
    return {"cold": True}


@service.route("GET", "/large", summary="20 MB, in pieces")
def large() -> Response:
    return Response(b"x" * 1_000_000 for _ in range(20))


@service.route("GET", "/bug", summary="Fail")
def bug() -> dict[str, Any]:
    raise RuntimeError("canary-in-the-error")


def broken() -> None:
    """A stop hook that fails, and holds up no other."""
    raise RuntimeError("broken hook")


service.websocket("/stream/<name>", lambda ws, request, name: ws.send_text(f"hello {name}"))
service.on_stop(lambda: service.logger.info("first hook, run last"))
service.on_stop(broken)
service.on_stop(lambda: service.logger.info("last hook, run first"))

if __name__ == "__main__":
    run(service)
