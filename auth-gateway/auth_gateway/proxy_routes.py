"""Everything below /api: to the services, each under its own name, and what is said of all of them together."""

import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

from flask import Response, g, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import MethodNotAllowed

from auth_gateway.headers import Pairs, to_service
from auth_gateway.identity import Identity
from auth_gateway.needs import STREAM
from auth_gateway.passage import Call, Passage
from shared.errors import FleetError, Forbidden, NotFound
from shared.logger import request_id
from shared.rate_limiter import client_address, is_trusted_proxy
from shared.service import Service
from shared.voucher import HEADER
from shared.web.answers import success

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MAX_LOGGED = 200  # characters of a path in the audit log
TARGET = "X-Door-Target"
# What nginx sends past the gateway: its own paths, and whose they are.
PASSED_BY = {"/ws/": ("websocket-streaming", "/stream/"), "/socket.io/": ("websocket-streaming", "/socket.io/")}
SAFE_IN_PATH = "/:@!$&'()*+,;=~-._"
TOKEN = "access_token"  # noqa: S105  # a name; browsers can't set headers on a WebSocket, so it may stand in the query


class Answered(Protocol):
    """What a service answered."""

    @property
    def status(self) -> int:
        """HTTP's."""
        ...

    @property
    def headers(self) -> Pairs:
        """Those that may cross."""
        ...

    @property
    def body(self) -> Iterator[bytes]:
        """As it comes."""
        ...


Send = Callable[..., Answered]  # (service, method, target, headers, body[, within_s])
Connect = Callable[[str, str, Pairs, socket.socket, "Identity | None"], None]  # (URL, target, headers, client, who)
Vouch = Callable[[str, "Identity | None", str], str]  # (service, who, address) -> the header's value
Note = Callable[[str, "Identity | None", str, Mapping[str, str | int]], None]  # (action, who, address, what)


@dataclass(frozen=True, slots=True)
class Book:
    """Where calls that change something are noted. `require_room` raises Unavailable when no more can be."""

    require_room: Callable[[], None]
    note: Note


