"""Socket.IO's connections on our own WebSocket: no greenlets but the reader's, ordered writes, bounded frames, 403.

engineio by itself keeps three greenlets a connection (reader, writer, ping) and a queue without bound; its WebSocket
(simple-websocket) assembles a message of any size before its length is looked at, and offers compression, whose
expansion has no bound. Here packets of an upgraded session go straight to the connection's ordered buffer, and one
greenlet pings for all. Polling, the upgrade's protocol and everything of Socket.IO above are engineio's own.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from engineio import socket as engineio_socket
from engineio.exceptions import SocketIsClosedError, UnknownPacketError
from engineio.packet import NOOP, PING, PONG, UPGRADE, Packet
from werkzeug.wrappers import Request

from shared.clock import Clock
from shared.errors import Forbidden, TooLarge, Unavailable
from shared.web.answers import refuse
from shared.web.hall import Gatekeeper
from shared.web.websocket import WebSocket, WebSocketGate, WsgiApp
from shared.websocket_frames import CloseCode, Opcode, encode_frame
from websocket_streaming.plain import bound_send_buffer

PATH = "/socket.io/"
OPEN_WEBSOCKET = "fleet.websocket"
# Answers that a client provokes (subscribed, error, pong) and doesn't read: past so many bytes it is closed.
MAX_UNREAD_BYTES = 65_536


class Engine:
    """Puts `EngineSession` in place of engineio's own session class, and pings for all of them."""

    def __init__(self, server: Any, clock: Clock, on_slow: Callable[[], None]) -> None:
        self._server, self.clock, self.on_slow = server, clock, on_slow
        self._pings: deque[tuple[float, str]] = deque()  # the interval is the same for all: the first is due first
        self._connected = server.handlers["connect"]
        server.on("connect", self._on_connect)
        server._async = {**server._async, "websocket": lambda handler, _server: _Upgrade(handler)}

    def schedule_ping(self, session: "EngineSession") -> None:
        """Ping it after the server's interval."""
        self._pings.append((self.clock.monotonic() + self._server.ping_interval, session.sid))

    def ping(self) -> None:
        """About once a second: ping those that are due."""
        now = self.clock.monotonic()
        while self._pings and self._pings[0][0] <= now:
            session = self._server.sockets.get(self._pings.popleft()[1])
            if session is not None and not session.closed:
                session.ping()

    def _on_connect(self, sid: str, environ: dict[str, Any]) -> Any:
        """engineio names its class in the middle of a long function; but a new object can still change its own."""
        session = self._server.sockets[sid]
        session.__class__, session.engine = EngineSession, self
        return self._connected(sid, environ)


class EngineSession(engineio_socket.Socket):  # type: ignore[misc]  # engineio carries no types
    """An Engine.IO session; stock while it polls, and once upgraded a thin layer on its WebSocket."""

    engine: Engine
    last_ping: float | None  # when the ping was sent that has no pong yet
    ws: WebSocket | None = None  # once upgraded
    # A packet has to wait for the peer to read: whoever is told flushes the WebSocket until it has left.
    on_unsent: Callable[[], None] = staticmethod(lambda: None)
    on_upgrade: Callable[[], None] = staticmethod(lambda: None)  # `ws` is there, after what polling had yet to fetch

    def send(self, packet: Packet) -> None:
        """Queue it for polling, or send it. Raises SocketIsClosedError."""
        if self.ws is None:
            super().send(packet)
        elif self.check_ping_timeout():
            self._post(packet)

    def _post(self, packet: Packet) -> None:
        ws = self.ws
        if ws is None or ws.post(encode_frame(Opcode.TEXT, packet.encode())):
            return
        self.on_unsent()
        if ws.unsent_bytes > MAX_UNREAD_BYTES:
            self.engine.on_slow()
            ws.abort()

    def schedule_ping(self) -> None:
        """After a pong, and at first."""
        if self.last_ping:
            self.last_ping = None
            self.engine.schedule_ping(self)

    def ping(self) -> None:
        """Now. The pong's time is measured on the monotonic clock: stock takes the wall clock, which jumps."""
        self.last_ping = self.engine.clock.monotonic()
        self.send(Packet(PING))

    def check_ping_timeout(self) -> bool:
        """False, and closed, when the pong is overdue."""
        if self.closed:
            raise SocketIsClosedError
        if self.last_ping and self.engine.clock.monotonic() - self.last_ping > self.server.ping_timeout:
            self.close(wait=False, reason=self.server.reason.PING_TIMEOUT)
            return False
        return True

    def close(self, wait: bool = True, abort: bool = False, reason: Any = None) -> None:
        """See engineio; what it sends last still leaves before the WebSocket closes."""
        super().close(wait=wait and self.ws is None, abort=abort, reason=reason)
        if self.ws is not None:
            self.ws.close()

    def _websocket_handler(self, ws: WebSocket) -> list[bytes]:
        """Called by engineio with an open WebSocket: of a new session, or of one that polls. Returns at its end."""
        if self.connected and not self._probe(ws):
            return []  # it goes on polling
        self._begin(ws)
        while (text := ws.receive()) is not None and (packet := _read(text)) is not None:
            try:
                self.receive(packet)
            except UnknownPacketError:
                continue
            except SocketIsClosedError:
                break
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        return []

    def _probe(self, ws: WebSocket) -> bool:
        """The upgrade of a polling session (Engine.IO protocol 4): ping "probe", pong "probe", upgrade."""
        self.upgrading = True
        try:
            ping = _read(ws.receive() or "")
            if ping is None or ping.packet_type != PING or ping.data != "probe":
                return False
            ws.send_text(Packet(PONG, data="probe").encode())
            self.queue.put(Packet(NOOP))  # ends the poll that waits
            upgrade = _read(ws.receive() or "")
            return upgrade is not None and upgrade.packet_type == UPGRADE
        finally:
            self.upgrading = False

    def _begin(self, ws: WebSocket) -> None:
        """From now on packets go to the WebSocket; those that no poll fetched come first."""
        self.connected = self.upgraded = True
        self.ws = ws
        while not self.queue.empty():
            packet = self.queue.get()
            self.queue.task_done()
            if packet is not None and packet.packet_type != NOOP:
                self._post(packet)
        self.on_upgrade()


class _Upgrade:
    """What engineio calls to upgrade a request; the gate before it has done so."""

    def __init__(self, handler: Callable[[WebSocket], list[bytes]]) -> None:
        self._handler = handler

    def __call__(self, environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        return self._handler(environ[OPEN_WEBSOCKET])


def _read(message: str | bytes) -> Packet | None:
    """None for what isn't a packet that clients send: garbage below Socket.IO's level ends the connection."""
    try:
        packet = Packet(encoded_packet=message)
    except (ValueError, RecursionError):
        return None
    return packet if packet.packet_type in (1, 2, 3, 4, 5) else None


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
