"""A bound on how long a thread waits for a database that hangs without closing its connections.

No time-out of PostgreSQL's helps against a server that was stopped or whose machine froze: the server itself would have
to notice, and the kernel goes on acknowledging packets. So a watcher shuts the socket down from our side; whoever is
blocked in the driver then fails like with any lost connection. What the server had received whole it may still do, so
a write that was cut may have been committed.
"""

import os
import threading
from _socket import socket as PlainSocket  # gevent's class would need an event loop in each thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

LOOK_EVERY_S = 0.1
HOLD, SOCKET = "leash_hold", "leash_socket"  # in a connection's `info`


class Hold:
    """One use of a connection, to read or to write, and until when it may last."""

    def __init__(self, monotonic: Callable[[], float], seconds: float, writes: bool = False):
        self._monotonic, self._seconds, self.writes = monotonic, seconds, writes
        self._info: dict[str, Any] = {}
        self.until = monotonic() + seconds
        self.socket: PlainSocket | None = None  # unknown while the pool still looks for a connection that lives

    @property
    def over(self) -> bool:
        """True if the time is over."""
        return self._monotonic() >= self.until

    def on(self, link: sa.Connection) -> None:
        """The connection that is used from now on."""
        self.on_pooled(link.connection)

    def on_pooled(self, link: sa.PoolProxiedConnection) -> None:
        """The same, for one that comes straight from the pool."""
        self._info = link.info
        self.socket = self._info.get(SOCKET)
        self._info[HOLD] = self

    def off(self) -> None:
        """The use is over; another may have the connection already."""
        if self._info.get(HOLD) is self:
            del self._info[HOLD]

    def renew(self) -> None:
        """Something came: the time begins anew."""
        self.until = self._monotonic() + self._seconds


def renew(link: sa.Connection) -> None:
    """For who reads a long answer in portions: the time of the hold on `link`, if there is one, begins anew."""
    hold = link.connection.info.get(HOLD)
    if hold is not None:
        hold.renew()


def read_is_over(info: dict[str, Any]) -> bool:
    """True if the connection of this `info` is held for a read whose time is over."""
    hold = info.get(HOLD)
    return hold is not None and not hold.writes and hold.over


class Leash:
    """Watches the connections of one engine. Without `start` it bounds nothing."""

    def __init__(self, monotonic: Callable[[], float]):
        self._monotonic = monotonic
        self._holds: dict[int, Hold] = {}
        self._sockets: dict[int, PlainSocket] = {}
        self._mine = threading.local()
        self._stopped = threading.Event()

    def watch_over(self, engine: sa.Engine) -> None:
        """From now on, know the sockets of this engine's connections."""
        event.listen(engine, "do_connect", self._refuse_late)
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "close", self._closed)

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="leash", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    @contextmanager
    def hold(self, seconds: float, writes: bool = False) -> Iterator[Hold]:
        """Around every use of a connection, from before it is asked for."""
        hold = Hold(self._monotonic, seconds, writes)
        before, self._mine.hold = getattr(self._mine, "hold", None), hold
        self._holds[id(hold)] = hold
        try:
            yield hold
        finally:
            hold.off()
            del self._holds[id(hold)]
            self._mine.hold = before

    def look(self) -> None:
        """Cut what is over its time."""
        for hold in list(self._holds.values()):
            if hold.over:
                for socket in [hold.socket] if hold.socket else self._unheld():
                    with suppress(OSError):  # closed already
                        socket.shutdown(SHUT_RDWR)

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            self.look()

    def _unheld(self) -> list[PlainSocket]:
        # A hold without a connection tries those of the pool; if one hangs, all that lie there are as suspect.
        held = {id(hold.socket) for hold in list(self._holds.values())}
        return [socket for socket in list(self._sockets.values()) if id(socket) not in held]

    def _refuse_late(self, dialect: Any, *_: Any) -> None:
        # The pool opens a new connection where an old one is dead; that would wait for connect_timeout once more.
        hold = getattr(self._mine, "hold", None)
        if hold is not None and hold.over:
            raise dialect.loaded_dbapi.OperationalError("no time is left for a new connection")

    def _opened(self, connection: Any, record: Any) -> None:
        # A descriptor of our own: the connection's number may be another file's by the time that we use it.
        socket = PlainSocket(fileno=os.dup(connection.fileno()))
        record.info[SOCKET] = self._sockets[id(connection)] = socket

    def _closed(self, connection: Any, _record: Any) -> None:
        socket = self._sockets.pop(id(connection), None)
        if socket is not None:
            socket.close()
