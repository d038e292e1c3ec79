"""The calls that every service answers: what it is, health, counters, metrics, and its own description."""

import functools
from importlib import resources
from typing import Any

from flask import Response

from shared import metrics as metrics_module
from shared.openapi import build_document
from shared.web.answers import json_answer
from shared.web.hosted import Hosted
from shared.web.models import Answer

DOCS_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self'"


class HealthAnswer(Answer):
    """How the service is; HTTP 503 only when it can't do its job."""

    service: str
    status: str
    port: int
    version: str
    timestamp: str
    uptime: str
    uptime_seconds: float
    dependencies: dict[str, Any]
    metrics: dict[str, Any]


class StatsAnswer(Answer):
    """The service's counters."""

    success: bool
    data: dict[str, Any]


class AliveAnswer(Answer):
    """Alive, or ready."""

    status: str


class IndexAnswer(Answer):
    """What the service is, and where to go on."""

    success: bool
    data: dict[str, Any]


def add_standard_routes(service: Hosted) -> None:
    """Register the calls on the service's own app."""

    @service.route("GET", "/", summary="What this is, and where to go on", answer=IndexAnswer)
    def index() -> dict[str, Any]:
        return {"data": index_document(service)}

    @service.route("GET", "/health", needs="open", summary="How it and its dependencies are", answer=HealthAnswer)
    def health() -> Response:
        document = service.health.get_health()
        return json_answer(document, 503 if document["status"] == "unhealthy" else 200)

    @service.route("GET", "/health/live", needs="open", summary="Alive; asks nobody", answer=AliveAnswer)
    def live() -> Response:
        return json_answer({"status": "alive"})

    @service.route("GET", "/health/ready", needs="open", summary="May take traffic; 503 when not", answer=AliveAnswer)
    def ready() -> Response:
        return json_answer({"status": service.readiness}, 200 if service.readiness == "ready" else 503)

    @service.route("GET", "/stats", summary="Counters since the start", answer=StatsAnswer)
    def stats() -> dict[str, Any]:
        return {"data": service.stats_document()}

    @service.route("GET", "/metrics", summary="Prometheus' text format", content_type="text/plain")
    def metrics() -> Response:
        service.show()
        text, content_type = metrics_module.scrape()
        return Response(text, content_type=content_type)

    @service.route("GET", "/openapi.json", needs="open", summary="This very description")
    def openapi() -> Response:
        return json_answer(document())

    @functools.cache
    def document() -> dict[str, Any]:
        health = service.health
        routes = [*service.routes[standard:], *service.routes[:standard]]  # readers want the service's own calls first
        return build_document(health.name, health.version, health.port, routes)

    page = service.route("GET", "/docs", needs="open", summary="A page to read and try them", content_type="text/html")
    page(docs_page)
    script = service.route("GET", "/docs/docs.js", needs="open", summary="Its script", content_type="text/javascript")
    script(docs_script)
    standard = len(service.routes)


def index_document(service: Hosted) -> dict[str, Any]:
    """The `data` of `/`; the links are paths of this very service."""
    return {
        "service": service.name,
        "title": service.health.name,
        "about": service.about,
        "version": service.health.version,
        "links": {
            "docs": "/docs",
            "openapi": "/openapi.json",
            "health": "/health",
            "stats": "/stats",
            "metrics": "/metrics",
        },
        "try": f"curl 'localhost:{service.health.port}{service.first_call}'",
    }


def docs_page() -> Response:
    """A page that shows the openapi.json beside it and tries its calls."""
    return _asset("docs.html", "text/html")


def docs_script() -> Response:
    """That page's script."""
    return _asset("docs.js", "text/javascript")


def _asset(name: str, content_type: str) -> Response:
    text = resources.files("shared.web").joinpath("assets", name).read_text("utf-8")
    return Response(text, mimetype=content_type, headers={"Content-Security-Policy": DOCS_POLICY})
