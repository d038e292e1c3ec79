"""One client's socket: its subscriptions, its commands, its limits (binance-wire.md 3)."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import orjson

from market_simulator.wire.commands import Command, CommandError, parse_command
from market_simulator.wire.hub import Form, Hub
from market_simulator.wire.limits import STREAMS_PER_CONNECTION, MessageRate, Rules
from market_simulator.wire.outbox import Outbox
from market_simulator.wire.streams import Channel, MalformedStream
from shared.websocket_frames import Opcode, encode_frame

POLICY = 1008
INVALID_STREAM = "Invalid request: invalid stream"
_numbers = itertools.count(1)


class Session:
    """A connection. `carries`: whether its route serves a channel; others are accepted and stay silent.

    Rules that aren't limited lift the message rate (SIM_LIMITS); the bound on streams stays.
    """

    def __init__(
        self, hub: Hub, outbox: Outbox, address: str, now_s: float, *, rules: Rules, combined: bool = False,
        scale: int = 1, carries: Callable[[Channel], bool] = lambda _: True,
    ):  # fmt: skip
        self.id = next(_numbers)
        self.address = address
        self.opened_s = now_s
        self.outbox = outbox
        self.muted: set[str] = set()  # scenarios that silence it
        self.channels: dict[str, Channel] = {}  # by name, as subscribed
        self._hub = hub
        self._combined = combined
        self.scale = scale
        self._carries = carries
        self.rules = rules
        self._rate = MessageRate(rules.messages_a_second) if rules.limited else None
        self._pings: dict[bytes, None] = {}
        self.pinged_s = self.ponged_s = now_s

    def open_with(self, names: list[str]) -> None:
        """Subscribe to the names in the URL. What is no stream name there (ccxt's `/ws/0`) is an empty wish."""
        channels: dict[str, Channel] = {}
        for name in names:
            try:
                channels[name] = self._hub.dialect.parse(name)
            except MalformedStream:
                continue
        self._subscribe(channels)

    def on_message(self, text: str | bytes, now_s: float) -> None:
        """Carry out one command and answer it."""
        if not self.within_rate(now_s):
            return
        try:
            command = parse_command(text)
            document: dict[str, Any] = {"result": self._execute(command), "id": command.id}
        except CommandError as error:
            document = error.document(self.rules.nested_errors)
        self.send(document)

    def within_rate(self, now_s: float) -> bool:
        """Book one incoming message, control frames too. One too many ends the connection."""
        if self._rate is None or self._rate.allows(now_s):
            return True
        self.outbox.end(POLICY, "Too many requests")
        return False

    def send(self, document: dict[str, Any]) -> None:
        """Send an answer; answers are never wrapped."""
        self.outbox.push(encode_frame(Opcode.TEXT, orjson.dumps(document)))

    def send_data(self, frame: bytes) -> None:
        """Send one ready data frame, unless a scenario silences this socket."""
        if not self.muted:
            self.outbox.push(frame)

    def send_event(self, name: str, payload: dict[str, Any]) -> None:
        """Send an event of the connection itself, in the connection's own shape."""
        self.send({"stream": name, "data": payload} if self._combined else payload)

    def ping(self, now_s: float) -> None:
        """Send a ping whose payload only a true answer can know."""
        payload = str(time.time_ns() // 1_000_000).encode()
        self._pings[payload] = None
        self.pinged_s = now_s
        self.outbox.push(encode_frame(Opcode.PING, payload))

    def on_pong(self, payload: bytes, now_s: float) -> None:
        """Only a pong that echoes a ping keeps the connection alive."""
        if payload in self._pings:
            self._pings.clear()
            self.ponged_s = now_s

    def matches(self, symbol: str | None) -> bool:
        """Whether it listens to a symbol (None: any socket does)."""
        return symbol is None or any(channel.symbol == symbol for channel in self.channels.values())

    def close(self) -> None:
        """Forget its subscriptions; the socket itself is the lobby's."""
        self._unsubscribe(list(self.channels))

    def _execute(self, command: Command) -> Any:
        if command.method == "SUBSCRIBE":
            self._subscribe({name: self._parse(name, command) for name in command.names}, command)
        elif command.method == "UNSUBSCRIBE":
            names = [name for name in command.names if self._parse(name, command)]
            self._unsubscribe(names)
        elif command.method == "LIST_SUBSCRIPTIONS":
            return list(self.channels)
        elif command.method == "GET_PROPERTY":
            return self._combined
        else:
            self._set_combined(command.value)
        return None

    def _parse(self, name: str, command: Command) -> Channel:
        try:
            return self._hub.dialect.parse(name)
        except MalformedStream:
            raise CommandError(2, INVALID_STREAM, command.id) from None

    def _subscribe(self, channels: dict[str, Channel], command: Command | None = None) -> None:
        new = {name: channel for name, channel in channels.items() if name not in self.channels}
        if len(self.channels) + len(new) > STREAMS_PER_CONNECTION:
            error = CommandError(2, "Invalid request: too many subscriptions", command.id if command else None)
            raise error
        self.channels.update(new)
        self._register(new)

    def _unsubscribe(self, names: list[str]) -> None:
        gone = {name: channel for name in names if (channel := self.channels.pop(name, None))}
        for name, channel in gone.items():
            self._hub.remove(self, channel, self._form(name))

    def _set_combined(self, combined: bool) -> None:
        if combined == self._combined:
            return
        kept = dict(self.channels)
        self._unsubscribe(list(kept))
        self._combined = combined
        self.channels.update(kept)
        self._register(kept)

    def _register(self, channels: dict[str, Channel]) -> None:
        for name, channel in channels.items():
            if self._carries(channel):
                self._hub.add(self, channel, self._form(name))

    def _form(self, name: str) -> Form:
        return Form(name, self._combined, self.scale)
