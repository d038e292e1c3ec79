"""The server's side of WebSocket (RFC 6455): the handshake from a WSGI request, and the dispatch to handlers.

Extensions and subprotocols are not offered, so one encoded frame may serve any number of receivers.
"""

import base64
import binascii
import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from shared.errors import FleetError, Forbidden, MalformedInput, NotFound, Unavailable
from shared.web.answers import refuse
from shared.web.websocket_connection import WebSocket, WebSocketClosed
from shared.websocket_frames import DEFAULT_MAX_BYTES, CloseCode, accept_key

__all__ = ["Handler", "WebSocket", "WebSocketClosed", "WebSocketGate", "check_handshake"]

log = logging.getLogger(__name__)

Handler = Callable[..., None]  # handler(ws, request, **path parameters)
HostCheck = Callable[[str], bool]
OriginCheck = Callable[[str | None, str], bool]  # (Origin header, Host header)
WsgiApp = Callable[..., Iterable[bytes]]
Tunnel = Callable[[dict[str, Any], socket.socket], None]  # tunnel(environ, the bare connection)


def _anyone(*_headers: str | None) -> bool:
    return True


class WebSocketGate:
    """WSGI middleware that takes the upgrade requests and leaves everything else to `wsgi_app`.

    `routes` are (werkzeug rule, handler) pairs; `host_allowed` judges the Host header, `origin_allowed` the Origin
    header (None: no browser) and Host. Upgrades below `pass_prefixes` go to `wsgi_app` (another library's WebSockets).
    `tunnels` take the bare connection of upgrades below their prefix before any handshake; one that raises a FleetError
    must have sent nothing.
    The server puts the raw socket into `environ["fleet.socket"]`; the connection is of no more use to it afterwards.
    """

    def __init__(
        self,
        wsgi_app: WsgiApp,
        routes: Iterable[tuple[str, Handler]] = (),
        *,
        origin_allowed: OriginCheck = _anyone,
        host_allowed: HostCheck = _anyone,
        pass_prefixes: tuple[str, ...] = (),
        tunnels: Iterable[tuple[str, Tunnel]] = (),
        max_connections: int = 10_000,
        max_message_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self._wsgi_app = wsgi_app
        self._rules = Map(strict_slashes=False, merge_slashes=False)
        self._origin_allowed = origin_allowed
        self._host_allowed = host_allowed
        self._pass_prefixes = pass_prefixes
        self._tunnels = tuple(tunnels)
        self._tunnelled: set[socket.socket] = set()
        self._max_connections = max_connections
        self._max_message_bytes = max_message_bytes
        self._lock = threading.Lock()
        self._open: set[WebSocket] = set()
        for rule, handler in routes:
            self.add(rule, handler)

    def add(self, rule: str, handler: Handler) -> None:
        """Serve `rule` (e.g. `/stream/price/<symbol>`) by `handler`; the connection closes when it returns."""
        self._rules.add(Rule(rule, endpoint=handler, websocket=True))

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open) + len(self._tunnelled)

    def close_all(self, code: int = CloseCode.GOING_AWAY, reason: str = "the service stops") -> None:
        """Begin to close every connection (graceful stop); handlers see None from `receive`."""
        with self._lock:
            sockets = list(self._open)
        for ws in sockets:
            ws.close(code, reason)
        for sock in list(self._tunnelled):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not _has_token(environ.get("HTTP_UPGRADE", ""), "websocket") or path.startswith(self._pass_prefixes):
            return self._wsgi_app(environ, start_response)
        request = Request(environ)
        tunnel = next((tunnel for prefix, tunnel in self._tunnels if path.startswith(prefix)), None)
        try:
            if tunnel is not None:
                self._through(tunnel, request)
                return []
            handler, parameters = self._match(request)
            accept = self._check(request)
            sock = self._room_for(environ)
        except _UpgradeRequired as error:
            return refuse(error, start_response, {"Sec-WebSocket-Version": "13"})
        except FleetError as error:
            return refuse(error, start_response)
        self._serve(sock, accept, handler, request, parameters)
        return []

    def _room_for(self, environ: dict[str, Any]) -> socket.socket:
        sock: socket.socket | None = environ.get("fleet.socket")
        if sock is None:
            raise Unavailable("this server can't open WebSockets")
        if len(self._open) + len(self._tunnelled) >= self._max_connections:
            raise Unavailable("too many open WebSockets")
        return sock

    def _through(self, tunnel: Tunnel, request: Request) -> None:
        self._check(request)
        sock = self._room_for(request.environ)
        self._tunnelled.add(sock)
        try:
            tunnel(request.environ, sock)
        finally:
            self._tunnelled.discard(sock)

    def _match(self, request: Request) -> tuple[Handler, dict[str, Any]]:
        try:
            handler, parameters = self._rules.bind("").match(request.path, method="GET", websocket=True)
        except HTTPException:
            raise NotFound(f"no WebSocket at {request.path[:200]}") from None
        return handler, dict(parameters)

    def _check(self, request: Request) -> str:
        host = request.headers.get("Host", "")
        if not self._host_allowed(host):
            raise Forbidden("this Host is not served here")
        if not self._origin_allowed(request.headers.get("Origin"), host):
            raise Forbidden("this Origin is not allowed")
        return check_handshake(request)

    def _serve(
        self, sock: socket.socket, accept: str, handler: Handler, request: Request, parameters: dict[str, Any]
    ) -> None:
        ws = WebSocket(sock, max_message_bytes=self._max_message_bytes)
        with self._lock:
            self._open.add(ws)
        try:
            ws.send_frame(_switching_protocols(accept))
            handler(ws, request, **parameters)
        except WebSocketClosed:
            pass  # the usual end: the peer left while the handler was sending
        except Exception:
            log.exception("WebSocket handler failed")
            ws.close(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            with self._lock:
                self._open.discard(ws)
            ws.finish()


class _UpgradeRequired(MalformedInput):
    """RFC 6455, 4.4: another version of the protocol is answered with the one spoken here."""

    status = 426


def check_handshake(request: Request) -> str:
    """The `Sec-WebSocket-Accept` value for an upgrade request; raises MalformedInput (RFC 6455, 4.2.1)."""
    headers = request.headers
    if request.method != "GET" or request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise MalformedInput("a WebSocket is opened by GET and HTTP/1.1")
    if not _has_token(headers.get("Connection", ""), "upgrade"):
        raise MalformedInput.field("Connection", "must hold Upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise _UpgradeRequired.field("Sec-WebSocket-Version", "must be 13")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    if not re.fullmatch(r"[A-Za-z0-9+/]{22}==", key) or not _is_base64(key):
        raise MalformedInput.field("Sec-WebSocket-Key", "must be 16 bytes in base64")
    return accept_key(key)


def _is_base64(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except binascii.Error:
        return False


def _has_token(header: str, token: str) -> bool:
    return any(part.strip().lower() == token for part in header.split(","))


def _switching_protocols(accept: str) -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode("ascii")
