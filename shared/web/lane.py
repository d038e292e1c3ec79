"""The lane: hot requests are answered before Flask's routing, by the very function that Flask would call.

Of a request that costs 300 µs on the way through pywsgi, werkzeug, Flask and the hall's hooks, the function itself is
a tenth (docs/adr/0003). So requests of a route that is declared `hot` are recognised in the bytes that have arrived,
and only if every header is one of the few that such a request needs, once, in its plainest form. Whatever is different
(Origin, Expect, chunks, proxies, percent-encoding, another spelling) is not taken and goes the normal way, with all
that checks there. Through the gateway comes the same request with a voucher, and counts as the client's whom it names.

A function may answer `Later` (a commit that others share): the connection then waits for nothing, and the answer is
sent from where it is resolved. That spares two switches of greenlets a request.
"""

import functools
import itertools
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson

from shared import tracing
from shared.errors import FleetError, error_document
from shared.later import Later
from shared.logger import request_id
from shared.openapi import PATH_PARAMETER, RouteSpec
from shared.voucher import HEADER as HEADER_OF_VOUCHER
from shared.web.answers import advice
from shared.web.hall import SAFE_REQUEST_ID
from shared.web.hosted import Hosted
from shared.web.parsing import body_as, validate
from shared.web.vouching import voucher_reader

