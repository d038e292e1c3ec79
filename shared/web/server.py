"""The HTTP server under every service: gevent's pywsgi with the bounds that a server facing clients needs.

pywsgi by itself waits for ever on a half-sent request, leaves Nagle on (40 ms on small answers), answers malformed
requests in plain text, and drops what is in flight when it stops. This file mends these four, and bounds how many
connections are open and how long an answer may wait to be read (connections.py).
"""

import contextlib
import socket
import uuid
from http import HTTPStatus
from io import BytesIO
from typing import Any

import gevent
import orjson
from gevent import pywsgi

from shared.errors import FleetError, MalformedInput, TooLarge, Unavailable, error_document
from shared.web import ride
from shared.web.answers import advice
from shared.web.connections import MAX_LINGERING, Connections, PatientSocket
from shared.web.hosted import Hosted
from shared.web.lane import HotRequest, Lane
from shared.web.ride import Outgoing, Ride

IDLE_S = 75.0  # a kept-alive connection may wait this long for its next request
SWEEP_S = 1.0  # between two looks for those that wait longer
MAX_BODY = 10_000_000  # the contract's largest body; each route has its own, lower bound
MAX_UNSENT = 262_144  # bytes of an answer that wait in the kernel
LINGER_S = 2.0  # how long a refused client may go on sending what nobody reads


