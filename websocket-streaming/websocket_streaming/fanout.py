"""From one update to everyone who wants it. The whole fan-out is in this file, so that a faster one can replace it.

A client that keeps up gets every update. One that doesn't gets, per topic, the newest as soon as it has room again: its
slot holds one update a topic and the transports' queues are bounded, so it costs no memory and slows nobody.
"""

import threading
from functools import cached_property
from typing import Any, Protocol

import orjson
from engineio.packet import MESSAGE, Packet

from shared.clock import Clock
from shared.websocket_frames import Opcode, encode_frame
from websocket_streaming.rates import Rate
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.topics import Topic

FLUSH_S = 0.01  # how often clients that had no room are tried again
YIELD_EVERY = 64  # under gevent the senders run only when the publisher pauses


class Update:
    """One event, encoded once for each kind of transport, whoever and however many get it."""

    def __init__(self, event: str, document: dict[str, Any]) -> None:
        self.event = event
        self._json = orjson.dumps(document)

    @cached_property
    def packet(self) -> Packet:
        """The Engine.IO message that holds the Socket.IO packet (2, event); it keeps its encoded form."""
        return Packet(MESSAGE, f'2["{self.event}",{self._json.decode()}]')

    @cached_property
    def frame(self) -> bytes:
        """The WebSocket frame of a plain connection; servers don't mask, so it serves every receiver."""
        return encode_frame(Opcode.TEXT, b'{"event":"%s","data":%s}' % (self.event.encode(), self._json))


class Client(Protocol):
    """A connection, as the fan-out sees it."""

    @property
    def has_room(self) -> bool:
        """Whether it takes another update now."""
        ...

    def push(self, update: Update) -> None:
        """Queue the update for sending; never blocks, never raises."""
        ...


class Fanout:
    """Hands updates to the clients that subscribed."""

    def __init__(self, subscriptions: Subscriptions, clock: Clock) -> None:
        self._subscriptions = subscriptions
        self._clock = clock
        self._clients: dict[str, Client] = {}
        self._slots: dict[str, dict[Topic, Update]] = {}
        self._backlog = threading.Event()
        self._since_pause = 0
        self.sent = Rate(clock)
        self.slow_clients = 0

    def join(self, name: str, client: Client) -> None:
        """A client has connected."""
        self._clients[name] = client

    def leave(self, name: str) -> None:
        """It has gone; what waited for it goes too."""
        self._clients.pop(name, None)
        self._slots.pop(name, None)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def count_slow(self) -> None:
        """A client was closed because it didn't read."""
        self.slow_clients += 1

    def publish(self, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """Give it to all who want the topic."""
        self._since_pause += 1
        if self._since_pause >= YIELD_EVERY:
            self._since_pause = 0
            self._clock.sleep(0)
        names = tuple(self._subscriptions.clients(topic))  # a copy: pushing may find a dead client and drop it
        if not names:
            return
        update = Update(event, document)
        for name in names:
            self._deliver(name, topic, update)

    def send(self, name: str, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """Give it to one client."""
        self._deliver(name, topic, Update(event, document))

    def flush(self) -> bool:
        """Try again those that had no room; True while some still have none."""
        for name, slot in list(self._slots.items()):
            client = self._clients.get(name)
            while client and slot and client.has_room:
                self._push(client, slot.pop(next(iter(slot))))
            if not slot or client is None:
                self._slots.pop(name, None)
        return bool(self._slots)

    def run(self, stopping: threading.Event) -> None:
        """Flush until `stopping`; sleeps while nobody waits."""
        while not stopping.is_set():
            if self._backlog.wait(timeout=1.0):
                self._clock.sleep(FLUSH_S)
                self._backlog.clear()  # before looking: what comes to wait meanwhile sets it again
                if self.flush():
                    self._backlog.set()

    def _deliver(self, name: str, topic: Topic, update: Update) -> None:
        client = self._clients.get(name)
        if client is None:
            return
        if name not in self._slots and client.has_room:
            self._push(client, update)
            return
        self._slots.setdefault(name, {})[topic] = update
        self._backlog.set()

    def _push(self, client: Client, update: Update) -> None:
        client.push(update)
        self.sent.add()
