"""Connections to one service that are kept for the next request.

http.client alone, with no pool library above it: that took half of what a forwarded call cost (575 µs, this 300).
"""

import fcntl
import termios
from collections import deque
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from urllib3.util import wait_for_read

CONNECT_S = 1.0
MAX_KEPT = 64  # idle connections of a service
NOTHING = bytes(4)  # an int of 0


class NotConnected(OSError):
    """Nobody took the connection."""


class Links:
    """Those of the service at `url`; the one that was used last is taken first. For greenlets, not for threads."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._idle: deque[HTTPConnection] = deque(maxlen=MAX_KEPT)

    def kept(self) -> HTTPConnection | None:
        """One that was used before; it may be broken by now.

        None on which the service has said something since: that would be taken for the answer to the next request.
        """
        while self._idle:
            link = self._idle.pop()
            if fcntl.ioctl(link.sock.fileno(), termios.FIONREAD, NOTHING) == NOTHING:
                return link
            link.close()
        return None

    def kept_open(self) -> HTTPConnection | None:
        """The same, but none on which the service has already closed its side."""
        while link := self.kept():
            if not wait_for_read(link.sock, 0.0):
                return link
            link.close()
        return None

    def new(self) -> HTTPConnection:
        """Raises NotConnected."""
        link = self._kind(self._host, self._port, timeout=CONNECT_S)
        try:
            link.connect()
        except OSError as error:
            raise NotConnected(str(error)) from error
        return link

    def keep(self, link: HTTPConnection) -> None:
        """For the next request, unless the service closes it."""
        if link.sock is None:
            return
        if len(self._idle) == MAX_KEPT:
            self._idle.popleft().close()
        self._idle.append(link)

    def close(self) -> None:
        """Those that are idle."""
        while link := self.kept():
            link.close()