END = b"\r\n\r\n"
ID = b"x-request-id"
TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
VOUCHER = HEADER_OF_VOUCHER.lower().encode()
FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})  # the gateway's; its voucher says who the client is
# Nothing but printable ASCII; folded lines begin with a blank: refused.
HEADER = re.compile(rb"[A-Za-z-]{1,40}:[ \t]?[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
KNOWN = frozenset(
    {
        b"host", b"content-type", b"content-length", b"connection", ID, b"user-agent", b"accept",
        b"accept-encoding", b"accept-language", TRACEPARENT, TRACESTATE, VOUCHER, *FORWARDED,
    }
)  # fmt: skip
OF_ONE = frozenset({ID, TRACEPARENT, TRACESTATE, VOUCHER})  # another with each request
COMMON = KNOWN - OF_ONE  # the same with every request of a client
MAX_LINES, MAX_LINE = 1024, 200  # of those, and of their bytes
MAX_AGAIN, MAX_AGAIN_BYTES = 1024, 1000  # of whole requests that are remembered
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
LENGTH = re.compile(rb"[0-9]{1,8}")
# A path and a query that mean the same to every reader: nothing to decode, no dot segments.
TARGET = re.compile(rb"GET ((?:/[A-Za-z0-9_][A-Za-z0-9_.:~-]*)+)(?:\?([A-Za-z0-9_.:~=&-]{1,1000}))? HTTP/1\.1")
BEGINNINGS = {
    int(status): f"HTTP/1.1 {status:d} {status.phrase}\r\nContent-Type: application/json\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    for status in HTTPStatus
}
Send = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A declared call and its function."""

    spec: RouteSpec
    handler: Callable[..., Any]
    known: frozenset[bytes]  # header names, in lower case
    aliases: Mapping[bytes, str]  # of the headers that the function reads
    parameter: str | None = None  # the path's last part, where it is one


@dataclass(slots=True)
class HotRequest:
    """A recognised request; `body_bytes` follow the head."""

    route: HotRoute
    head_bytes: int
    body_bytes: int
    headers: dict[bytes, bytes]
    path: str
    query: dict[str, str]
    client: str = ""  # the address that a voucher names; empty: the peer's
    arguments: dict[str, Any] | None = None  # what the function gets, the body aside, once it was found right


class Lane:
    """The hot routes of a service."""

    def __init__(self, service: Hosted):
        self._service, self._recorder = service, service.recorder
        self._traces_all = service.recorder.spans is not None
        self._limits: bool = service.settings.RATE_LIMIT_ENABLED
        self._ids, self._numbers = f"{random.getrandbits(64):016x}", itertools.count()
        hot = [_hot_route(spec, handler) for spec, handler in service.hot_routes]
        self._posts = {f"POST {r.spec.path} HTTP/1.1".encode(): r for r in hot if r.spec.method == "POST"}
        self._gets = {r.spec.path: r for r in hot if r.spec.method == "GET" and r.parameter is None}
        self._below = {r.spec.path.rpartition("/")[0]: r for r in hot if r.spec.method == "GET" and r.parameter}
        # What has a path of its own is no parameter of another.
        self._own_paths = {rule.rule for rule in service.app.url_map.iter_rules() if not rule.arguments}
        self._lines: dict[bytes, tuple[bytes, bytes]] = {}
        self._again: dict[bytes, HotRequest] = {}  # requests without a body, as they came: a client's next is the same
        self._closed = service.settings.AUTH_REQUIRED
        self._read_voucher = voucher_reader(service.name, service.settings, service.clock)
        self._allows_host = functools.lru_cache(maxsize=64)(lambda host: service.gate.allows_host(host.decode()))

    def recognise(self, seen: bytes) -> HotRequest | None:
        """The request whose head stands at the beginning of `seen`, if it is a plain one of a hot route."""
        if (known := self._again.get(seen)) is not None:
            return known
        begin = seen.find(b"\r\n")
        route, path = self._posts.get(seen[:begin]), ""
        query: dict[str, str] = {}
        if route is None:
            found = self._get(seen[:begin]) if seen.startswith(b"GET ") else None
            if found is None:
                return None
            route, path, query = found
        end = seen.find(END)
        if end < 0:
            return None
        headers: dict[bytes, bytes] = {}
        for line in seen[begin + 2 : end].split(b"\r\n") if end > begin else ():
            name, value = self._lines.get(line) or self._read_line(line)
            if name not in route.known or name in headers:
                return None
            headers[name] = value
        length = _length(route.spec, headers)
        if length is None or not self._plain(headers) or (client := self._client(headers)) is None:
            return None
        request = HotRequest(route, end + len(END), length, headers, path or route.spec.path, query, client)
        whole = request.head_bytes == len(seen) <= MAX_AGAIN_BYTES
        if whole and route.spec.body is None and OF_ONE.isdisjoint(headers):
            if len(self._again) >= MAX_AGAIN:
                self._again.clear()
            self._again[seen] = request
        return request

    def _read_line(self, line: bytes) -> tuple[bytes, bytes]:
        """A header's lower-case name and its value; nameless if it isn't plain. Kept, since most come again."""
        if not HEADER.fullmatch(line):
            return b"", b""
        name, _, value = line.partition(b":")
        read = name.lower(), value.strip()
        if read[0] in COMMON and len(line) <= MAX_LINE:
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
            self._lines[line] = read
        return read

    def _get(self, line: bytes) -> tuple[HotRoute, str, dict[str, str]] | None:
        """Route, path and query of a GET's first line."""
        match = TARGET.fullmatch(line)
        if match is None:
            return None
        path = match[1].decode()
        route = self._gets.get(path)
        if route is None and path not in self._own_paths:
            route = self._below.get(path.rpartition("/")[0])
        query = _query(match[2] or b"") if route else None
        return None if route is None or query is None else (route, path, query)

    def _plain(self, headers: dict[bytes, bytes]) -> bool:
        return bool(
            headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
            and (ID not in headers or SAFE_REQUEST_ID.fullmatch(headers[ID].decode()))
            and self._allows_host(headers.get(b"host", b""))
        )

    def _client(self, headers: dict[bytes, bytes]) -> str | None:
        """See `HotRequest.client`; None where the normal way is to judge."""
        if (header := headers.get(VOUCHER)) is None:
            return None if self._closed or not FORWARDED.isdisjoint(headers) else ""
        try:
            voucher = self._read_voucher(header.decode())
        except OSError:  # there is no secret
            return None
        return voucher.address if voucher else None

    def answer(self, request: HotRequest, body: bytes, peer: str, send: Send) -> None:
        """Run the request of `peer`; `send` gets the answer's head without its last line, and its body, now or later.

        Never raises; nor may `send`.
        """
        begun = time.perf_counter()
        given = request.headers.get(ID)
        # An id must be another each time, not secret: 0.2 µs where uuid4 asks the system for 3.
        identity = given.decode() if given else f"{self._ids}{next(self._numbers):016x}"
        extra: dict[str, str] = {}
        token = request_id.set(identity)
        # Making a trace took 9 µs and looking for the header 0.1 (a busy machine): made only where somebody wants it.
        trace = self._trace(request) if self._traces_all or TRACEPARENT in request.headers else None
        trace_token = tracing.enter(trace) if trace else None
        try:
            outcome = self._call(request, body, peer, extra)
        except Exception as error:  # noqa: BLE001  # answered as the hall answers it
            outcome = error
        if isinstance(outcome, Later):
            self._finish_later(outcome, request, identity, trace, extra, begun, send)
        else:
            send(*self._finished(request, outcome, identity, extra, begun))
        if trace_token:
            tracing.leave(trace_token)
        request_id.reset(token)

    def _trace(self, request: HotRequest) -> tracing.Trace | None:
        given, state = request.headers.get(TRACEPARENT, b""), request.headers.get(TRACESTATE, b"")
        trace = tracing.continued(given.decode(), state.decode()) if given else None
        return tracing.begun(sampled=True) if trace is None and self._traces_all else trace

    def _call(self, request: HotRequest, body: bytes, peer: str, extra: dict[str, str]) -> Any:
        """What the function answers. The order of the checks is Service.route's. `extra` gets further headers."""
        route = request.route
        spec = route.spec
        if spec.limit is not None and self._limits:
            self._service.check_limit(spec, {"REMOTE_ADDR": request.client or peer}, extra)
        if request.arguments is None:
            request.arguments = _arguments(request)
        if spec.body is None:
            return route.handler(**request.arguments)
        return route.handler(**request.arguments, body=body_as(spec.body, body, spec.quick))

    def _finished(
        self, request: HotRequest, outcome: Any, identity: str, extra: dict[str, str], begun: float
    ) -> tuple[bytes, bytes]:
        """Head and body of the answer, counted and logged."""
        spec = request.route.spec
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            status, payload = 200, orjson.dumps({"success": True, **outcome})
        except BaseException as error:  # noqa: BLE001  # what the function raised, or answered though it is no JSON
            problem = error if isinstance(error, FleetError) else self._recorder.bug(spec.method, spec.path, error)
            extra |= advice(problem)
            status, payload = problem.status, orjson.dumps(error_document(problem))
        self._recorder.request(spec.method, spec.path, request.path, status, time.perf_counter() - begun)
        return _head(status, identity, len(payload), extra), payload

    def _finish_later(
        self, later: Later[Any], request: HotRequest, identity: str, trace: tracing.Trace | None,
        extra: dict[str, str], begun: float, send: Send,
    ) -> None:  # fmt: skip
        def finish(outcome: Any) -> None:
            wants_id = self._recorder.writes or isinstance(outcome, BaseException)
            token = request_id.set(identity) if wants_id else None
            trace_token = tracing.enter(trace) if trace else None
            head, payload = self._finished(request, outcome, identity, extra, begun)
            if trace_token:
                tracing.leave(trace_token)
            if token:
                request_id.reset(token)
            send(head, payload)

        later.then(finish)


def _hot_route(spec: RouteSpec, handler: Callable[..., Any]) -> HotRoute:
    fields = spec.headers.model_fields.items() if spec.headers else ()
    aliases = {(field.alias or name).lower().encode(): field.alias or name for name, field in fields}
    parameters = PATH_PARAMETER.findall(spec.path)
    if spec.method not in {"GET", "POST"} or len(parameters) > (spec.method == "GET"):
        raise ValueError(f"{spec.method} {spec.path}: the lane takes POST, and GET with one parameter at the end")
    return HotRoute(spec, handler, KNOWN | aliases.keys(), aliases, parameters[0] if parameters else None)


def _length(spec: RouteSpec, headers: dict[bytes, bytes]) -> int | None:
    """How long the body is; None if it is not one that the lane takes."""
    if spec.body is None:
        return 0 if b"content-length" not in headers else None
    length = headers.get(b"content-length", b"")
    if not LENGTH.fullmatch(length) or int(length) > spec.max_body or headers.get(b"content-type") not in JSON_TYPES:
        return None
    return int(length)


def _arguments(request: HotRequest) -> dict[str, Any]:
    """Path parameter, query and headers as the function gets them. Raises InvalidInput."""
    route = request.route
    arguments: dict[str, Any] = {}
    if route.parameter is not None:
        arguments[route.parameter] = request.path.rpartition("/")[2]
    if route.spec.query:
        arguments["query"] = validate(route.spec.query, request.query)
    if route.spec.headers:
        given = {alias: request.headers[name].decode() for name, alias in route.aliases.items()
                 if name in request.headers}  # fmt: skip
        arguments["headers"] = validate(route.spec.headers, given)
    return arguments


def _query(text: bytes) -> dict[str, str] | None:
    """The parameters, those without a value left out as `parsing.read_query` does; None where one stands twice."""
    found: dict[str, str] = {}
    for part in text.decode().split("&") if text else ():
        name, is_pair, value = part.partition("=")
        if not is_pair or "=" in value or name in found:
            return None
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _head(status: int, identity: str, length: int, extra: dict[str, str]) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in extra.items()]) if extra else ""
    return (
        f"{BEGINNINGS[status]}Content-Length: {length}\r\nX-Request-ID: {identity}\r\n{lines}"
        f"Date: {_date(int(time.time()))}\r\n"
    ).encode()


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
