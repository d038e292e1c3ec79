"""`/api/<service>/…`: the calls of the list, passed on to the services; their answers come back as they are."""

import contextlib
import errno
import gzip
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from flask import Response, request
from pydantic import ConfigDict

from shared.errors import InvalidInput, NotFound, Unavailable
from shared.http_client import Answer as ServiceAnswer
from shared.http_client import StreamedAnswer
from shared.service import Service
from shared.web.models import Answer, Body
from shared.web.parsing import parse_json
from trading_dashboard.allowed import CALLS, Call
from trading_dashboard.logins import Logins, refuse_other_pages
from trading_dashboard.stream_place import TUNNEL

MAX_BODY = 100_000  # bytes
WORTH_PACKING = 4000  # bytes of an answer
# In a query these mean something, or nothing that has to be hidden; any other byte leaves percent-encoded.
QUERY_SAFE = "!$&'()*+,;=:@/?%-._~"
PASSED_BACK = (
    "Content-Disposition", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
)  # fmt: skip

HANDSHAKE = ("Sec-WebSocket-Key", "Sec-WebSocket-Version")


class Peer(Protocol):
    """A service to pass calls on to. Both raise Unavailable."""

    name: str

    def send(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> ServiceAnswer:
        """The service's answer, whatever its status."""
        ...

    def stream(self, target: str, headers: Mapping[str, str] | None = None) -> StreamedAnswer:
        """An answer that is read as it comes."""
        ...


class PassedBody(Body):
    """A JSON object; its fields are the service's to judge."""

    model_config = ConfigDict(extra="allow")


class PassedAnswer(Answer):
    """As the service answers; its own /openapi.json says how."""

    success: bool


Connect = Callable[[str, Iterable[tuple[str, str]], socket.socket], None]  # (target, headers, client)


def add_proxy_routes(service: Service, peers: Mapping[str, Peer], logins: Logins) -> None:
    """Register every call of the list."""
    for call in CALLS:
        _add(service, call, peers[call.service], logins)


def add_stream(service: Service, logins: Logins, connect: Connect) -> None:
    """The page's Socket.IO by WebSocket, where a login is asked for: to the gateway, with the login of the cookie.

    A script can set no header on a WebSocket, and a token in its address would have to be told to scripts, and to every
    log on the way. So the stream comes through here, as everything else does.
    """

    def through(environ: dict[str, Any], client: socket.socket) -> None:
        refuse_other_pages(environ)  # a WebSocket knows no CORS: any page on localhost may open one, with our cookie
        handshake = [(name, environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")) for name in HANDSHAKE]
        headers = [*handshake, *logins.socket_headers(environ).items()]
        connect(f"{TUNNEL}/?{environ.get('QUERY_STRING', '')}", headers, client)

    service.tunnel(f"{TUNNEL}/", through)


def _add(service: Service, call: Call, peer: Peer, logins: Logins) -> None:
    declared: dict[str, Any] = {"summary": f"{call.summary}, from {call.service}", "quiet": call.quiet}
    if call.method == "POST":
        declared |= {"body": PassedBody, "quick": _an_object, "max_body": MAX_BODY}
    if call.streamed:
        declared |= {"content_type": call.streamed[0], "other_types": call.streamed[1:]}
    else:
        declared |= {"answer": PassedAnswer}

    @service.route(call.method, call.own_path, errors=(401, 403, 409, 422, 429), **declared)
    def pass_on(body: bytes | None = None, **parameters: str) -> Response:
        if call.method != "GET":
            refuse_other_pages(request.environ)
        target = _target(call.path, parameters)
        if call.streamed:
            found = logins.ask(lambda headers: peer.stream(target, headers))
            return _streamed(service, peer, call.streamed, found)
        typed = {} if body is None else {"Content-Type": "application/json"}
        answer = logins.ask(lambda headers: peer.send(call.method, target, body, headers | typed))
        return _whole(peer, answer.status, answer.headers, answer.body)


def _an_object(data: bytes) -> bytes:
    if not isinstance(parse_json(data), dict):
        raise InvalidInput.field("body", "must be a JSON object")
    return data


def _target(template: str, parameters: Mapping[str, str]) -> str:
    """The path with its parameters, and the query as it came. Raises NotFound for what no path can hold."""
    path = template
    for name, value in parameters.items():
        if value in {".", ".."}:  # on the way these would be taken for steps
            raise NotFound("there is no such path")
        path = path.replace(f"<{name}>", quote(value, safe=""))
    query = quote(request.query_string, safe=QUERY_SAFE)
    return f"{path}?{query}" if query else path


def _passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in PASSED_BACK if name in headers} | {"Cache-Control": "no-store"}


def _whole(peer: Peer, status: int, headers: Mapping[str, str], body: bytes) -> Response:
    if headers.get("Content-Type") != "application/json":
        raise Unavailable(f"{peer.name} is away: something else answers at its address")
    answer = Response(body, status, _passed_back(headers), content_type="application/json")
    if len(body) > WORTH_PACKING and request.accept_encodings.quality("gzip") > 0:
        answer.set_data(gzip.compress(body, 1))  # 150 signals: 60 KB to 6 in 0.5 ms
        answer.content_encoding = "gzip"
    answer.vary.add("Accept-Encoding")
    return answer


def _streamed(service: Service, peer: Peer, types: tuple[str, ...], found: StreamedAnswer) -> Response:
    kind = found.headers.get("Content-Type", "")
    if found.status != 200 or kind.partition(";")[0] not in types:
        with contextlib.closing(found):
            return _whole(peer, found.status, found.headers, next(iter(found), b""))  # an error fits into one piece
    answer = Response(_or_cut(service, found), headers=_passed_back(found.headers), content_type=kind)
    answer.call_on_close(found.close)
    return answer


def _or_cut(service: Service, found: StreamedAnswer) -> Iterator[bytes]:
    """The pieces; a failure in the middle cuts the connection: without its last chunk no client takes it for whole."""
    try:
        yield from found
    except Unavailable as error:
        service.logger.warning("an export was cut short: %s", error.message)
        raise BrokenPipeError(errno.EPIPE, "cut short") from None  # the server takes it for a client that left
