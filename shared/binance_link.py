"""One open connection to Binance's streams: messages in, commands and control frames out. Its owner reads it.

websocket-client opens it (URL, TLS, proxy, handshake); frames are taken from its socket by the fleet's own reader.
"""

import os
import re
import threading
from typing import Any

import orjson
import websocket

from shared.binance_subscriptions import Subscriptions
from shared.clock import Clock
from shared.websocket_frames import CloseCode, Message, Opcode, ProtocolError, encode_close, encode_frame
from shared.websocket_reader import FrameReader

CONNECT_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 5.0
MAX_MESSAGE_BYTES = 16_000_000  # all-market arrays have about one
# How nearly all messages begin; others are looked at more closely: answers, all-market arrays, `!serverShutdown`, other
# orders of keys. One pattern over a list costs half of what a function call a message would.
is_data = re.compile(rb'\{"stream":"[^!]').match


class Lost(Exception):
    """This connection is over; the next follows, at once if it ended by plan."""

    def __init__(self, reason: str, *, planned: bool = False) -> None:
        super().__init__(reason)
        self.planned = planned


def connect(url: str) -> Any:
    """The open WebSocket. Raises Lost after `CONNECT_TIMEOUT_S` at most."""
    try:
        return websocket.create_connection(url, timeout=CONNECT_TIMEOUT_S, suppress_origin=True)
    except (OSError, websocket.WebSocketException, ValueError) as error:
        raise Lost(f"can't connect: {type(error).__name__}: {error}"[:200]) from error


class Link:
    """A connection with its own account of what it is subscribed to; one thread uses it, so TLS needs no lock.

    `lock` guards `subscriptions`, which others change. `ending` turns true when the server has announced its end.
    """

    def __init__(
        self, opened: Any, subscriptions: Subscriptions, lock: threading.Lock, clock: Clock, idle_timeout_s: float
    ) -> None:
        self._opened, self._socket = opened, opened.sock
        self.subscriptions, self._lock = subscriptions, lock
        self._clock, self._idle_timeout_s = clock, idle_timeout_s
        self._reader = FrameReader(MAX_MESSAGE_BYTES)
        self.opened_at = self._heard_at = self._pinged_at = clock.monotonic()
        self.ending = False
        self._closed: Lost | None = None  # raised by the call after the one that gave the last messages
        with lock:
            subscriptions.restart(self.opened_at)

    def receive(self, wait_s: float) -> list[bytes]:
        """The data messages that came within `wait_s`; commands that are due are sent before.

        Raises Lost when the connection is over: closed, broken, silent for too long, or commands without an answer.
        """
        if self._closed is not None:
            raise self._closed
        try:
            self._keep_up(self._clock.monotonic())
            self._socket.settimeout(wait_s)
            try:
                messages = self._reader.receive(self._socket)
            except TimeoutError:
                return []
            if messages is None:
                raise ConnectionResetError("end of stream")
            self._heard_at = self._clock.monotonic()
            if not all(map(is_data, messages)):
                messages = [text for text in messages if self._is_data(text)]
            for message in self._reader.others:
                self._take(message)
            self._reader.others.clear()
            return messages
        except ProtocolError as error:
            raise Lost(f"the exchange broke the protocol: {error.reason}") from error
        except OSError as error:
            raise Lost(f"connection lost: {type(error).__name__}") from error

    def close(self) -> None:
        """Say goodbye if that is still possible, and end it."""
        try:
            self._send(encode_close(CloseCode.NORMAL, "", os.urandom(4)))
        except OSError:
            pass  # it is over anyway
        finally:
            self._opened.shutdown()

    @property
    def is_settled(self) -> bool:
        """Whether every command has been sent and answered."""
        with self._lock:
            return self.subscriptions.is_settled

    def _keep_up(self, now: float) -> None:
        """Send the command that is due; ping after half of the idle time-out in silence, give up after all of it."""
        with self._lock:
            command = self.subscriptions.next_command(now)
            overdue = self.subscriptions.is_overdue(now)
        if overdue:
            raise Lost("no answer to a command")
        if command is not None:
            self._send(encode_frame(Opcode.TEXT, command, os.urandom(4)))
        silent_s = now - self._heard_at
        if silent_s > self._idle_timeout_s:
            raise Lost(f"silent for {silent_s:.0f} s")
        if silent_s > self._idle_timeout_s / 2 and self._pinged_at <= self._heard_at:
            self._pinged_at = now
            self._send(encode_frame(Opcode.PING, b"", os.urandom(4)))

    def _take(self, message: Message) -> None:
        """A control frame; binary ones mean nothing here."""
        if message.opcode is Opcode.PING:
            self._send(encode_frame(Opcode.PONG, message.data, os.urandom(4)))
        elif message.opcode is Opcode.CLOSE:
            self._send(encode_close(message.close_code, "", os.urandom(4)))
            self._closed = Lost(f"closed by the exchange: {message.close_code} {message.data!s}")

    def _is_data(self, text: bytes) -> bool:
        """False for the answer to a command, the announced end of the server, garbage (it shows as silence)."""
        try:
            document: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(document, dict):
            return False
        data = document.get("data", document)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            self.ending = True
            return False
        if "result" in document or "error" in document or "code" in document:
            with self._lock:
                self.subscriptions.take_answer(document)
        return "stream" in document

    def _send(self, frame: bytes) -> None:
        self._socket.settimeout(SEND_TIMEOUT_S)
        self._socket.sendall(frame)
