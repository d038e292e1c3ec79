"""WebSockets through a service to another: the upgrade request goes there, then bytes flow both ways."""

import contextlib
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import gevent
from gevent.event import Event

from shared.errors import Unavailable
from shared.websocket_frames import CloseCode, FrameEdges, encode_close

CONNECT_S, ANSWER_S = 1.0, 10.0
IDLE_S = 120.0  # both of our ends ping more often
GOODBYE_S = 1.0  # for what is on its way to a client whose tunnel is ended, and for its answer
CHUNK_BYTES = 65_536
MAX_HEAD = 16_384
SWITCHING = b"HTTP/1.1 101 "


class Ending:
    """Ends a tunnel from outside."""

    def __init__(self) -> None:
        self.reason = ""
        self.told = Event()

    def tell(self, reason: str) -> None:
        """The client gets it with a Close frame of code 1008. For greenlets of the tunnel's own loop."""
        self.reason = reason
        self.told.set()


def tunnel(
    url: str, target: str, headers: Iterable[tuple[str, str]], client: socket.socket, ending: Ending | None = None
) -> None:  # fmt: skip
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
        edges = FrameEdges()
        edges.feed(answer.partition(b"\r\n\r\n")[2])
        up, down = gevent.spawn(_pump, client, service), gevent.spawn(_pump, service, client, edges)
        gevent.wait([up, down, *([ending.told] if ending else [])], count=1)
        if ending and ending.reason and answer.startswith(SWITCHING):
            _say_goodbye(client, service, up, down, edges, ending.reason)
        for side in (client, service):
            _end(side, socket.SHUT_RDWR)
        gevent.joinall([up, down])


def _first(service: socket.socket) -> bytes:
    """The head of the answer, and what came with it."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = service.recv(CHUNK_BYTES)
        if not received or len(answer) > MAX_HEAD:
            raise ConnectionError("no answer")
        answer += received
    return answer


def _pump(source: socket.socket, sink: socket.socket, edges: FrameEdges | None = None) -> bool:
    """Whether everything was passed on that came until `source` left, was silent for too long, or was shut."""
    while True:
        try:
            received = source.recv(CHUNK_BYTES)
        except OSError:
            return True
        if not received:
            return True
        try:
            sink.sendall(received)
        except OSError:
            return False
        if edges is not None:
            edges.feed(received)


def _say_goodbye(
    client: socket.socket, service: socket.socket, up: "gevent.Greenlet[..., bool]",
    down: "gevent.Greenlet[..., bool]", edges: FrameEdges, reason: str,
) -> None:  # fmt: skip
    """A Close frame, but only between two frames of the service's: inside of one it would be taken for its content."""
    _end(service, socket.SHUT_RD)  # its pump ends, as soon as the client has taken what is on its way
    down.join(GOODBYE_S)
    if down.value and edges.at_edge:
        with contextlib.suppress(OSError):
            client.settimeout(GOODBYE_S)
            client.sendall(encode_close(CloseCode.POLICY, reason))
            _end(client, socket.SHUT_WR)
            up.join(GOODBYE_S)  # its own Close frame; who hangs up before that may destroy ours


def _end(side: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(how)
