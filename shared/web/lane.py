"""The lane: hot requests are answered before Flask's routing, by the very function that Flask would call.

Of a request that costs 300 µs on the way through pywsgi, werkzeug, Flask and the hall's hooks, the function itself is
a tenth (docs/adr/0003). So requests of a route that is declared `hot` are recognised in the bytes that have arrived,
and only if every header is one of the few that such a request needs, once, in its plainest form. Whatever is different
(Origin, Expect, chunks, proxies, another spelling) is not taken and goes the normal way, with all that checks there.
"""

import functools
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson

from shared.errors import FleetError, error_document
from shared.logger import request_id
from shared.openapi import RouteSpec
from shared.web.answers import retry_after
from shared.web.hall import SAFE_REQUEST_ID
from shared.web.hosted import Hosted
from shared.web.parsing import body_as, validate

END = b"\r\n\r\n"
# Nothing between the lines but CRLF, nothing in them but printable ASCII; folded lines begin with a blank: refused.
HEADERS = re.compile(rb"(?:\r\n[A-Za-z-]{1,40}:[ \t]?[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)*")
KNOWN = frozenset(
    {
        b"host", b"content-type", b"content-length", b"connection", b"x-request-id", b"user-agent", b"accept",
        b"accept-encoding", b"accept-language",
    }
)  # fmt: skip
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
LENGTH = re.compile(rb"[0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class HotRoute:
    """A declared call and its function."""

    spec: RouteSpec
    handler: Callable[..., Any]
    known: frozenset[bytes]  # header names, in lower case
    aliases: Mapping[bytes, str]  # of the headers that the function reads


@dataclass(frozen=True, slots=True)
class HotRequest:
    """A recognised request; `body_bytes` follow the head."""

    route: HotRoute
    head_bytes: int
    body_bytes: int
    headers: dict[bytes, bytes]


class Lane:
    """The hot routes of a service."""

    def __init__(self, service: Hosted):
        self._service = service
        self._routes = {
            f"{spec.method} {spec.path} HTTP/1.1".encode(): _hot_route(spec, handler)
            for spec, handler in service.hot_routes
        }
        self._allows_host = functools.lru_cache(maxsize=64)(lambda host: service.gate.allows_host(host.decode()))

    def recognise(self, seen: bytes) -> HotRequest | None:
        """The request whose head stands at the beginning of `seen`, if it is a plain one of a hot route."""
        route = self._routes.get(seen[: seen.find(b"\r\n")])
        if route is None or (end := seen.find(END)) < 0:
            return None
        begin = seen.find(b"\r\n")
        if HEADERS.fullmatch(seen, begin, end) is None:
            return None
        headers: dict[bytes, bytes] = {}
        for line in seen[begin + 2 : end].split(b"\r\n"):
            name, _, value = line.partition(b":")
            name = name.lower()
            if name not in route.known or name in headers:
                return None
            headers[name] = value.strip()
        return self._plain(route, end + len(END), headers)

    def _plain(self, route: HotRoute, head_bytes: int, headers: dict[bytes, bytes]) -> HotRequest | None:
        length = headers.get(b"content-length", b"")
        plain = (
            LENGTH.fullmatch(length)
            and int(length) <= route.spec.max_body
            and headers.get(b"content-type") in JSON_TYPES
            and headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
            and (b"x-request-id" not in headers or SAFE_REQUEST_ID.fullmatch(headers[b"x-request-id"].decode()))
            and self._allows_host(headers.get(b"host", b""))
        )
        return HotRequest(route, head_bytes, int(length), headers) if plain else None

    def answer(self, request: HotRequest, body: bytes, peer: str) -> tuple[bytes, bytes]:
        """Run the request: the answer's head without its last line, and its body. Never raises."""
        begun, spec = time.perf_counter(), request.route.spec
        identity = request.headers.get(b"x-request-id", b"").decode() or uuid.uuid4().hex
        token = request_id.set(identity)
        extra: dict[str, str] = {}
        try:
            status, document = self._run(request, body, peer, extra)
            payload = orjson.dumps(document)
            self._service.recorder.request(spec.method, spec.path, spec.path, status, time.perf_counter() - begun)
        finally:
            request_id.reset(token)
        return _head(status, identity, len(payload), extra), payload

    def _run(
        self, request: HotRequest, body: bytes, peer: str, extra: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Status and document. The order of the checks is Service.route's. `extra` gets further headers."""
        route, service = request.route, self._service
        try:
            if route.spec.limit is not None:
                service.check_limit(route.spec, {"REMOTE_ADDR": peer}, extra)
            arguments: dict[str, Any] = {}
            if route.spec.headers:
                given = {alias: request.headers[name].decode() for name, alias in route.aliases.items()
                         if name in request.headers}  # fmt: skip
                arguments["headers"] = validate(route.spec.headers, given)
            if route.spec.body:
                arguments["body"] = body_as(route.spec.body, body)
            return 200, {"success": True, **route.handler(**arguments)}
        except FleetError as error:
            answered = error
        except Exception as error:  # noqa: BLE001  # answered as the hall answers it: reported, logged, 500
            answered = service.recorder.bug(route.spec.method, route.spec.path, error)
        extra |= retry_after(answered)
        return answered.status, error_document(answered)


def _hot_route(spec: RouteSpec, handler: Callable[..., Any]) -> HotRoute:
    fields = spec.headers.model_fields.items() if spec.headers else ()
    aliases = {(field.alias or name).lower().encode(): field.alias or name for name, field in fields}
    return HotRoute(spec, handler, KNOWN | aliases.keys(), aliases)


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