class Door:
    """The way of one request through the gateway."""

    def __init__(
        self, services: Mapping[str, str], passage: Passage, vouch: Vouch, send: Send, connect: Connect, book: Book
    ):  # fmt: skip
        """`services`: the URL of each by name."""
        self.services, self._passage, self._vouch = services, passage, vouch
        self._send, self._connect, self._book = send, connect, book

    def forward(self, name: str, rest: str) -> Response:
        """A request of Flask's to a service."""
        path, body = f"/{rest}", request.get_data(cache=False)
        query = values_of(request.query_string.decode("latin-1"))
        who = self._admit(name, path, query, body, request.environ, g.setdefault("limit_headers", {}))
        known_as = known_request_id()
        headers = self._headers(name, who, known_as, request.environ)
        wanted = target(path, request.query_string.decode("latin-1"))
        if request.method not in CHANGING or path.startswith(STREAM):
            answer = self._send(name, request.method, wanted, headers, body)
        else:
            answer = self._noted(name, wanted, headers, body, who, known_as)
        return Response(answer.body, answer.status, Headers(answer.headers), direct_passthrough=True)

    def tunnel(self, environ: dict[str, Any], client: socket.socket) -> None:
        """A WebSocket to a service; see `shared.web.websocket.Tunnel`."""
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        name, _, rest = path.removeprefix("/api/").partition("/")
        raw_query = environ.get("QUERY_STRING", "")
        who = self._admit(name, f"/{rest}", values_of(raw_query), b"", environ, {})
        headers = self._headers(name, who, known_request_id(), environ)
        self._connect(self.services[name], target(f"/{rest}", raw_query), headers, client, who)

    def vouch(self, method: str, uri: str, environ: Mapping[str, Any]) -> dict[str, str]:
        """What nginx needs to send a request past the gateway: the exact target that was judged, and the voucher."""
        outer, _, raw_query = uri.partition("?")
        outer = unquote(outer)
        prefix = next((prefix for prefix in PASSED_BY if outer.startswith(prefix)), None)
        if prefix is None:
            raise NotFound("nothing goes past the gateway under this path")
        name, inner = PASSED_BY[prefix]
        path = inner + outer.removeprefix(prefix)
        who = self._judge(name, method, path, values_of(raw_query), b"", environ, {})
        return {TARGET: target(path, raw_query), HEADER: self._vouch(name, who, client_address(environ))}

    def _admit(
        self, name: str, path: str, query: Mapping[str, str], body: bytes, environ: Mapping[str, Any],
        limit_headers: dict[str, str],
    ) -> Identity | None:  # fmt: skip
        """Who may pass; None for a guest. Raises NotFound, Unauthorized, Forbidden, RateLimited."""
        if name not in self.services:
            raise NotFound(f"there is no service {name[:40]!r}; /api/health lists them")
        return self._judge(name, environ["REQUEST_METHOD"], path, query, body, environ, limit_headers)

    def _headers(self, name: str, who: Identity | None, known_as: str, environ: Mapping[str, Any]) -> Pairs:
        """Those that go to the service."""
        client = client_address(environ)
        return [
            *(pair for pair in to_service(environ) if pair[0] != "X-Request-Id"),
            ("X-Forwarded-For", client),
            ("X-Forwarded-Proto", environ.get("wsgi.url_scheme", "http")),
            ("X-Request-ID", known_as),
            (HEADER, self._vouch(name, who, client)),
        ]

    def _noted(
        self, name: str, wanted: str, headers: Pairs, body: bytes, who: Identity | None, known_as: str
    ) -> Answered:  # fmt: skip
        """Send what changes something. It is noted before the client hears of it, with what became of it."""
        self._book.require_room()
        status = 500  # nobody knows what became of it
        try:
            answer = self._send(name, request.method, wanted, headers, body)
            status = answer.status
        except FleetError as error:
            status = error.status
            raise
        finally:
            path = wanted.partition("?")[0][:MAX_LOGGED]
            what = {"method": request.method, "service": name, "path": path, "request_id": known_as}
            self._book.note("call", who, client_address(request.environ), {**what, "status": status})
        return answer

    def _judge(
        self, name: str, method: str, path: str, query: Mapping[str, str], body: bytes, environ: Mapping[str, Any],
        limit_headers: dict[str, str],
    ) -> Identity | None:  # fmt: skip
        """Who may pass; None for a guest."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None and path.startswith(("/socket.io", "/stream/")) and query.get(TOKEN):
            authorization = f"Bearer {query[TOKEN]}"
        address = client_address(environ)
        call = Call(name, method, path, query, body, address, authorization, environ.get("HTTP_X_API_KEY"))
        return self._passage.judge(call, limit_headers)


def known_request_id() -> str:
    """That of the request that is being answered."""
    return request_id.get() or uuid.uuid4().hex


def values_of(raw_query: str) -> dict[str, str]:
    """A query's values by name, those of one name by comma: the service may take any of them."""
    return {name: ",".join(values) for name, values in parse_qs(raw_query, keep_blank_values=True).items()}


def target(path: str, query: str) -> str:
    """Path and query as they go to the service: the path quoted anew, no token of ours in the query."""
    quoted = quote(path, safe=SAFE_IN_PATH)
    if TOKEN in query or "%" in query:  # the name may be percent-encoded
        query = urlencode([(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != TOKEN])
    return f"{quoted}?{query}" if query else quoted


def add_proxy_routes(service: Service, door: Door) -> None:
    """Register the way to every service."""

    own: dict[str, list[str]] = {}
    for spec in service.routes:
        own.setdefault(spec.path, []).append(spec.method)

    def forward(name: str, rest: str = "") -> Response:
        if name not in door.services and request.path in own:  # a call of the gateway's own, by another method
            raise MethodNotAllowed(own[request.path])
        return door.forward(name, rest)

    service.app.add_url_rule("/api/<name>", "api", forward, methods=METHODS)
    service.app.add_url_rule("/api/<name>/", "api", forward, methods=METHODS)
    service.app.add_url_rule("/api/<name>/<path:rest>", "api", forward, methods=METHODS)
    service.tunnel("/api/", door.tunnel)


def add_vouch_route(service: Service, door: Door) -> None:
    """Register what nginx asks (`auth_request`) before it sends a stream past the gateway. It is no client's call."""

    def vouch() -> Response:
        if not is_trusted_proxy(request.environ.get("REMOTE_ADDR", "")):
            raise Forbidden("this answers the fleet's nginx alone (TRUSTED_PROXIES)")
        asked = request.headers
        answer = success({})
        answer.headers.update(
            door.vouch(asked.get("X-Original-Method", ""), asked.get("X-Original-URI", ""), request.environ)
        )
        return answer

    service.recorder.quiet.add("/auth/vouch")
    service.app.add_url_rule("/auth/vouch", "vouch", vouch)
