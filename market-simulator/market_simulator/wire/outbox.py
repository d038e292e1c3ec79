"""What leaves one socket: frames in order, joined while the socket is busy, never more than a bound in memory."""

from typing import Protocol

from gevent.event import Event

from shared.web.websocket import WebSocketClosed

MAX_PENDING_BYTES = 8_000_000  # a whole book, as seams and repricings send it, is 0.17 MB; a crash sends 4 a second


class Connection(Protocol):
    """The parts of shared.web.websocket.WebSocket used here."""

    def send_frame(self, frames: bytes) -> None: ...
    def close(self, code: int = 1000, reason: str = "") -> None: ...
    def abort(self) -> None: ...


class Outbox:
    """`push` never blocks; a greenlet in `run` writes. What waits longer than its reader deserves ends the socket."""

    def __init__(self, connection: Connection, most_bytes: int = MAX_PENDING_BYTES):
        self._connection = connection
        self._most_bytes = most_bytes
        self._frames: list[bytes] = []
        self._bytes = 0
        self._wake = Event()
        self._ending: tuple[int, str] | None = None
        self.overflowed = False
        self.frames_sent = 0

    def push(self, frame: bytes) -> None:
        """Queue one ready frame. Over the bound the connection is aborted: its client does not read."""
        if self._ending is not None or self.overflowed:
            return
        self._bytes += len(frame)
        if self._bytes > self._most_bytes:
            self.overflowed = True
            self._frames.clear()
            self._connection.abort()
            self._wake.set()
            return
        self._frames.append(frame)
        if len(self._frames) == 1:
            self._wake.set()

    def end(self, code: int, reason: str) -> None:
        """Close the connection once everything queued has left."""
        if self._ending is None:
            self._ending = (code, reason)
            self._wake.set()

    def run(self) -> None:
        """Write until the connection ends. The frames of one tick leave in one system call."""
        try:
            while not self.overflowed:
                self._wake.wait()
                self._wake.clear()
                frames, self._frames = self._frames, []
                if frames:
                    data = b"".join(frames)
                    self._connection.send_frame(data)
                    self._bytes -= len(data)
                    self.frames_sent += len(frames)
                if self._ending is not None and not self._frames:
                    self._connection.close(*self._ending)
                    return
        except WebSocketClosed:
            return