class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]  # gevent carries no types
    """One connection."""

    def __init__(self, sock: Any, address: Any, server: Any, rfile: Any = None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # else the kernel takes 4 MB for a client that reads nothing
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
        super().__init__(sock, address, server, rfile)
        self.rides = Ride(self, sock)

    def handle(self) -> None:
        link, connections = self.socket, self.server.connections
        try:
            if connections.enter(link):
                super().handle()
            else:
                self._turn_away()
        finally:
            connections.leave(link)
            self.rides.end()

    def _turn_away(self) -> None:
        """Say why, and let the first of them read it; a flood of them may not hold what the bound is to keep free."""
        connections = self.server.connections
        connections.lingering += 1
        try:
            if connections.lingering <= MAX_LINGERING:
                self._refuse(Unavailable("too many connections are open and busy"))
        finally:
            connections.lingering -= 1
            self.rfile.close()  # it holds the socket, too
            self.socket.close()

    def handle_one_request(self) -> Any:
        if not self.rides.owed:  # else it isn't idle: `Ride` says so when the answer is sent
            self.server.connections.wait(self.socket)
        result = self._within_bounds()
        if isinstance(result, tuple):  # pywsgi's own refusal: (status, ready bytes), in plain text
            self._refuse(MalformedInput("this is not a valid HTTP request"))
            return None
        return result

    def _within_bounds(self) -> Any:
        server, lane = self.server, self.server.lane
        while True:
            seen = self.rides.next_bytes()
            if not seen:
                return None
            server.connections.begin(self.socket)
            if lane is None or server.draining or (hot := lane.recognise(seen)) is None:
                return self._answer_cold(seen)
            if not self._answer_hot(hot, seen):
                return None

    def _answer_cold(self, seen: bytes) -> Any:
        """A request that goes the normal way."""
        self.rides.left(seen)
        self.deadline = gevent.Timeout.start_new(ride.REQUEST_S)
        try:
            return super().handle_one_request()
        except gevent.Timeout as late:
            if late is not self.deadline:
                raise
            return None
        finally:
            self.deadline.close()

    def _answer_hot(self, hot: HotRequest, seen: bytes) -> bool:
        """A request that goes by the lane, under the bounds of every other. True: the connection goes on."""
        self.close_connection = False
        body = self.rides.body(hot, seen)
        if body is None:
            return False
        if len(body) < hot.body_bytes:
            return self._refuse(MalformedInput("the body is cut short, or its chunks are none"))
        self.server.lane.answer(hot, body, self.client_address[0], self.rides.owe())
        return True

    def MessageClass(self, *args: Any) -> Any:
        """The headers. Refused: what two readers could read differently (request smuggling, RFC 9112, 3.2 and 6.3)."""
        headers = super().MessageClass(*args)
        lengths, codings, hosts = (headers.get_all(n, []) for n in ("Content-Length", "Transfer-Encoding", "Host"))
        if len(lengths) + len(codings) > 1 or len(hosts) > 1:
            raise ValueError("Content-Length, Transfer-Encoding or Host more than once")
        if not all(length.isascii() and length.isdigit() for length in lengths):
            raise ValueError("Content-Length is no number")
        if any(coding.lower() != "chunked" for coding in codings):
            raise ValueError("Transfer-Encoding other than chunked")
        return headers

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """One short line, no error: clients must not be able to fill the log with pywsgi's tracebacks, or Sentry."""
        self.server.logger.info("refused a request from %s: %s", self.client_address[0], type(ex).__name__)
        return "400", b""

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["fleet.socket"] = self.socket
        return environ

    def handle_one_response(self) -> None:
        upgrade = self._connection_upgrade_requested()
        if not upgrade and not self._take_body():
            return
        self.deadline.close()
        if upgrade:
            self.close_connection = True  # what follows on this socket is no HTTP
            self.server.connections.leave(self.socket)  # it counts among the WebSockets
            self._forget_input()
            super().handle_one_response()
            return
        self.server.in_flight += 1
        try:
            super().handle_one_response()
        finally:
            self.server.in_flight -= 1

    def _forget_input(self) -> None:
        """Of HTTP nothing more is read; the reader's buffer (8 KB) would stay as long as the WebSocket."""
        self.rides.forget_reader()
        self.environ["wsgi.input"] = self.rfile
        self.wsgi_input = pywsgi.Input(self.rfile, 0)

    def _connection_upgrade_requested(self) -> bool:
        """Only to WebSocket: pywsgi by itself hands the bare connection over for any `Connection: upgrade`."""
        tokens = [token.strip().lower() for token in self.headers.get("Upgrade", "").split(",")]
        return self.command == "GET" and "websocket" in tokens

    def _take_body(self) -> bool:
        """Read the whole body before the application runs, under the request's deadline and `MAX_BODY`."""
        declared = int(self.environ.get("CONTENT_LENGTH") or 0)
        try:
            body = b"" if declared > MAX_BODY else self.environ["wsgi.input"].read(MAX_BODY + 1)
        except OSError:
            return self._refuse(MalformedInput("the body is cut short, or its chunks are none"))
        if declared > MAX_BODY or len(body) > MAX_BODY:
            return self._refuse(TooLarge(f"the body is over {MAX_BODY:,} bytes"))
        self.environ["wsgi.input"] = BytesIO(body)
        self.environ["CONTENT_LENGTH"] = str(len(body))
        self.environ.pop("HTTP_TRANSFER_ENCODING", None)
        return True

    def _refuse(self, error: FleetError) -> bool:
        """Answer and read on for a moment: closing on unread bytes would reset the connection and lose the answer."""
        self.close_connection = True
        with contextlib.suppress(OSError), gevent.Timeout(LINGER_S, False):
            self.socket.sendall(_refusal(error))
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(65_536):
                pass
        return False

    def finalize_headers(self) -> None:
        super().finalize_headers()
        if self.command == "HEAD":  # pywsgi would end a body that isn't there: the next answer would begin with it
            self.response_use_chunked = False

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        given = {name.lower() for name, _ in headers}
        if (self.server.draining or self.close_connection) and "connection" not in given:
            headers = [*headers, ("Connection", "close")]  # unsaid, a client would send its next request into the void
        if "x-request-id" not in given:  # answered before or beside the hall
            headers = [*headers, ("X-Request-ID", uuid.uuid4().hex)]
        return super().start_response(status, headers, exc_info)


class Server(pywsgi.WSGIServer):  # type: ignore[misc]  # gevent carries no types
    """The listener, with a count of the requests in flight."""

    handler_class = Handler

    def __init__(self, listener: Any, application: Any, service: Hosted, max_connections: int):
        super().__init__(listener, application, log=None, error_log=service.logger)
        self.logger = service.logger
        self.lane = Lane(service) if service.settings.HOT_LANE and service.hot_routes else None
        self.connections = Connections(max_connections, service.logger)
        self.outgoing = Outgoing()
        self.in_flight = 0
        self.draining = False

    def sweep(self) -> None:
        """Close connections that wait too long for their next request. For ever, so in a greenlet of its own."""
        while True:
            gevent.sleep(SWEEP_S)
            self.connections.close_idle(IDLE_S)

    def do_read(self) -> Any:
        """A new connection, its writing bounded. As StreamServer's own, but for the class."""
        try:
            number, address = self.socket._accept()
        except BlockingIOError:
            return None
        return PatientSocket(self.socket.family, self.socket.type, self.socket.proto, fileno=number), address


def _refusal(error: FleetError) -> bytes:
    """A whole answer, for requests that never reach the application."""
    body = orjson.dumps(error_document(error))
    head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in advice(error).items())
    head += f"X-Request-ID: {uuid.uuid4().hex}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
