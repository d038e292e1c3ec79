"""The lane: hot requests are answered before Flask's routing, by the very function that Flask would call.

Of a request that costs 300 µs on the way through pywsgi, werkzeug, Flask and the hall's hooks, the function itself is
a tenth (docs/adr/0003). So requests of a route that is declared `hot` are recognised in the bytes that have arrived,
and only if every header is one of the few that such a request needs, once, in its plainest form. Whatever is different
(Origin, Expect, chunks, proxies, percent-encoding, another spelling) is not taken and goes the normal way, with all
that checks there.

A function may answer `Later` (a commit that others share): the connection then waits for nothing, and the answer is
sent from where it is resolved. That spares two switches of greenlets a request.
"""

import functools
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson

from shared.errors import FleetError, error_document
from shared.later import Later
from shared.logger import request_id
from shared.openapi import PATH_PARAMETER, RouteSpec
from shared.web.answers import retry_after
from shared.web.hall import SAFE_REQUEST_ID
from shared.web.hosted import Hosted
from shared.web.parsing import body_as, validate

END = b"\r\n\r\n"
# Nothing but printable ASCII; folded lines begin with a blank: refused.
HEADER = re.compile(rb"[A-Za-z-]{1,40}:[ \t]?[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
KNOWN = frozenset(
    {
        b"host", b"content-type", b"content-length", b"connection", b"x-request-id", b"user-agent", b"accept",
        b"accept-encoding", b"accept-language",
    }
)  # fmt: skip
COMMON = KNOWN - {b"x-request-id"}  # the same with every request of a client
MAX_LINES, MAX_LINE = 1024, 200  # of those, and of their bytes
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
LENGTH = re.compile(rb"[0-9]{1,8}")
# A path and a query that mean the same to every reader: nothing to decode, no dot segments.
TARGET = re.compile(rb"GET ((?:/[A-Za-z0-9_][A-Za-z0-9_.:~-]*)+)(?:\?([A-Za-z0-9_.:~=&-]{1,1000}))? HTTP/1\.1")
Send = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A declared call and its function."""

    spec: RouteSpec
    handler: Callable[..., Any]
    known: frozenset[bytes]  # header names, in lower case
    aliases: Mapping[bytes, str]  # of the headers that the function reads
    parameter: str | None = None  # the path's last part, where it is one


@dataclass(frozen=True, slots=True)
class HotRequest:
    """A recognised request; `body_bytes` follow the head."""

    route: HotRoute
    head_bytes: int
    body_bytes: int
    headers: dict[bytes, bytes]
    path: str
    query: dict[str, str]


class Lane:
    """The hot routes of a service."""

    def __init__(self, service: Hosted):
        self._service = service
        hot = [_hot_route(spec, handler) for spec, handler in service.hot_routes]
        self._posts = {f"POST {r.spec.path} HTTP/1.1".encode(): r for r in hot if r.spec.method == "POST"}
        self._gets = {r.spec.path: r for r in hot if r.spec.method == "GET" and r.parameter is None}
        self._below = {r.spec.path.rpartition("/")[0]: r for r in hot if r.spec.method == "GET" and r.parameter}
        # What has a path of its own is no parameter of another.
        self._own_paths = {rule.rule for rule in service.app.url_map.iter_rules() if not rule.arguments}
        self._lines: dict[bytes, tuple[bytes, bytes]] = {}
        self._allows_host = functools.lru_cache(maxsize=64)(lambda host: service.gate.allows_host(host.decode()))

    def recognise(self, seen: bytes) -> HotRequest | None:
        """The request whose head stands at the beginning of `seen`, if it is a plain one of a hot route."""
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
        if length is None or not self._plain(headers):
            return None
        return HotRequest(route, end + len(END), length, headers, path or route.spec.path, query)

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
            and (b"x-request-id" not in headers or SAFE_REQUEST_ID.fullmatch(headers[b"x-request-id"].decode()))
            and self._allows_host(headers.get(b"host", b""))
        )

    def answer(self, request: HotRequest, body: bytes, peer: str, send: Send) -> None:
        """Run the request; `send` gets the answer's head without its last line, and its body, now or later.

        Never raises; nor may `send`.
        """
        begun, spec, recorder = time.perf_counter(), request.route.spec, self._service.recorder
        # 0.4 µs where uuid4 asks the system for 3; an id must be another each time, not secret.
        identity = request.headers.get(b"x-request-id", b"").decode() or f"{random.getrandbits(128):032x}"
        extra: dict[str, str] = {}

        def finish(outcome: Any) -> None:
            token = request_id.set(identity) if recorder.writes or isinstance(outcome, BaseException) else None
            status, document = self._concluded(spec, outcome, extra)
            try:
                payload = orjson.dumps(document)
            except TypeError as error:  # what the function answered is no JSON
                status, document = self._concluded(spec, error, extra)
                payload = orjson.dumps(document)
            recorder.request(spec.method, spec.path, request.path, status, time.perf_counter() - begun)
            if token:
                request_id.reset(token)
            send(_head(status, identity, len(payload), extra), payload)

        token = request_id.set(identity)
        try:
            result = self._call(request, body, peer, extra)
        except Exception as error:  # noqa: BLE001  # answered as the hall answers it
            result = error
        request_id.reset(token)
        if isinstance(result, Later):
            result.then(finish)
        else:
            finish(result)

    def _call(self, request: HotRequest, body: bytes, peer: str, extra: dict[str, str]) -> Any:
        """What the function answers. The order of the checks is Service.route's. `extra` gets further headers."""
        route, service = request.route, self._service
        arguments: dict[str, Any] = {}
        if route.spec.limit is not None:
            service.check_limit(route.spec, {"REMOTE_ADDR": peer}, extra)
        if route.parameter is not None:
            arguments[route.parameter] = request.path.rpartition("/")[2]
        if route.spec.query:
            arguments["query"] = validate(route.spec.query, request.query)
        if route.spec.headers:
            given = {alias: request.headers[name].decode() for name, alias in route.aliases.items()
                     if name in request.headers}  # fmt: skip
            arguments["headers"] = validate(route.spec.headers, given)
        if route.spec.body:
            arguments["body"] = body_as(route.spec.body, body, route.spec.quick)
        return route.handler(**arguments)

    def _concluded(self, spec: RouteSpec, outcome: Any, extra: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and document of what the function answered or raised."""
        if not isinstance(outcome, BaseException):
            return 200, {"success": True, **outcome}
        if not isinstance(outcome, FleetError):
            outcome = self._service.recorder.bug(spec.method, spec.path, outcome)
        extra |= retry_after(outcome)
        return outcome.status, error_document(outcome)


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
    lines = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nX-Request-ID: {identity}\r\nX-Content-Type-Options: nosniff\r\n{lines}"
        f"Date: {_date(int(time.time()))}\r\n"
    ).encode()


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
