"""The clients' connections: how many may be open, and how long a client may leave an answer unread.

A server that counts requests alone is filled by clients that send none, or that read no answer: each costs a
descriptor, a greenlet and its answer's bytes for as long as it likes.
"""

import contextlib
import errno
import resource
import socket
import struct
import time
from collections import OrderedDict
from typing import Any

from gevent.socket import socket as GeventSocket
from gevent.socket import wait_write

STALL_S = 30.0  # a client that takes not one byte of its answer for so long is gone
RESERVED = 256  # descriptors kept for the listener, databases, Redis, logs and upstreams
MAX_LINGERING = 100  # refused clients that get a moment to read why
WARN_EVERY_S = 60.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on closing, the kernel keeps nothing that the client did not take


class PatientSocket(GeventSocket):  # type: ignore[misc]  # gevent carries no types
    """A client's socket. Writing waits `STALL_S` at most for a client that takes nothing, and then cuts it off."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send everything. Raises OSError; EPIPE, as for a client that left, if it stopped reading."""
        if self.timeout is not None:  # whoever sets one has a bound of its own
            super().sendall(data, flags)
            return
        view, stalled = memoryview(data).cast("B"), False
        while view:
            try:
                view, stalled = view[self._sock.send(view, flags) :], False
            except BlockingIOError:
                if stalled:
                    self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    raise BrokenPipeError(errno.EPIPE, "the client reads nothing") from None
                stalled = self._full_for(STALL_S)

    def _full_for(self, seconds: float) -> bool:
        """Wait for room. True: not enough came to be told of, which Linux does when a third is free: try once more."""
        try:
            wait_write(self.fileno(), seconds, _Full())
        except _Full:
            return True
        return False


class _Full(Exception):
    """The socket's buffer stayed full."""


class Connections:
    """Those that are open, `limit` at most. One more than that and the longest idle is closed to make room."""

    def __init__(self, limit: int, logger: Any) -> None:
        self.limit, self.lingering, self.refused = limit, 0, 0
        self._logger = logger
        self._open: set[Any] = set()
        self._idle: OrderedDict[Any, float] = OrderedDict()  # since when, in this order
        self._warned_at = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, link: Any) -> bool:
        """Count a new connection. False: all are busy, and it may not stay."""
        if len(self._open) >= self.limit and not self._make_room():
            self.refused += 1
            self._warn()
            return False
        self._open.add(link)
        return True

    def wait(self, link: Any) -> None:
        """From now on it waits for its client's next request."""
        if link in self._open:
            self._idle.pop(link, None)
            self._idle[link] = time.monotonic()

    def begin(self, link: Any) -> None:
        """The first byte of a request has come."""
        self._idle.pop(link, None)

    def leave(self, link: Any) -> None:
        """It is closed, or no longer HTTP. A second call does nothing."""
        self._open.discard(link)
        self._idle.pop(link, None)

    def close_idle(self, seconds: float) -> None:
        """Close those that have waited longer than that; a look a second spares each request a timer of its own."""
        longest = time.monotonic() - seconds
        while self._idle and next(iter(self._idle.values())) < longest:
            self._close_longest_idle()

    def _make_room(self) -> bool:
        if not self._idle:
            return False
        self._close_longest_idle()
        return True

    def _close_longest_idle(self) -> None:
        link, _ = self._idle.popitem(last=False)
        self._open.discard(link)
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)  # its handler reads the end, and closes

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._warned_at > WARN_EVERY_S:
            self._warned_at = now
            self._logger.warning("%d connections are open and busy, no more are taken: MAX_CONNECTIONS", self.limit)


def room_for_connections() -> int:
    """How many descriptors connections may take, HTTP and WebSockets together; raises the soft limit to the hard one.

    Where a limit of 1,024 was left as it came, a thousand clients would leave none to open the database with.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS names a hard limit that it doesn't grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(RESERVED, (1_000_000 if soft == resource.RLIM_INFINITY else soft) - RESERVED)
