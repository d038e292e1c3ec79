"""Between the workers of one service, through Redis: who leads, who wants what, and the leader's updates.

Keys begin with the group's name and the venue: `<group>:<venue>:leader` holds the leader's epoch for `LEADS_MS`,
`…:wishes:<number>` what the clients of worker <number> want. `…:updates` is a pub/sub channel. A message there is lines
of JSON: a head with epoch, the message's number and the upstream's state, then one line for each update
(`[topic, event, document]`) or word about a topic (`[topic, event, document, warning]`), in the order of publishing.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from shared.clock import Clock
from shared.errors import Unavailable
from shared.logger import FleetLogger
from shared.redis_cache import RedisCache
from websocket_streaming.followed import Followed
from websocket_streaming.journal import Document, Journal, Publisher
from websocket_streaming.rates import Rate
from websocket_streaming.topics import Topic
from websocket_streaming.workers import OTHERS, Wishes

if TYPE_CHECKING:
    from redis import Redis

LEADS_MS = 2000  # without a renewal for so long, another worker leads
WISHES_LAST_MS = 5000
SAYS_SOMETHING_S = 0.5  # the leader, even if there is no news
JOIN_S = 0.002  # updates of that long share a message
MAX_LINES = 2000  # in one message
MAX_WAITING_BYTES = 32_000_000  # beyond, followers begin anew: Redis takes less than comes
AGAIN_S = 0.5
# Taken by whoever comes first when nobody has it, renewed by its holder; the answer is who leads.
LEAD = """
local held = redis.call('get', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return ARGV[1]
"""
LEAVE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class Line(msgspec.Struct, array_like=True):
    """One line of a message. Four fields: a word about the topic; three: an update."""

    topic: Topic
    event: str
    document: msgspec.Raw
    warning: msgspec.Raw = msgspec.Raw()


class Head(msgspec.Struct):
    """The first line of a message."""

    epoch: str
    number: int
    connected: bool


class Meeting:
    """Who leads and who wants what (workers.Meeting)."""

    def __init__(self, cache: RedisCache, prefix: str, instances: int) -> None:
        self._cache, self._prefix, self._instances = cache, prefix, instances
        self._written: tuple[float, bytes] = (float("-inf"), b"")
        self._read: dict[int, tuple[bytes, Wishes]] = {}  # as it stood, so that the same text is read once

    def leader(self, epoch: str) -> str:
        """The epoch that leads: `epoch` where nobody else does. Raises Unavailable while Redis is off or away."""
        key = f"{self._prefix}:leader"
        found: Any = self._cache.run(lambda client: client.eval(LEAD, 1, key, epoch, str(LEADS_MS)))
        return str(found, "utf-8")

    def leave(self, epoch: str) -> None:
        """Let another lead at once. Raises Unavailable."""
        self._cache.run(lambda client: client.eval(LEAVE, 1, f"{self._prefix}:leader", epoch))

    def exchange(self, number: int, wishes: Wishes) -> dict[int, Wishes]:
        """Write this worker's wishes, read the others'. Raises Unavailable."""
        text = msgspec.json.encode(wishes)
        others = [other for other in range(1, self._instances + 1) if other != number]

        def turn(client: "Redis") -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            pipeline.set(self._key(number), text, px=WISHES_LAST_MS)
            pipeline.mget([self._key(other) for other in others])
            return list(pipeline.execute()[1])

        found = zip(others, self._cache.run(turn), strict=True)
        self._read = {other: self._decoded(other, text) for other, text in found if text}
        return {other: wishes for other, (_, wishes) in self._read.items()}

    def _decoded(self, other: int, text: bytes) -> tuple[bytes, Wishes]:
        known = self._read.get(other)
        if known and known[0] == text:
            return known
        try:
            return text, msgspec.json.decode(text, type=Wishes)
        except msgspec.DecodeError:
            return text, Wishes()  # not ours

    def _key(self, number: int) -> str:
        return f"{self._prefix}:wishes:{number}"


class Outbox:
    """The leader's updates on their way to the others, besides this worker's own clients (journal.Publisher)."""

    def __init__(self, own: Publisher, cache: RedisCache, clock: Clock) -> None:
        self._own, self._cache, self._clock = own, cache, clock
        self.channel = ""  # its name, once the venue is decided
        self.epoch: str | None = None  # while this worker leads
        self.topics: frozenset[Topic] = frozenset()  # that other workers want
        self._lines: deque[bytes] = deque()
        self._bytes = self._number = 0
        self._work = threading.Event()

    def publish(self, topic: Topic, event: str, document: Document) -> None:
        """See `journal.Publisher`."""
        self._own.publish(topic, event, document)
        if topic in self.topics:
            self._add(orjson.dumps([topic[:], event, document]))

    def send(self, name: str, topic: Topic, event: str, document: Document) -> None:
        """See `journal.Publisher`; to `workers.OTHERS`: the word about a topic."""
        if name == OTHERS:
            self._add(orjson.dumps([topic[:], event, document["newest"], document["warning"]]))
        else:
            self._own.send(name, topic, event, document)

    def has_room(self, name: str) -> bool:
        """See `journal.Publisher`."""
        return self._own.has_room(name)

    def run(self, stopping: threading.Event, is_connected: Callable[[], bool]) -> None:
        """Send until `stopping`, joined, and a head without lines when there is no news."""
        while not stopping.is_set():
            self._work.wait(SAYS_SOMETHING_S)
            self._work.clear()
            if self.epoch is None:
                self._drop()
                continue
            self._send(self.epoch, is_connected())
            while self._lines:
                self._send(self.epoch, is_connected())
            self._clock.sleep(JOIN_S)

    def _send(self, epoch: str, connected: bool) -> None:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), MAX_LINES))]
        self._bytes -= sum(map(len, lines))
        self._number += 1
        message = b"\n".join([msgspec.json.encode(Head(epoch, self._number, connected)), *lines])
        with contextlib.suppress(Unavailable):  # the number tells the others that they missed one
            self._cache.run(lambda client: client.publish(self.channel, message))

    def _add(self, line: bytes) -> None:
        if self._bytes + len(line) > MAX_WAITING_BYTES:
            self._drop()
        self._lines.append(line)
        self._bytes += len(line)
        if not self._work.is_set():
            self._work.set()

    def _drop(self) -> None:
        self._lines.clear()
        self._bytes, self._number = 0, self._number + 1


class Inbox:
    """A follower's ear: gives what its leader says to `Followed`, and notices what is missing."""

    def __init__(
        self, cache: RedisCache, channel: str, followed: Followed, journal: Journal, received: Rate,
        clock: Clock, logger: FleetLogger,
    ) -> None:  # fmt: skip
        self._cache, self._channel, self._clock, self._logger = cache, channel, clock, logger
        self._followed, self._journal, self._received = followed, journal, received
        self._last: tuple[str, int] = ("", 0)  # epoch and number of the newest message
        self.epoch: str | None = None  # that is followed; None while this worker leads
        self.holes = 0  # times that something was missed: the leader is then asked for its word about all

    def run(self, stopping: threading.Event) -> None:
        """Listen until `stopping`; begin anew when Redis goes or comes back. Leaders needn't listen."""
        while not stopping.wait(0.0 if self._listen(stopping) else AGAIN_S):
            pass

    def _listen(self, stopping: threading.Event) -> bool:
        if self.epoch is None:
            return False

        def hear(client: "Redis") -> None:
            pubsub: Any = client.pubsub  # redis leaves it untyped
            with pubsub(ignore_subscribe_messages=True) as listener:
                listener.subscribe(self._channel)
                self._last = ("", 0)  # what came before this is missed
                while self.epoch and not stopping.is_set():
                    if message := listener.get_message(timeout=SAYS_SOMETHING_S):
                        self.take(message["data"])

        try:
            self._cache.run(hear)
        except Unavailable:
            return False
        return True

    def take(self, message: bytes) -> None:
        """One message. Another leader's than the one followed, and nonsense, are left out."""
        head_line, *lines = message.split(b"\n")
        try:
            head = msgspec.json.decode(head_line, type=Head)
            if head.epoch != self.epoch or head.epoch != self._journal.epoch:
                return
            if self._last != (head.epoch, head.number - 1):
                self._miss()
            self._last = head.epoch, head.number
            self._followed.heard_at, self._followed.connected = self._clock.monotonic(), head.connected
            self._received.add(len(lines))
            for line in lines:
                self._take_line(msgspec.json.decode(line, type=Line))
        except (ValueError, KeyError, TypeError) as error:
            self._logger.warning("a message from the worker that leads can't be read: %s", type(error).__name__)
            self._miss()

    def _miss(self) -> None:
        self.holes += 1
        self._followed.lose()

    def _take_line(self, line: Line) -> None:
        raw, warning = bytes(line.document), bytes(line.warning)
        if warning:
            self._followed.begin(line.topic, line.event, orjson.loads(raw), raw, orjson.loads(warning))
        else:
            self._followed.receive(line.topic, line.event, orjson.loads(raw), raw)
