"""Every update's number, and the newest updates kept a while for clients that were away.

Numbers rise by one per topic within one epoch (one run of the service). What left while somebody listened, or up to a
minute later, can be given again; what can't is answered by `resync_required`, never by a gap.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.clock import Clock
from websocket_streaming.topics import Position, Topic

KEPT_S = 60.0
MAX_KEPT_OF_TOPIC = 4000
# Over all topics, in units of about 1 KB: an update is one and one more per 10 levels of a book. A level takes up to
# 136 bytes, so a ring of books alone is 20 MB.
MAX_KEPT = 15_000

Document = dict[str, Any]


class Publisher(Protocol):
    """Where updates leave."""

    def publish(self, topic: Topic, event: str, document: Document) -> None:
        """To everyone who wants the topic."""
        ...

    def send(self, name: str, topic: Topic, event: str, document: Document) -> None:
        """To one client."""
        ...

    def has_room(self, name: str) -> bool:
        """Whether that client takes another update now."""
        ...


@dataclass(slots=True)
class _Line:
    """One topic's numbering. It is followed while somebody listens, and until `linger_until` after that."""

    seq: int
    listeners: int = 0
    linger_until: float = 0.0
    kept: deque[tuple[int, str, Document]] = field(default_factory=deque)


class Journal:
    """Numbers updates on their way to the publisher, and keeps those that somebody may ask for again."""

    def __init__(self, publisher: Publisher, epoch: str, clock: Clock) -> None:
        self._publisher, self.epoch, self._clock = publisher, epoch, clock
        self.venue = ""  # `binance` or `simulator`, once it is decided
        self._relays = False  # another worker numbers; what the channels here say is not heard
        self._lines: dict[Topic, _Line] = {}
        self._highest_closed = 0  # a topic that comes back must not repeat a number, nor seem to follow on
        self._order: deque[tuple[float, Topic, int, int]] = deque()  # when, topic, seq, weight
        self._weight = 0
        self._leaving: deque[tuple[str | None, Topic, str, Document]] = deque()
        self._is_leaving = False

    def begin(self, epoch: str, *, relays: bool) -> None:
        """Another epoch: numbers begin anew, and nothing before can be given again. All topics are closed by now.

        `relays`: another worker's numbers, by `relay`; `publish` and `pass_over` then do nothing.
        """
        self.epoch, self._relays, self._highest_closed, self._weight = epoch, relays, 0, 0
        self._lines.clear()
        self._order.clear()

    def open(self, topic: Topic) -> None:
        """Updates of this topic begin. Numbers before are never continued: what came meanwhile was not seen."""
        if topic not in self._lines:
            self._lines[topic] = _Line(self._highest_closed + 1 if self._highest_closed else 0)

    def close(self, topic: Topic) -> None:
        """They end: nobody wants the topic."""
        if line := self._lines.pop(topic, None):
            self._highest_closed = max(self._highest_closed, line.seq)

    def follow(self, topic: Topic) -> None:
        """A client begins to listen."""
        if line := self._lines.get(topic):
            line.listeners += 1

    def unfollow(self, topic: Topic) -> None:
        """A client has stopped to listen; it may come back."""
        if line := self._lines.get(topic):
            line.listeners -= 1
            line.linger_until = self._clock.monotonic() + KEPT_S

    def seq(self, topic: Topic) -> int:
        """The number of the last update, 0 before the first."""
        line = self._lines.get(topic)
        return line.seq if line else 0

    def stamped(self, topic: Topic, document: Document) -> Document:
        """The document with the number of the topic's last update, the epoch and the venue."""
        venue, seq, epoch = self.stamp(topic)
        return {**document, "venue": venue, "seq": seq, "epoch": epoch}

    def stamp(self, topic: Topic) -> tuple[str, int, str]:
        """What `stamped` would add."""
        line = self._lines.get(topic)
        return self.venue, line.seq if line else 0, self.epoch

    def is_heard(self, topic: Topic) -> bool:
        """Whether somebody listens, or may come back for what he missed. Else documents needn't be made."""
        line = self._lines.get(topic)
        return line is not None and (line.listeners > 0 or self._clock.monotonic() <= line.linger_until)

    def pass_over(self, topic: Topic, count: int = 1) -> None:
        """Number updates that nobody hears."""
        if (line := self._lines.get(topic)) and not self._relays:
            line.seq += count
            line.kept.clear()

    def publish(self, topic: Topic, event: str, document: Document, weight: int = 1) -> None:
        """Number the update and give it to all who want the topic."""
        line = self._lines.get(topic)
        if line is None or self._relays:
            return
        line.seq += 1
        document["venue"], document["seq"], document["epoch"] = self.venue, line.seq, self.epoch
        self._keep(topic, line, event, document, weight)
        self._leave(None, topic, event, document)

    def relay(self, topic: Topic, event: str, document: Document, *, news: bool = True) -> None:
        """Give on what another worker numbered. Where it doesn't follow on, or is no `news`, replays begin after it."""
        line = self._lines.get(topic)
        if line is None or not self._relays:
            return
        seq = document["seq"]
        if not news or seq != line.seq + 1:
            line.kept.clear()
        line.seq = seq
        if news:
            weight = 1 + (len(document.get("bids", ())) + len(document.get("asks", ()))) // 10
            self._keep(topic, line, event, document, weight)
        self._leave(None, topic, event, document)

    def send(self, name: str, topic: Topic, event: str, document: Document) -> None:
        """Give a document as it is to one client, after all that was published before."""
        self._leave(name, topic, event, document)

    def replay(self, name: str, positions: Mapping[Topic, Position]) -> set[Topic]:
        """Send all after these positions; blocks while the client has no room. Returns the topics that could be served.

        For those nothing is left when this returns: a client that is subscribed before other threads run misses none.
        """
        left, deadline = dict(positions), self._clock.monotonic() + KEPT_S / 2
        news = True
        while news:
            news = False
            for topic, position in list(left.items()):
                updates = self._since(topic, position)
                if updates is None or not self._send_all(name, topic, updates, deadline):
                    del left[topic]
                elif updates:
                    left[topic], news = Position(position.epoch, updates[-1][0]), True
        return set(left)

    def _send_all(self, name: str, topic: Topic, updates: list[tuple[int, str, Document]], deadline: float) -> bool:
        for _, event, document in updates:
            while not self._publisher.has_room(name):
                if self._clock.monotonic() > deadline:
                    return False
                self._clock.sleep(0.01)
            self._publisher.send(name, topic, event, document)
        return True

    def _since(self, topic: Topic, position: Position) -> list[tuple[int, str, Document]] | None:
        line = self._lines.get(topic)
        if line is None or position.epoch != self.epoch or not 0 < position.seq <= line.seq:
            return None
        missed = line.seq - position.seq
        if missed > len(line.kept):
            return None
        return list(line.kept)[len(line.kept) - missed :] if missed else []

    def _keep(self, topic: Topic, line: _Line, event: str, document: Document, weight: int) -> None:
        now = self._clock.monotonic()
        if not line.listeners and now > line.linger_until:
            line.kept.clear()
            return
        line.kept.append((line.seq, event, document))
        self._order.append((now, topic, line.seq, weight))
        self._weight += weight
        if len(line.kept) > MAX_KEPT_OF_TOPIC:
            line.kept.popleft()
        while self._order and (self._weight > MAX_KEPT or now - self._order[0][0] > KEPT_S):
            _, oldest, seq, its_weight = self._order.popleft()
            self._weight -= its_weight
            known = self._lines.get(oldest)
            while known and known.kept and known.kept[0][0] <= seq:
                known.kept.popleft()

    def _leave(self, name: str | None, topic: Topic, event: str, document: Document) -> None:
        """In the order of their numbers: the publisher may let other threads run, and they may publish too."""
        self._leaving.append((name, topic, event, document))
        if self._is_leaving:
            return
        self._is_leaving = True
        try:
            while self._leaving:
                receiver, of, what, content = self._leaving.popleft()
                if receiver is None:
                    self._publisher.publish(of, what, content)
                else:
                    self._publisher.send(receiver, of, what, content)
        finally:
            self._is_leaving = False
