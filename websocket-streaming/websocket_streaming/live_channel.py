"""What the channels beside the price have in common: what is open, whether the upstream is there, what is stale.

A change of staleness is an event of its own, `status`, because a trade or a level can't be sent again to say it.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from shared.clock import Clock
from websocket_streaming.journal import Document, Journal
from websocket_streaming.topics import Topic

STATUS = "status"
BEGINS_WITHIN_S = 3.0
State = TypeVar("State")


class LiveChannel(Generic[State]):
    """Holds one state for each open topic. Subclasses say how a state is made, aged and told."""

    event = ""

    def __init__(self, clock: Clock, journal: Journal, renew: Callable[[list[Topic]], None]) -> None:
        """`renew` has the upstream subscribe anew: nothing comes for these topics though there is news."""
        self._clock, self._journal, self._renew = clock, journal, renew
        self._opened_at: dict[Topic, float] = {}
        self._states: dict[Topic, State] = {}
        self._shown_stale: dict[Topic, bool] = {}
        self._connected: set[str] = set()

    # -- what a subclass says

    def _make(self, topic: Topic) -> State:
        raise NotImplementedError

    def _is_doubtful(self, topic: Topic, state: State) -> bool:
        """Whether the state may not be the market's, the upstream's absence aside."""
        raise NotImplementedError

    def _age_s(self, topic: Topic, state: State) -> float | None:
        raise NotImplementedError

    def _begin(self, topic: Topic) -> None:
        """The topic was opened, or its upstream came back: ask REST for what is missing."""

    def greet(self, topic: Topic) -> Document | None:
        """What a new subscriber gets at once."""
        raise NotImplementedError

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:  # noqa: ARG002  # for subclasses
        """What a client gets that had no room for `skipped` updates before this one: the newest value."""
        newest = self.greet(topic) if event == STATUS else None
        return (self.event, newest) if newest else (event, document)

    # -- what all do alike

    def open(self, topic: Topic) -> None:
        """Somebody wants the topic."""
        self._journal.open(topic)
        self._states[topic] = self._make(topic)
        self._shown_stale[topic] = False
        self._opened_at[topic] = self._clock.monotonic()
        self._begin(topic)

    def close(self, topic: Topic) -> None:
        """Nobody wants it any more."""
        self._journal.close(topic)
        self._states.pop(topic, None)
        self._shown_stale.pop(topic, None)
        self._opened_at.pop(topic, None)

    def on_connection(self, market: str, connected: bool) -> None:
        """The market's upstream of this channel came or went."""
        if connected == (market in self._connected):
            return
        (self._connected.add if connected else self._connected.discard)(market)
        for topic in [topic for topic in self._states if topic.market == market]:
            self._begin(topic) if connected else self._lost(topic)
        self.tell_stale()

    def is_stale(self, topic: Topic) -> bool:
        """Whether what is held may not be the market's any more."""
        state = self._states.get(topic)
        return state is None or topic.market not in self._connected or self._is_doubtful(topic, state)

    def age_ms(self, topic: Topic) -> int:
        """Since the newest event, by the exchange's clock; 0 while nothing is held."""
        state = self._states.get(topic)
        return round((self._age_s(topic, state) or 0.0) * 1000) if state is not None else 0

    def warn(self, topic: Topic) -> Document | None:
        """What a new subscriber must know besides the newest value: that it is stale."""
        return self._journal.stamped(topic, self._status(topic, True)) if self._shown_stale.get(topic) else None

    def tell_stale(self) -> None:
        """Subscribers learn what became stale, and what is right again. A topic just opened has time to begin."""
        now = self._clock.monotonic()
        for topic in list(self._states):
            stale = self.is_stale(topic) and now - self._opened_at[topic] >= BEGINS_WITHIN_S
            if stale != self._shown_stale.get(topic):
                self._shown_stale[topic] = stale
                self._journal.publish(topic, STATUS, self._status(topic, stale))

    def _lost(self, topic: Topic) -> None:
        """The upstream went."""

    def _status(self, topic: Topic, stale: bool) -> Document:
        document = {"symbol": topic.symbol, "market": topic.market, "channel": topic.channel, "stale": stale}
        if topic.interval:
            document["interval"] = topic.interval
        return document | {"age_ms": self.age_ms(topic)}
