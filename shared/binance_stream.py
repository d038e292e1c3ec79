"""Binance's market streams: one connection, many streams, kept alive (binance-spot-api-docs, web-socket-streams.md).

websocket-client opens it (URL, TLS, proxy, handshake); frames are taken from its socket by the fleet's own codec.
One thread reads, sends and reconnects; under gevent it is a greenlet. There is no replay: after `on_state(True)` that
follows a loss, whoever needs what was missed asks by REST.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import websocket

from shared.binance_subscriptions import Subscriptions
from shared.clock import Clock, SystemClock
from shared.websocket_frames import CloseCode, FrameParser, Message, Opcode, ProtocolError, encode_close, encode_frame

MAX_AGE_S = 23 * 3600.0  # the exchange closes after 24 h; going first picks the moment
CONNECT_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 5.0
IDLE_TIMEOUT_S = 10.0  # without a byte; half of it brings a ping, which any living server answers
WAKE_S = 0.1  # how long a wish, or stop(), waits for a silent connection
# Full jitter: before try n a random wait of up to BACKOFF_S * 2**n. The exchange allows one connection a second, and
# who waits for prices shouldn't wait on after it is back.
BACKOFF_S, MAX_BACKOFF_S = 0.5, 5.0
NEVER = float("inf")
NOT_YET, STOPPED = "not started", "stopped"  # reasons of being away that are no fault
STEADY_S = 5.0  # a connection that held this long starts the backoff anew
READ_BYTES = 262_144
MAX_MESSAGE_BYTES = 16_000_000  # all-market arrays have about one
DATA_START, CONTROL_START = b'{"stream":"', b'{"stream":"!serverShutdown'

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StreamCounts:
    """What happened since the start."""

    connects: int = 0
    messages: int = 0
    bytes: int = 0
    failed_callbacks: int = 0

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(0, self.connects - 1)


class _Lost(Exception):
    """This connection is over; the next follows, at once if it ended by plan."""

    def __init__(self, reason: str, *, planned: bool = False) -> None:
        super().__init__(reason)
        self.planned = planned


class BinanceStream:
    """Streams in combined mode: `on_message(frame)` gets each `{"stream": …, "data": …}` as bytes, answers to commands
    excepted; `on_state(connected)` each change, with `reason` saying why. Both are called from the stream's own thread,
    must not block, and may fail without harm to the stream.

    `url` carries no stream path (`wss://stream.binance.com:9443`); `path` is `/stream` on spot, `/market/stream` or
    `/public/stream` on futures. Wishes may be uttered before `start` and at any time after, from any thread.
    """

    def __init__(
        self,
        url: str,
        on_message: Callable[[bytes], None],
        on_state: Callable[[bool], None] = lambda _connected: None,
        clock: Clock | None = None,
        *,
        path: str = "/stream",
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._url = url.rstrip("/") + path
        self._on_message, self._on_state = on_message, on_state
        self._clock = clock or SystemClock()
        self._idle_timeout_s, self._max_age_s = idle_timeout_s, max_age_s
        self._subscriptions = Subscriptions()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._renew = threading.Event()
        self._thread: threading.Thread | None = None
        self._opened_at = NEVER  # when the present connection was reached
        self.counts = StreamCounts()
        self.connected = False
        self.reason = NOT_YET

    def subscribe(self, names: Iterable[str]) -> None:
        """Want these streams (`btcusdt@trade`), now and on every later connection. An unknown symbol stays silent, a
        malformed name is logged and dropped. Raises InvalidInput past 1024 streams."""
        with self._lock:
            self._subscriptions.add(names)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Want these streams no longer; a few of their frames may still come."""
        with self._lock:
            self._subscriptions.remove(names)

    @property
    def streams(self) -> list[str]:
        """What is wanted."""
        with self._lock:
            return list(self._subscriptions.wanted)

    def start(self) -> None:
        """Connect in the background, for ever again whenever the connection is lost; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="binance-stream", daemon=True)
            self._thread.start()

    def reconnect(self) -> None:
        """Drop the connection and open another at once (it is open, but silent)."""
        self._renew.set()

    def stop(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Close and wait for the thread, `timeout_s` at most. A stopped stream can't be started again."""
        self._stopping.set()
        self._renew.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._renew.clear()
            self._opened_at, planned = NEVER, False
            try:
                self._serve_one_connection()
            except _Lost as lost:
                planned = lost.planned
                self._set_state(False, str(lost))
            except Exception as error:  # whatever it is, the stream must go on
                log.exception("the stream failed")
                self._set_state(False, f"failed: {type(error).__name__}")
            held = self._clock.monotonic() - self._opened_at >= STEADY_S
            failures = 0 if held else failures + 1
            # A server that announces its end to each newcomer must not be stormed: at once is only the first try.
            if not (planned and failures <= 1):
                self._renew.wait(random.uniform(0, min(MAX_BACKOFF_S, BACKOFF_S * 2**failures)))
        self._set_state(False, STOPPED)

    def _serve_one_connection(self) -> None:
        """Until it ends, which raises _Lost; or until stop()."""
        try:
            opened = websocket.create_connection(self._url, timeout=CONNECT_TIMEOUT_S, suppress_origin=True)
        except (OSError, websocket.WebSocketException, ValueError) as error:
            raise _Lost(f"can't connect: {type(error).__name__}: {error}"[:200]) from error
        connection = _Connection(opened.sock, self._clock)
        try:
            with self._lock:
                self._subscriptions.restart(self._clock.monotonic())
            self.counts.connects += 1
            self._opened_at = self._clock.monotonic()
            self._set_state(True, "connected")
            while not self._stopping.is_set():
                self._turn(connection)
            connection.send(encode_close(CloseCode.NORMAL, "", os.urandom(4)))
        except ProtocolError as error:
            raise _Lost(f"the exchange broke the protocol: {error.reason}") from error
        except OSError as error:
            raise _Lost(f"connection lost: {type(error).__name__}") from error
        finally:
            opened.shutdown()  # type: ignore[no-untyped-call]  # the library is typed in part

    def _turn(self, connection: "_Connection") -> None:
        now = self._clock.monotonic()
        if self._renew.is_set() and not self._stopping.is_set():
            raise _Lost("asked to reconnect", planned=True)
        if now - connection.opened_at > self._max_age_s:
            raise _Lost("planned before the exchange's 24 h", planned=True)
        with self._lock:
            command = self._subscriptions.next_command(now)
            overdue = self._subscriptions.is_overdue(now)
        if overdue:
            raise _Lost("no answer to a command")
        if command is not None:
            connection.send(encode_frame(Opcode.TEXT, command, os.urandom(4)))
        connection.keep_alive(now, self._idle_timeout_s)
        for message in connection.receive():
            self._take(connection, message)

    def _take(self, connection: "_Connection", message: Message) -> None:
        data = message.data
        if message.opcode is Opcode.TEXT and isinstance(data, bytes):
            self.counts.messages += 1
            self.counts.bytes += len(data)
            if data.startswith(DATA_START) and not data.startswith(CONTROL_START):
                self._deliver(data)
            else:
                self._take_other(data)
        elif message.opcode is Opcode.PING:
            connection.send(encode_frame(Opcode.PONG, data, os.urandom(4)))
        elif message.opcode is Opcode.CLOSE:
            connection.send(encode_close(message.close_code, "", os.urandom(4)))
            raise _Lost(f"closed by the exchange: {message.close_code} {data!s}")

    def _take_other(self, text: bytes) -> None:
        """The answer to a command, the announced end of the server, or data in an unusual order of keys."""
        try:
            document: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return  # garbage: what it hides shows as silence
        if not isinstance(document, dict):
            return
        data = document.get("data", document)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            raise _Lost("the server announced its end", planned=True)
        if "stream" in document:
            self._deliver(text)
        elif "result" in document or "error" in document or "code" in document:
            with self._lock:
                self._subscriptions.take_answer(document)

    def _deliver(self, text: bytes) -> None:
        try:
            self._on_message(text)
        except Exception:
            self.counts.failed_callbacks += 1
            if self.counts.failed_callbacks <= 3:  # not per message: that would fill the disk
                log.exception("on_message failed")

    def _set_state(self, connected: bool, reason: str) -> None:
        # The first attempt's failure counts as a change: somebody waits for it.
        changed = connected is not self.connected or (self.reason == NOT_YET and not connected)
        self.connected, self.reason = connected, reason
        if not changed:
            return
        try:
            self._on_state(connected)
        except Exception:
            self.counts.failed_callbacks += 1
            log.exception("on_state failed")


