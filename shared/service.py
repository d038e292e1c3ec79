"""One call gives every service the same hall: settings, log, limits, errors, standard routes, start, drain and stop.

    service = create_service("database-service", settings, import_name="database_service")

    @service.route("POST", "/signals/save", limit=100, body=SaveBody, answer=SaveAnswer, summary="Save one signal")
    def save(body: SaveBody) -> dict: ...

    run(service)

A handler gets what it declares (path parameters, `body=`, `query=`, `headers=`) and returns a dict, which leaves as
`{"success": true, …}`, such a dict `Later`, or a Flask response.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from flask import Flask, Response, g, request

from shared import logger as logger_module
from shared.addresses import subscriber
from shared.clock import Clock, SystemClock
from shared.config import Settings, config
from shared.fleet import read_fleet
from shared.health_check import HealthCheck
from shared.later import Later
from shared.logger import get_logger
from shared.metrics import MetricsCollector
from shared.openapi import RouteSpec
from shared.rate_limiter import Limiter, client_address
from shared.sentry_integration import capture_exception, init_sentry
from shared.web.answers import success
from shared.web.hall import ErrorHandler, furnish
from shared.web.parsing import read_body, read_headers, read_query
from shared.web.record import Recorder
from shared.web.rows import read_rows
from shared.web.standard import add_standard_routes
from shared.web.state_metrics import show_state
from shared.web.vouching import UNVOUCHED
from shared.web.websocket import Handler as WebSocketHandler
from shared.web.websocket import Tunnel

State = Literal["starting", "ready", "draining", "stopped"]
Hook = Callable[[], None]
Handler = Callable[..., "dict[str, Any] | Response | Later[dict[str, Any]]"]


class Service:
    """A service of the fleet: its Flask app and everything that stands around it. Made by `create_service`."""

    about, first_call = "", "/stats"  # what `/` says of the service, and which call to try; see `create_service`

    def __init__(self, name: str, settings: Settings, import_name: str, clock: Clock, limiter: Limiter):
        self.name, self.settings, self.clock, self.limiter = name, settings, clock, limiter
        self.log_name = name  # as PM2 names the log files of this process; one of several instances has its own
        self.app = Flask(import_name, static_folder=None)
        self.app.name = name
        self.logger = get_logger(name, level=settings.LOG_LEVEL)
        self.metrics = MetricsCollector(name, enabled=settings.PROMETHEUS_ENABLED)
        self.health = HealthCheck(settings.SERVICE_NAME, settings.SERVICE_PORT, read_fleet().version)
        self.routes: list[RouteSpec] = []
        self.websocket_routes: list[tuple[str, WebSocketHandler]] = []
        self.foreign_websockets: list[str] = []
        self.tunnels: list[tuple[str, Tunnel]] = []
        self.unvouched = [*UNVOUCHED]  # paths, or prefixes with a `/` at the end, that need no voucher of the gateway's
        self.max_websockets = 10_000  # at once; a service may set another bound before it runs
        self.state: State = "starting"
        self._shows: list[Hook] = []
        self._stats: Callable[[], dict[str, Any]] = dict
        self._ready: Callable[[], bool] = lambda: True
        self._start_hooks: list[Hook] = []
        self._drain_hooks: list[Hook] = []
        self._stop_hooks: list[Hook] = []
        self._other_shapes: dict[str, ErrorHandler] = {}
        self.hot_routes: list[tuple[RouteSpec, Handler]] = []
        self.recorder = Recorder(name, settings, self.logger, self.metrics)
        self.gate = furnish(self.app, settings, self.recorder, self._other_shapes)

    def route(self, method: str, path: str, **declared: Any) -> Callable[[Handler], Handler]:
        """Register a call; the keywords are RouteSpec's fields. One declaration serves routing, checks and OpenAPI.

        A service that declares `GET /` has its own page there, instead of the index.
        """
        spec = RouteSpec(method, path, **declared)

        def register(handler: Handler) -> Handler:
            if spec.quiet:
                self.recorder.quiet.add(path)
            if spec.hot:
                self.hot_routes.append((spec, handler))
            name, answer = f"{method} {path}", self._wrap(spec, handler)
            if name == "GET /" and name in self.app.view_functions:  # a page of its own instead of the index
                self.routes = [spec if (one.method, one.path) == ("GET", "/") else one for one in self.routes]
                self.app.view_functions[name] = answer
            else:
                self.routes.append(spec)
                self.app.add_url_rule(path, name, answer, methods=[method])
            return handler

        return register

    def _wrap(self, spec: RouteSpec, handler: Handler) -> Callable[..., Response]:
        def answer(**arguments: Any) -> Response:
            if spec.limit is not None:
                self.check_limit(spec, request.environ, g.setdefault("limit_headers", {}))
            if spec.headers:
                arguments["headers"] = read_headers(request, spec.headers)
            if spec.guard:
                arguments["who"] = spec.guard(arguments.pop("headers"))
            if spec.query:
                arguments["query"] = read_query(request, spec.query)
            if spec.body and spec.max_rows is not None:
                arguments["body"] = read_rows(request, spec.body, spec.max_body, spec.max_rows, spec.quick_rows)
            elif spec.body:
                arguments["body"] = read_body(request, spec.body, spec.max_body, spec.quick)
            result = handler(**arguments)
            if isinstance(result, Later):
                result = result.result()
            return result if isinstance(result, Response) else success(result)

        return answer

    def check_limit(self, spec: RouteSpec, environ: Mapping[str, Any], headers: dict[str, str]) -> None:
        """Count a client's call; what the answer says of the limit goes into `headers`. Raises RateLimited."""
        if not self.settings.RATE_LIMIT_ENABLED or spec.limit is None:
            return
        decision = self.limiter.check(f"{self.name}:{spec.path}", subscriber(client_address(environ)), spec.limit)
        headers |= decision.headers()
        if not decision.allowed:
            raise decision.refusal()

    def websocket(self, path: str, handler: WebSocketHandler) -> None:
        """Serve plain WebSocket connections on `path` (werkzeug's rule syntax); dispatched before Flask."""
        self.websocket_routes.append((path, handler))

    def tunnel(self, prefix: str, handler: Tunnel) -> None:
        """Hand the bare connection of every upgrade below this path prefix to `handler` (see `WebSocketGate`)."""
        self.tunnels.append((prefix, handler))

    def leave_websockets(self, prefix: str) -> None:
        """Upgrades below this path prefix belong to another library (Socket.IO), which runs inside the app."""
        self.foreign_websockets.append(prefix)

    def other_shape(self, prefix: str, handler: ErrorHandler) -> None:
        """Errors below this path prefix are shaped by `handler`: another protocol lives there."""
        self._other_shapes[prefix] = handler

    def stats(self, counters: Callable[[], dict[str, Any]]) -> None:
        """What /stats shows beside name, port, uptime and white-hat mode."""
        self._stats = counters

    def on_scrape(self, show: Hook) -> None:
        """Run before the metrics are told; it must not block, and sets what is cheaper to look up than to keep."""
        self._shows.append(show)

    def show(self) -> None:
        """Bring the metrics up to date."""
        self._run(self._shows)

    def ready_when(self, check: Callable[[], bool]) -> None:
        """A further condition for /health/ready, asked each time; it must not block."""
        self._ready = check

    def on_start(self, hook: Hook) -> None:
        """Run when the service starts, in order; raising ends the start."""
        self._start_hooks.append(hook)

    def on_drain(self, hook: Hook) -> None:
        """Run when the listener has closed: end what would never end by itself (long-lived connections)."""
        self._drain_hooks.append(hook)

    def on_stop(self, hook: Hook) -> None:
        """Run when the last request is answered, in reverse order; an error is logged and the rest still run."""
        self._stop_hooks.append(hook)

    def start(self) -> None:
        """Run the start hooks; from then on the service is ready."""
        for hook in self._start_hooks:
            hook()
        self.state = "ready"

    def drain(self) -> None:
        """Say no to new traffic at /health/ready; requests are still answered."""
        self.state = "draining"

    def end_connections(self) -> None:
        """Run the drain hooks."""
        self._run(self._drain_hooks)

    def stop(self) -> None:
        """Run the stop hooks."""
        self._run(list(reversed(self._stop_hooks)))
        self.state = "stopped"

    def _run(self, hooks: list[Hook]) -> None:
        for hook in hooks:
            try:
                hook()
            except Exception as error:
                capture_exception(error)
                self.logger.exception("a hook failed; the others go on")

    @property
    def readiness(self) -> str:
        """`ready`, or why not."""
        return "waiting" if self.state == "ready" and not self._ready() else self.state

    def stats_document(self) -> dict[str, Any]:
        """The `data` of /stats."""
        return {
            "service": self.name,
            "port": self.settings.SERVICE_PORT,
            "uptime": self.health.uptime,
            "white_hat_mode": True,
            **self._stats(),
        }


def create_service(
    name: str,
    settings: Settings,
    *,
    import_name: str,
    about: str = "",
    first_call: str = "/stats",
    clock: Clock | None = None,
    limiter: Limiter | None = None,
) -> Service:
    """Make a service: `name` as in fleet.json, `import_name` its package. Opens nothing; `run` or `start` does.

    `GET /` shows what it is (`about`, a few words) and a call to try (`first_call`, path and query of a GET).
    """
    config.use(settings)
    logger_module.reconfigure()
    init_sentry(name)
    service = Service(name, settings, import_name, clock or SystemClock(), limiter or Limiter.from_settings(settings))
    service.about, service.first_call = about, first_call
    if not settings.RATE_LIMIT_ENABLED:
        service.health.notes(lambda: {"rate_limits": "off"})
    if settings.ENV_FILES:
        for line in settings.likely_typos():
            service.logger.warning("%s", line)
    if service.recorder.spans is not None:
        service.on_stop(service.recorder.spans.close)
    add_standard_routes(service)
    show_state(service)
    return service


def run(service: Service) -> None:
    """Serve until SIGINT or SIGTERM, then drain and exit 0. Blocks; the process must be patched by gevent."""
    from shared.web.running import serve

    serve(service)
