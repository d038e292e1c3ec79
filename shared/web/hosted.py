"""What the server and the standard routes need of a service; `shared.service.Service` is one."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Flask

from shared.clock import Clock
from shared.config import Settings
from shared.health_check import HealthCheck
from shared.logger import FleetLogger
from shared.openapi import RouteSpec
from shared.web.hall import Gatekeeper
from shared.web.record import Recorder
from shared.web.websocket import Handler as WebSocketHandler
from shared.web.websocket import Tunnel


class Hosted(Protocol):
    """A service as those see it who serve it."""

    name: str
    log_name: str
    about: str
    first_call: str
    settings: Settings
    app: Flask
    logger: FleetLogger
    health: HealthCheck
    clock: Clock
    gate: Gatekeeper
    routes: list[RouteSpec]
    websocket_routes: list[tuple[str, WebSocketHandler]]
    foreign_websockets: list[str]
    tunnels: list[tuple[str, Tunnel]]
    unvouched: list[str]
    hot_routes: list[tuple[RouteSpec, Callable[..., Any]]]
    recorder: Recorder
    max_websockets: int

    @property
    def readiness(self) -> str:
        """`ready`, or why not."""
        ...

    def route(self, method: str, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a call."""
        ...

    def check_limit(self, spec: RouteSpec, environ: Mapping[str, Any], headers: dict[str, str]) -> None:
        """Count a client's call; what the answer says of the limit goes into `headers`. Raises RateLimited."""
        ...

    def show(self) -> None:
        """Bring the metrics up to date."""
        ...

    def stats_document(self) -> dict[str, Any]:
        """The `data` of /stats."""
        ...

    def on_drain(self, hook: Callable[[], None]) -> None:
        """Run when the listener has closed."""
        ...

    def start(self) -> None:
        """Run the start hooks; from then on the service is ready."""
        ...

    def drain(self) -> None:
        """Say no to new traffic at /health/ready."""
        ...

    def end_connections(self) -> None:
        """Run the drain hooks."""
        ...

    def stop(self) -> None:
        """Run the stop hooks."""
        ...
