"""WebSockets through a service to another: the upgrade request goes there, then bytes flow both ways."""

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import gevent

from shared.errors import Unavailable

CONNECT_S, ANSWER_S = 1.0, 10.0
IDLE_S = 120.0  # both of our ends ping more often
CHUNK_BYTES = 65_536
MAX_HEAD = 16_384


def tunnel(url: str, target: str, headers: Iterable[tuple[str, str]], client: socket.socket) -> None:
    """Connect `client` with the WebSocket at `target` of the service at `url`; returns when either leaves.

    Raises Unavailable, before anything was sent to the client, when the service does not answer. What the service
    refuses goes to the client as it is.
    """
    parts = urlsplit(url)
    try:
        service = socket.create_connection((parts.hostname or "", parts.port or 80), CONNECT_S)
    except OSError as error:
        raise Unavailable(f"the service does not answer ({type(error).__name__})") from error
    with service:
        service.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        service.settimeout(ANSWER_S)
        head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers)
        try:
            service.sendall(f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode("latin-1"))
            answer = _first(service)
        except OSError as error:
            raise Unavailable(f"the service does not answer ({type(error).__name__})") from error
        client.sendall(answer)
        for side in (client, service):
            side.settimeout(IDLE_S)
        pumps = [gevent.spawn(_pump, client, service), gevent.spawn(_pump, service, client)]
        gevent.joinall(pumps, count=1)
        for side in (client, service):
            _end(side)
        gevent.joinall(pumps)


def _first(service: socket.socket) -> bytes:
    """The head of the answer, and what came with it."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = service.recv(CHUNK_BYTES)
        if not received or len(answer) > MAX_HEAD:
            raise ConnectionError("no answer")
        answer += received
    return answer


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while received := source.recv(CHUNK_BYTES):
            sink.sendall(received)
    except OSError:
        return  # either has left, or was silent for too long


def _end(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
