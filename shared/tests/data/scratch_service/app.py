"""A service with nothing of its own, for tests of the hall and the server."""

from gevent import monkey

monkey.patch_all()

import os
from typing import Any

import gevent
from pydantic import Field

from shared.config import Settings
from shared.errors import Unavailable
from shared.service import create_service, run
from shared.web import ride, server
from shared.web.models import Body, Headers

server.STOP_S = float(os.environ.get("SCRATCH_STOP_S", server.STOP_S))
ride.REQUEST_S = float(os.environ.get("SCRATCH_REQUEST_S", ride.REQUEST_S))
service = create_service("database-service", Settings.read(SERVICE_NAME="Scratch"), import_name="shared")


calls = {"waiting": 0}
service.stats(lambda: dict(calls))


class Echo(Body):
    """What /echo takes."""

    x: float
    sleep_s: float = 0


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
