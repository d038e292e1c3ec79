"""Socket.IO's connections on our own WebSocket: bounded frames, no thread or inflater per client, refusals by 403.

The stock one (simple-websocket) assembles a message of any size before its length is looked at, and offers compression,
whose expansion has no bound.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from engineio.packet import Packet
from werkzeug.wrappers import Request

from shared.errors import Forbidden, TooLarge, Unavailable
from shared.web.answers import refuse
from shared.web.hall import Gatekeeper
from shared.web.websocket import WebSocket, WebSocketClosed, WebSocketGate, WsgiApp
from shared.web.websocket_connection import SEND_TIMEOUT_S
from shared.websocket_frames import CloseCode
from websocket_streaming.plain import bound_send_buffer

PATH = "/socket.io/"
OPEN_WEBSOCKET = "fleet.websocket"
# Answers that a client provokes (subscribed, error, pong) and doesn't read: past so many it is closed.
MAX_UNREAD_PACKETS = 256


class EngineWebSocket:
    """What engineio expects of a WebSocket, for the one already open in the request's environ."""

    on_slow: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, handler: Any, _server: Any) -> None:
        self._handler = handler
        self._engine_socket = handler.__self__
        self._ws: WebSocket

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:  # noqa: ARG002  # WSGI's signature
        self._ws = environ[OPEN_WEBSOCKET]
        return self._handler(self)

    def wait(self) -> str | bytes | None:
        """The next message; None ends the connection, as garbage below Socket.IO's own level does."""
        if self._engine_socket.queue.qsize() > MAX_UNREAD_PACKETS:
            self.on_slow()
            self._ws.abort()
            return None
        message = self._ws.receive()
        return message if message is not None and _is_packet(message) else None

    def send(self, message: str | bytes) -> None:
        """Send, or end the connection when the client doesn't read; engineio's writer stops at the error."""
        started = time.monotonic()
        try:
            self._ws.send_text(message)
        except WebSocketClosed:
            if time.monotonic() - started >= SEND_TIMEOUT_S:
                self.on_slow()
            raise

    def close(self) -> None:
        """Begin to close."""
        self._ws.close()


def _is_packet(message: str | bytes) -> bool:
    """engineio itself decodes outside any `try`: what it can't read would be a traceback and a leaked connection."""
    try:
        return Packet(encoded_packet=message).packet_type in (1, 2, 3, 4, 5)
    except (ValueError, RecursionError):
        return False


class SocketIoDoor:
    """Stands before Socket.IO in the WSGI chain: Host, Origin, the number of clients, and the WebSocket upgrade."""

    def __init__(
        self, inner: WsgiApp, gate: Gatekeeper, takes_new: Callable[[], bool], *, max_clients: int, max_event_bytes: int
    ) -> None:
        self._inner, self._gate, self._takes_new = inner, gate, takes_new
        self._max_event_bytes = max_event_bytes
        self.upgrades = WebSocketGate(
            self._polling,
            [(PATH, self._upgrade)],
            origin_allowed=gate.allows_origin,
            host_allowed=gate.allows_host,
            max_connections=max_clients,
            max_message_bytes=self._max_event_bytes,
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(PATH):
            return self._inner(environ, start_response)
        return self.upgrades(environ, start_response)

    def _polling(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if not self._gate.allows_host(host):
            return refuse(Forbidden("this Host is not served here"), start_response)
        if not self._gate.allows_origin(environ.get("HTTP_ORIGIN"), host):
            return refuse(Forbidden("this Origin is not allowed"), start_response)
        if _is_new(environ) and not self._takes_new():
            return refuse(Unavailable("too many clients, or starting, or stopping"), start_response)
        if int(environ.get("CONTENT_LENGTH") or 0) > self._max_event_bytes:
            return refuse(TooLarge(f"over {self._max_event_bytes:,} bytes"), start_response)
        return self._inner(environ, start_response)

    def _upgrade(self, ws: WebSocket, request: Request) -> None:
        if _is_new(request.environ) and not self._takes_new():
            ws.close(CloseCode.TRY_LATER, "too many clients, or starting, or stopping")
            return
        bound_send_buffer(request)
        request.environ[OPEN_WEBSOCKET] = ws
        for _ in self._inner(request.environ, lambda *_: None):
            ws.close(CloseCode.POLICY, "not a Socket.IO session")  # engineio answered as to HTTP: it refused


def _is_new(environ: dict[str, Any]) -> bool:
    """Whether a session begins with this request, as engineio sees it; later ones of it name its sid."""
    return "sid" not in parse_qs(environ.get("QUERY_STRING", ""))
