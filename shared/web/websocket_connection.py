"""An open WebSocket connection, the server's end: messages in, frames out, the closing handshake.

Works on plain sockets with threads and, where gevent has patched the process, on gevent's with greenlets.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from shared.websocket_frames import (
    DEFAULT_MAX_BYTES,
    CloseCode,
    FrameParser,
    Message,
    Opcode,
    ProtocolError,
    encode_close,
    encode_frame,
)

SEND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0  # how long the peer may take to answer our Close frame
READ_BYTES = 65_536
DRAIN_MAX_BYTES = 1_000_000


class WebSocketClosed(ConnectionError):
    """The connection has ended, so nothing can be sent any more."""


class WebSocket:
    """One open connection. Any thread or greenlet may send and close; one at a time may receive.

    `last_pong_at` is when the peer last answered a ping (`time.monotonic()`; at first, when it connected).
    `close_code` is None while open, then what the peer closed with: 1006 if it went without a word, the code of our
    own Close frame if it broke the protocol.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        max_message_bytes: int = DEFAULT_MAX_BYTES,
        send_timeout_s: float = SEND_TIMEOUT_S,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        self._socket = sock
        self._send_timeout_s = send_timeout_s
        self._close_timeout_s = close_timeout_s
        # Never None: the receiver changes it while others send; a blocking socket could hold a sender for ever.
        self._socket.settimeout(min(send_timeout_s, close_timeout_s))
        self._parser = FrameParser(masked=True, max_message_bytes=max_message_bytes)
        self._pending: Iterator[Message] = iter(())
        self._send_lock = threading.Lock()
        # Everything that leaves goes through here, so that what waits and what blocks never mix within a frame.
        self._unsent: deque[memoryview] = deque()
        self._behind_since: float | None = None
        # The descriptor while `post` may write to it at once: open, nothing kept, nobody sending. One number to look at
        # for each client and tick, since what is looked at has to come from memory: with 200 clients that were not
        # looked at for 10 ms, five attributes cost as much as a fifth of the system call.
        self._free_fd = sock.fileno()
        self._receive_lock = threading.Lock()
        self._close_sent_at: float | None = None
        self._broken = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.last_pong_at = time.monotonic()
        # Told of each ping and pong that comes in (a server may count them, or check the payload); must not block.
        self.on_control: Callable[[Message], None] | None = None

    @property
    def closed(self) -> bool:
        """True once either side has begun to close, or the connection is lost."""
        return self._broken or self._close_sent_at is not None or self.close_code is not None

    def receive(self, timeout_s: float | None = None) -> str | bytes | None:
        """The next message (str or bytes), or None once the connection has ended; pings are answered on the way.

        Raises TimeoutError when nothing came within `timeout_s`; the connection stays as it was.
        """
        with self._receive_lock:
            deadline = None if timeout_s is None else time.monotonic() + timeout_s
            while self.close_code is None:
                message = self._next_message(deadline)
                if message is None:
                    continue
                if message.opcode in (Opcode.TEXT, Opcode.BINARY):
                    return message.data
                self._control(message)
            return None

    def send_text(self, text: str | bytes) -> None:
        """Send one text message; bytes must be UTF-8. Raises WebSocketClosed; blocks `send_timeout_s` at most."""
        self.send_frame(encode_frame(Opcode.TEXT, text))

    def send_frame(self, frames: bytes) -> None:
        """Send ready bytes: one frame or several joined. Raises WebSocketClosed."""
        with self._send_lock:
            if self._close_sent_at is not None:
                raise WebSocketClosed("the connection is closing")
            self._write(frames)

    def post(self, frames: bytes) -> bool:
        """Send ready bytes without waiting: what the kernel doesn't take now is kept, in order, for `flush`.

        True when nothing is left. Never blocks, never raises; on a connection that has ended it does nothing. The bytes
        are kept by reference, so one blob that many slow peers wait for is held once. Any greenlet may call it beside
        other senders; of real threads only one may send by whatever way, since this takes no lock: taking one that
        is free costs 0.5 to 0.9 µs under gevent, a tenth of all that a send costs.
        """
        fd = self._free_fd
        if fd < 0:
            return self._keep(frames)
        try:
            # Not the socket's `send`, which waits first where the socket has a time-out.
            sent = os.write(fd, frames)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return True
        if sent == len(frames):
            return True
        return self._keep(memoryview(frames)[sent:])

    def _keep(self, frames: bytes | memoryview) -> bool:
        if self._broken or self._close_sent_at is not None:
            return True
        self._free_fd = -1
        self._unsent.append(memoryview(frames))
        return self.flush()

    def flush(self) -> bool:
        """Send what `post` had to keep, as far as the kernel takes it now; True when nothing is left."""
        if not self._send_lock.acquire(blocking=False):
            return False  # somebody waits for the peer with a frame of his own; what is kept goes with it
        try:
            while self._unsent and not self._broken:
                self._forget(os.write(self._socket.fileno(), self._unsent[0]))
            self._all_sent()
        except BlockingIOError:
            self._behind_since = self._behind_since or time.monotonic()
        except OSError:
            self.abort()
        finally:
            self._send_lock.release()
        return self._broken or not self._unsent

    @property
    def unsent(self) -> bool:
        """Whether something is kept for a peer that doesn't read fast enough."""
        return bool(self._unsent)

    @property
    def unsent_bytes(self) -> int:
        """How much is kept for a peer that doesn't read fast enough."""
        return sum(map(len, self._unsent))

    @property
    def behind_s(self) -> float:
        """For how long something has been kept without a break; 0 when nothing is."""
        since = self._behind_since
        return time.monotonic() - since if since is not None and self._unsent else 0.0

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life; the answer shows in `last_pong_at`. Raises WebSocketClosed."""
        self.send_frame(encode_frame(Opcode.PING, payload))

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Begin to close; returns at once and never raises. `receive` gives None when the peer has answered."""
        with self._send_lock:
            if self._close_sent_at is not None or self._broken:
                return
            try:
                self._write(encode_close(code, reason))
            except WebSocketClosed:
                return
            self._close_sent_at = time.monotonic()
            self._free_fd = -1

    def abort(self) -> None:
        """End the connection without a word, at once: for a peer that doesn't read. Wakes sender and receiver."""
        self._broken = True
        self._free_fd = -1  # before the descriptor can be another's
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer was faster

    def finish(self) -> None:
        """Close properly: send Close unless sent, wait a bounded time for the peer's, then end the connection."""
        self.close()
        deadline = time.monotonic() + self._close_timeout_s
        if self._receive_lock.acquire(timeout=self._close_timeout_s):
            try:
                self._await_end(deadline)
            finally:
                self._receive_lock.release()
        self.abort()

    def _await_end(self, deadline: float) -> None:
        """Read on until the peer ends: closing with unread bytes resets the connection and loses our last frames."""
        unread = DRAIN_MAX_BYTES
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while unread > 0 and (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                chunk = self._socket.recv(READ_BYTES)
                if not chunk:
                    return
                unread -= len(chunk)
                self._note_close(chunk)
        except OSError:
            return

    def _note_close(self, chunk: bytes) -> None:
        if self.close_code is not None:
            return
        try:
            for message in self._parser.feed(chunk):
                if message.opcode is Opcode.CLOSE:
                    self.close_code, self.close_reason = message.close_code, str(message.data)
        except ProtocolError as error:
            self.close_code = error.close_code

    def _next_message(self, deadline: float | None) -> Message | None:
        try:
            message = next(self._pending, None)
            if message is None:
                self._pending = self._parser.feed(self._read(deadline))
        except ProtocolError as error:
            self.close(error.close_code, error.reason)
            self.close_code, self.close_reason = error.close_code, error.reason
            return None
        return message

    def _read(self, deadline: float | None) -> bytes:
        """What the socket has, b"" after a while without; sets `close_code` when the connection is lost."""
        now = time.monotonic()
        wait_s = min(self._send_timeout_s, self._close_timeout_s)
        if self._close_sent_at is not None and now - self._close_sent_at > self._close_timeout_s:
            self.close_code = CloseCode.ABNORMAL
            return b""
        if deadline is not None:
            if now >= deadline:
                raise TimeoutError("no message in time")
            wait_s = min(wait_s, deadline - now)
        try:
            self._socket.settimeout(max(wait_s, 0.001))
            chunk = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return b""
        except OSError:
            chunk = b""
        if not chunk:
            self._broken = True
            self.close_code = CloseCode.ABNORMAL
        return chunk

    def _control(self, message: Message) -> None:
        if self.on_control is not None and message.opcode is not Opcode.CLOSE:
            self.on_control(message)
        if message.opcode is Opcode.PONG:
            self.last_pong_at = time.monotonic()
        elif message.opcode is Opcode.PING:
            try:
                self.send_frame(encode_frame(Opcode.PONG, message.data))
            except WebSocketClosed:
                return  # already closing; the peer's Close frame or the end of the stream comes next
        else:
            # The echo first: whoever sees `close_code` may end the connection.
            self.close(message.close_code or CloseCode.NO_STATUS)
            self.close_code, self.close_reason = message.close_code, str(message.data)

    def _write(self, data: bytes) -> None:
        """Send it after what is kept. The socket's time-out is the receiver's business, so the bound is here."""
        if self._broken:
            raise WebSocketClosed("the connection is lost")
        deadline = time.monotonic() + self._send_timeout_s
        self._free_fd = -1
        self._unsent.append(memoryview(data))
        while self._unsent:
            try:
                self._forget(self._socket.send(self._unsent[0]))
                continue
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
            except OSError:
                pass  # handled as the time-out is: the connection is of no more use
            self.abort()
            raise WebSocketClosed("the peer is gone or does not read")
        self._all_sent()

    def _all_sent(self) -> None:
        self._behind_since = None
        if not self._broken and self._close_sent_at is None:
            self._free_fd = self._socket.fileno()

    def _forget(self, sent: int) -> None:
        if sent == len(self._unsent[0]):
            self._unsent.popleft()
        else:
            self._unsent[0] = self._unsent[0][sent:]
