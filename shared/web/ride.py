"""A connection whose requests go by the lane: it waits without a timer, and is answered without being woken.

Per request this spares, of some 60 µs: a system call that only says "nothing yet" and its exception (4 µs: it waits
before it reads), the reader with its buffer (4 µs: what one `recv` gives is a whole request), two timers of gevent
(4 µs: connections.close_idle looks once a second), and the switch to this connection's greenlet for sending (4 µs:
whoever has the answer sends it). Answers that become ready in one turn of the loop are sent together at its end
(`Outgoing`): of 33 µs for a GET from memory this spares 9.
"""

import contextlib
import io
import socket
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from shared.web.lane import HotRequest, Send

if TYPE_CHECKING:
    from shared.web.server import Handler

REQUEST_S = 9.0  # a begun request, headers and body, must be complete within this; closed by 10 s on a busy machine
READ = 1  # libev's EV_READ
READ_BYTES = 65_536
CLOSE = b"Connection: close\r\n\r\n"
MOST_TOGETHER = 32  # answers; the first of them waits for so many requests at most


class Outgoing:
    """Answers that became ready in one turn of the loop: sent one after the other at its end.

    A client on the same machine (nginx, a load generator) sleeps until an answer comes, and waking it makes the next
    request twice as dear, since the processor's caches and predictions are lost. So it is woken once for many.
    """

    def __init__(self) -> None:
        self._answers: list[tuple[Ride, bytes]] = []

    def add(self, ride: "Ride", answer: bytes) -> None:
        """Send it soon. From a greenlet, not from another thread."""
        if not self._answers:
            gevent.get_hub().loop.run_callback(self._send_all)
        self._answers.append((ride, answer))
        if len(self._answers) >= MOST_TOGETHER:
            self._send_all()

    def _send_all(self) -> None:
        answers, self._answers = self._answers, []
        for ride, answer in answers:
            ride.write(answer)


class _Rest(io.RawIOBase):
    """What was received already, then what comes."""

    def __init__(self, received: bytes, sock: Any) -> None:
        self._received, self._sock = received, sock

    def readable(self) -> bool:
        """For the buffered reader."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        if not self._received:
            return int(self._sock.recv_into(buffer))
        count = min(len(buffer), len(self._received))
        buffer[:count], self._received = self._received[:count], self._received[count:]
        return count


class Ride:
    """Of one connection: waiting for its next request, reading a body, and sending what is owed."""

    def __init__(self, handler: "Handler", sock: Any) -> None:
        self._handler, self._sock, self._server = handler, sock, handler.server
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(sock.fileno(), READ)
        self._drained = False  # True: nothing is left in the reader's buffer, and what comes is received here
        self._first_reader = handler.rfile  # held: one that is collected closes the socket
        self.owed = False  # an answer
        self._closing = False  # it is the connection's last
        self._paid: Event | None = None  # made when somebody waits for that

    def next_bytes(self) -> bytes:
        """What begins the next request; empty where the connection ends. What is owed is sent before it returns."""
        try:
            seen: bytes = self._received() if self._drained else self._handler.rfile.peek(1)
        except (OSError, ValueError):
            seen = b""
        if self.owed:
            self._paid = Event()
            self._paid.wait()
        return seen

    def _received(self) -> bytes:
        while True:
            self._hub.wait(self._readable)
            try:
                received: bytes = self._sock._sock.recv(READ_BYTES)  # gevent's own would try before it waits
            except BlockingIOError:  # woken for nothing
                continue
            return received

    def body(self, hot: HotRequest, seen: bytes) -> bytes | None:
        """The request's body, maybe cut short; None where it took too long or the connection broke."""
        whole = hot.head_bytes + hot.body_bytes
        if self._drained:
            if len(seen) == whole:
                return seen[hot.head_bytes :]
            self.left(seen)
        if len(seen) >= whole:
            self._handler.rfile.read(whole)
            self._drained = len(seen) == whole
            return seen[hot.head_bytes : whole]
        try:
            with gevent.Timeout(REQUEST_S):
                read: bytes = self._handler.rfile.read(whole)
        except (gevent.Timeout, OSError):
            return None
        return read[hot.head_bytes :]

    def owe(self) -> Send:
        """An answer is under way: the function that sends it."""
        self._server.in_flight += 1
        self.owed = True
        return self._send

    def _send(self, head: bytes, payload: bytes) -> None:
        """The answer is there."""
        self._closing = self._server.draining
        self._server.outgoing.add(self, head + (CLOSE if self._closing else b"\r\n") + payload)

    def write(self, answer: bytes) -> None:
        """Send it, without waiting. What the socket doesn't take at once is sent by a greenlet of its own."""
        try:
            sent = self._sock._sock.send(answer)  # gevent's own send would first look whether it may wait
        except BlockingIOError:
            sent = 0
        except (OSError, AttributeError):  # the client, or the connection's own greenlet, has closed it
            self._pay()
            return
        if sent == len(answer):
            self._pay()
        else:
            gevent.spawn(self._send_rest, answer[sent:])

    def _send_rest(self, rest: bytes) -> None:
        try:
            self._sock.sendall(rest)  # patient, but not for ever: connections.py
        except OSError:
            self._closing = True
        self._pay()

    def _pay(self) -> None:
        self._server.in_flight -= 1
        self.owed = False
        self._server.connections.wait(self._sock)
        if self._closing:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)  # its greenlet, which waits for bytes, reads none
        if self._paid is not None:
            self._paid.set()
            self._paid = None

    def left(self, seen: bytes) -> None:
        """The request that `seen` begins goes the normal way, which reads for itself."""
        if self._drained:
            self._drained = False
            # As large as what was seen: a reader whose buffer holds less of it would look drained when it isn't.
            self._handler.rfile = io.BufferedReader(_Rest(seen, self._sock), max(io.DEFAULT_BUFFER_SIZE, len(seen)))

    def forget_reader(self) -> None:
        """The connection becomes a WebSocket, which reads for itself."""
        self._handler.rfile = self._first_reader = io.BufferedReader(io.BytesIO(), 1)

    def end(self) -> None:
        """The connection is over. They let go of each other, else they would wait for the collector."""
        self._readable.close()
        del self._handler, self._first_reader