class _Connection:
    """The open socket with its parser; one thread uses it, so TLS needs no lock."""

    def __init__(self, sock: Any, clock: Clock) -> None:
        self._socket, self._clock = sock, clock
        self._parser = FrameParser(masked=False, max_message_bytes=MAX_MESSAGE_BYTES, text_as_bytes=True)
        self.opened_at = self._heard_at = clock.monotonic()
        self._pinged_at = self.opened_at
        sock.settimeout(WAKE_S)

    def receive(self) -> Iterable[Message]:
        """What came within `WAKE_S`. Raises OSError at the end of the stream, ProtocolError for what must not come."""
        try:
            chunk = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return ()
        if not chunk:
            raise ConnectionResetError("end of stream")
        self._heard_at = self._clock.monotonic()
        return self._parser.feed(chunk)

    def send(self, frame: bytes) -> None:
        """All of it. Raises OSError."""
        self._socket.settimeout(SEND_TIMEOUT_S)
        self._socket.sendall(frame)
        self._socket.settimeout(WAKE_S)

    def keep_alive(self, now: float, idle_timeout_s: float) -> None:
        """Raise _Lost after `idle_timeout_s` without a byte; ping once at half of it."""
        silent_s = now - self._heard_at
        if silent_s > idle_timeout_s:
            raise _Lost(f"silent for {silent_s:.0f} s")
        if silent_s > idle_timeout_s / 2 and self._pinged_at <= self._heard_at:
            self._pinged_at = now
            self.send(encode_frame(Opcode.PING, b"", os.urandom(4)))
