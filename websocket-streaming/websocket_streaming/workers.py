"""Several workers of one service: one leads and has the upstream, the others follow it; alone, each is its own leader.

Whoever holds the lock leads. It opens what the clients of any worker want, and its updates with their numbers reach the
clients of all. A leader that dies is followed by another within seconds, under a new epoch. With Redis away everyone
leads itself; the one that led before goes on as it was, the others begin an epoch of their own.
"""

import secrets
from typing import Protocol

import msgspec

from shared.clock import Clock
from shared.errors import Unavailable
from shared.logger import FleetLogger
from websocket_streaming.channels import Channels
from websocket_streaming.topics import PRICE, Topic

TURN_S = 0.25
ALONE_AFTER_S = 2.0  # a Redis that only stumbles turns nobody into a leader
OTHERS = "other workers"  # to whom words about topics go


class Wishes(msgspec.Struct, frozen=True):
    """What a worker's clients want, and how often each symbol; `asked` rises when it needs all words anew."""

    epoch: str = ""  # that it follows
    asked: int = 0
    topics: list[Topic] = []
    by_symbol: dict[str, int] = {}


class Meeting(Protocol):
    """Where workers meet. Every call raises Unavailable while it can't be reached."""

    def leader(self, epoch: str) -> str:
        """The epoch that leads: `epoch` where nobody else does."""
        ...

    def leave(self, epoch: str) -> None:
        """Let another lead at once."""
        ...

    def exchange(self, number: int, wishes: Wishes) -> dict[int, Wishes]:
        """Write this worker's wishes, read the others'."""
        ...


class Upstreams(Protocol):
    """The connections to the exchange."""

    def start(self) -> None:
        """Connect, and attach them to the channels."""
        ...

    def stop(self) -> None:
        """Disconnect; nothing comes from them any more when this returns."""
        ...


class Ear(Protocol):
    """What hears the leader."""

    epoch: str | None
    holes: int


class Mouth(Protocol):
    """What speaks to followers."""

    epoch: str | None
    topics: frozenset[Topic]


class Workers:
    """This worker among the others. `turn` is called every `TURN_S`."""

    def __init__(
        self, *, number: int, channels: Channels, meeting: Meeting, upstreams: Upstreams, ear: Ear, mouth: Mouth,
        clock: Clock, logger: FleetLogger,
    ) -> None:  # fmt: skip
        self._number, self._channels, self._meeting, self._upstreams = number, channels, meeting, upstreams
        self._ear, self._mouth, self._clock, self._logger = ear, mouth, clock, logger
        self._epoch = channels.journal.epoch  # under which this worker leads, or would
        self._met_at = float("-inf")
        self._begun = False
        self._answered: dict[
            int, tuple[int, frozenset[Topic]]
        ] = {}  # by worker: `asked`, and the topics it was told of

    @property
    def leads(self) -> bool:
        """Whether the upstream is this worker's own."""
        return self._begun and not self._channels.following

    def turn(self) -> None:
        """Meet the others: learn who leads, tell and learn what is wanted."""
        try:
            leader = self._meeting.leader(self._epoch)
            others = self._meeting.exchange(self._number, self._wishes())
        except Unavailable:
            if self._clock.monotonic() - self._met_at > ALONE_AFTER_S:
                self._be_alone()
            return
        self._met_at = self._clock.monotonic()
        self._channels.subscriptions.elsewhere = _sum(others)
        if leader != self._epoch:
            self._follow(leader)
            return
        if not self.leads:
            self._lead("the others follow")
        self._mouth.epoch = self._epoch
        self._serve(others)

    def stop(self) -> None:
        """This worker ends: another may lead at once."""
        if self.leads:
            try:
                self._meeting.leave(self._epoch)
            except Unavailable:
                return

    def _lead(self, why: str) -> None:
        self._logger.info("Worker %d leads (%s), epoch %s", self._number, why, self._epoch)
        self._ear.epoch = None
        if self._begun:
            self._channels.turn(self._epoch, follow=False)
        self._begun = True
        self._upstreams.start()

    def _be_alone(self) -> None:
        if not self.leads:
            self._lead("nobody to follow, Redis is off or away")
        self._channels.subscriptions.elsewhere = {}
        self._serve({})

    def _follow(self, leader: str) -> None:
        if self._channels.following and self._channels.journal.epoch == leader:
            return
        self._logger.info("Worker %d follows the one that leads, epoch %s", self._number, leader)
        self._mouth.epoch, self._mouth.topics = None, frozenset()
        if self.leads:
            self._upstreams.stop()
        for number in self._answered:
            self._channels.hold(_name(number), ())
        self._answered.clear()
        self._channels.turn(leader, follow=True)
        self._begun, self._ear.epoch = True, leader
        self._epoch = secrets.token_hex(8)  # what it led under, if it did, is over

    def _wishes(self) -> Wishes:
        subscriptions = self._channels.subscriptions
        prices = [topic for topic in subscriptions.permanent if topic.channel == PRICE]  # REST tells them
        topics = list(dict.fromkeys([*prices, *subscriptions.listened]))
        followed = self._channels.journal.epoch if self._channels.following else ""
        return Wishes(followed, self._ear.holes, topics, subscriptions.own_by_symbol)

    def _serve(self, others: dict[int, Wishes]) -> None:
        """Hold what they want, and tell them how it stands with what they want newly."""
        self._mouth.topics = frozenset(topic for wishes in others.values() for topic in wishes.topics)
        for number in set(self._answered) - set(others):
            self._channels.hold(_name(number), ())
            del self._answered[number]
        for number, wishes in others.items():
            asked, told = self._answered.get(number, (-1, frozenset()))
            held = self._channels.hold(_name(number), wishes.topics)
            if wishes.epoch != self._epoch:  # it doesn't listen yet
                self._answered[number] = (-1, frozenset())
                continue
            self._answered[number] = (wishes.asked, held)
            for topic in held if wishes.asked != asked else held - told:
                self._tell(topic)

    def _tell(self, topic: Topic) -> None:
        event, newest, warning = self._channels.state(topic)
        self._channels.journal.send(OTHERS, topic, event, {"newest": newest, "warning": warning})


def _name(number: int) -> str:
    """Under which a worker's wishes are held; no connection has such a name."""
    return f"worker {number}"


def _sum(others: dict[int, Wishes]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for wishes in others.values():
        for symbol, count in wishes.by_symbol.items():
            counts[symbol] = counts.get(symbol, 0) + count
    return counts
