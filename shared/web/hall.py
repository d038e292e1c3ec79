"""What every request of every service passes: its id, who may call, the log line, the counters, the error table."""

import re
import time
import uuid
from collections.abc import Callable

from flask import Flask, Response, g, request
from flask_cors import CORS
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as HTTPMethodNotAllowed

from shared import tracing
from shared.config import Settings, split_list
from shared.errors import (
    FleetError,
    Forbidden,
    MalformedInput,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from shared.logger import request_id
from shared.web.answers import error_answer
from shared.web.record import Recorder

SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:~+/=-]{1,128}")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
LOOPBACK_ORIGIN = r"^https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$"
EXPOSED = ["X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"]

# What Flask and werkzeug raise by themselves, in the contract's terms.
HTTP_ERRORS: dict[int, FleetError] = {
    400: MalformedInput("the request is malformed"),
    404: NotFound("there is no such path"),
    405: MethodNotAllowed("this path does not take this method"),
    413: TooLarge("the request is too large"),
    414: MalformedInput("the address is too long"),
    415: UnsupportedMediaType("send the body as JSON, with Content-Type: application/json"),
    431: MalformedInput("the headers are too large"),
}

ErrorHandler = Callable[[FleetError], Response]


class Gatekeeper:
    """Who may call: by the Host named and by the Origin a browser sends. The same rules for REST and sockets."""

    def __init__(self, settings: Settings):
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in split_list(settings.ALLOWED_HOSTS)}
        self._origins = split_list(settings.CORS_ORIGINS)

    def allows_host(self, host: str) -> bool:
        """True when `host` (a Host header) is one of ours: a foreign name is a rebinding attack."""
        name = host.rsplit(":", 1)[0] if re.search(r":\d*$", host) else host
        return name.strip("[]").lower() in self._hosts

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """True for no Origin (no browser), an allowed one, or the own page of a service called as `host`."""
        if origin is None or origin in (f"http://{host}", f"https://{host}"):
            return True
        if self._origins:
            return "*" in self._origins or origin.rstrip("/") in self._origins
        return re.match(LOOPBACK_ORIGIN, origin) is not None

    def cors_origins(self) -> list[str]:
        """The origins in flask-cors' form."""
        return self._origins or [LOOPBACK_ORIGIN]


def furnish(
    app: Flask, settings: Settings, recorder: Recorder, other_shapes: dict[str, ErrorHandler]
) -> Gatekeeper:
    """Put the hall around a Flask app. `other_shapes`: path prefixes whose errors another protocol's handler shapes."""
    gate = Gatekeeper(settings)
    app.url_map.merge_slashes = False  # its redirect would be HTML
    CORS(app, origins=gate.cors_origins(), supports_credentials=False, send_wildcard=False, expose_headers=EXPOSED)
    _answer_errors(app, recorder, other_shapes)
    _look_at_each_request(app, recorder, gate)
    return gate


def _answer_errors(app: Flask, recorder: Recorder, other_shapes: dict[str, ErrorHandler]) -> None:
    def answer_error(error: FleetError) -> Response:
        shape = next((handler for prefix, handler in other_shapes.items() if request.path.startswith(prefix)), None)
        return (shape or error_answer)(error)

    def on_http_error(error: HTTPException) -> Response:
        answer = answer_error(HTTP_ERRORS.get(error.code or 500) or MalformedInput("the request is not acceptable"))
        if isinstance(error, HTTPMethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # a must of RFC 9110, 15.5.6
        return answer

    def on_bug(error: Exception) -> Response:
        return answer_error(recorder.bug(request.method, request.path, error))

    app.register_error_handler(FleetError, answer_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_bug)


def _look_at_each_request(app: Flask, recorder: Recorder, gate: Gatekeeper) -> None:
    """Who may call, before; headers, log and metrics, after."""

    def before() -> None:
        environ = request.environ  # Headers.get makes and drops an exception for each header that is missing
        given = environ.get("HTTP_X_REQUEST_ID", "")
        g.started = time.perf_counter()
        g.request_id = given if SAFE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        g.request_id_token = request_id.set(g.request_id)
        traceparent = environ.get("HTTP_TRACEPARENT")
        trace = tracing.continued(traceparent, environ.get("HTTP_TRACESTATE", "")) if traceparent else None
        g.trace_token = tracing.enter(trace or tracing.begun(recorder.spans is not None))
        host = environ.get("HTTP_HOST", "")
        if not gate.allows_host(host):
            raise Forbidden("this Host is not known here; ALLOWED_HOSTS names further ones")
        if not gate.allows_origin(environ.get("HTTP_ORIGIN"), host):
            raise Forbidden("this Origin is not allowed here; CORS_ORIGINS names the allowed ones")
        if "\x00" in request.path:
            raise NotFound("there is no such path")

    def after(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.method == "OPTIONS" and response.status_code == 200:
            response.headers.pop("Content-Type", None)  # Flask's own answer is empty, but calls itself HTML
        for name, value in g.get("limit_headers", {}).items():
            response.headers[name] = value
        route = request.url_rule.rule if request.url_rule else "unmatched"
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        recorder.request(request.method, route, request.path, response.status_code, seconds)
        return response

    def teardown(_error: BaseException | None) -> None:
        if token := g.pop("request_id_token", None):
            request_id.reset(token)
        if trace_token := g.pop("trace_token", None):
            tracing.leave(trace_token)

    app.before_request(before)
    app.after_request(after)
    app.teardown_request(teardown)
