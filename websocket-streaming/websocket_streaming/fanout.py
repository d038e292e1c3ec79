"""From one update to everyone who wants it: the whole fan-out is in this file (why it is so: docs/adr/0004).

An update is encoded once, as a ready WebSocket frame; servers don't mask, so the same bytes serve every receiver.
Clients with the same set of subscriptions form a group. `publish` only appends the frame to the groups that want the
topic; a flush joins what a group has gathered and hands each member the same bytes, one system call a client.

When to flush: at once when nothing happened for a while, so an idle market has no delay. After a flush there is a pause
of 2 ms, growing to 20 ms while there is much to join: the busier the process, the more frames share a call.

A client that keeps up gets every update, in the order of publishing. One that doesn't read gets, once it has room
again, one update a topic: the newest, or what `catch_up` makes of it for its channel. So it costs one document a topic
and what its kernel buffer holds, and slows nobody; behind for `GONE_AFTER_S` without a break it is closed and counted.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import orjson

from shared.clock import Clock
from shared.websocket_frames import Opcode, encode_frame
from websocket_streaming.rates import Rate
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.topics import Topic

MIN_PAUSE_S, MAX_PAUSE_S = 0.002, 0.02
WORTH_JOINING = 4  # updates that gathered in a pause: from there on a longer one saves more than it delays
PAUSE_PER_FLUSH = 4  # and no pause is longer than so many times what the flush took: there would be nothing to save
RETRY_S = 0.01  # how often clients that had no room are tried again
GONE_AFTER_S = 10.0  # behind for that long without a break: it doesn't read

Form = Literal["socket.io", "plain", "polling"]
# (topic, newest event, its document, updates missed before it) -> event and document to send instead
CatchUp = Callable[[Topic, str, dict[str, Any], int], tuple[str, dict[str, Any]]]


@dataclass(slots=True, eq=False)
class Update:
    """One event on a topic, encoded for one form of transport."""

    topic: Topic
    event: str
    document: dict[str, Any]
    frame: bytes


def encode(form: Form, event: str, json: bytes) -> bytes:
    """The WebSocket frame of an event: Engine.IO message (4) with a Socket.IO event (2), or {"event", "data"}."""
    shape = b'{"event":"%s","data":%s}' if form == "plain" else b'42["%s",%s]'
    return encode_frame(Opcode.TEXT, shape % (event.encode(), json))


class Client(Protocol):
    """A connection, as the fan-out sees it. Nothing here blocks or raises."""

    @property
    def form(self) -> Form:
        """`polling` takes single updates where it has room; the others take joined frames whenever nothing waits."""
        ...

    @property
    def room(self) -> int:
        """How many updates it takes now; 0 while earlier bytes wait for it to read."""
        ...

    @property
    def behind_s(self) -> float:
        """For how long bytes have waited for it without a break."""
        ...

    def post(self, frames: bytes) -> bool:
        """Send one frame or several joined; False when a part has to wait for it to read."""
        ...

    def flush(self) -> bool:
        """Try again to send what waits; True when nothing is left."""
        ...

    def end(self) -> None:
        """Close it: it doesn't read."""
        ...


@dataclass(slots=True, eq=False)
class _Group:
    """Clients of one form with the same subscriptions, and what they have all yet to get."""

    form: Form
    topics: frozenset[Topic]
    members: dict[Client, Callable[[bytes], bool]] = field(default_factory=dict)  # each with its `post`
    waiting: list[Update] = field(default_factory=list)
    # Who came, or was sent something else, after `waiting` began: how many of its updates they must not get.
    skip: dict[Client, int] = field(default_factory=dict)


class Fanout:
    """Hands updates to the clients that subscribed."""

    def __init__(self, subscriptions: Subscriptions, clock: Clock, catch_up: Mapping[str, CatchUp] | None = None):
        self._subscriptions = subscriptions
        self._clock = clock
        self._catch_up = {} if catch_up is None else catch_up  # by channel; may be filled later
        self._clients: dict[str, Client] = {}
        self._group_of: dict[Client, _Group] = {}
        self._groups: dict[tuple[Form, frozenset[Topic]], _Group] = {}
        self._wanting: dict[Topic, dict[Form, list[_Group]]] = {}
        self._due: list[_Group] = []
        # Clients that have no room, each with the newest update of each topic and how many came before it.
        self._slots: dict[Client, dict[Topic, tuple[Update, int]]] = {}
        self._gathered = 0  # updates since the last flush
        self._pause_s = MIN_PAUSE_S
        self._work = threading.Event()
        self.sent = Rate(clock)
        self.slow_clients = 0
        subscriptions.on_change = self._regroup

    # -- who is there

    def join(self, name: str, client: Client) -> None:
        """A client has connected, or goes on by another transport: what waits for it goes with it."""
        before = self._clients.get(name)
        if before is not None:
            self._bring_up_to_date(before)
            self._ungroup(before)
            if slot := self._slots.pop(before, None):
                self._slots[client] = slot
                self._work.set()
        self._clients[name] = client
        self._regroup(name)

    def leave(self, name: str) -> None:
        """It has gone; what waited for it goes too."""
        client = self._clients.pop(name, None)
        if client is not None:
            self._ungroup(client)
            self._slots.pop(client, None)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def count_slow(self) -> None:
        """A client was closed because it didn't read."""
        self.slow_clients += 1

    def retry(self, name: str) -> None:
        """Bytes that didn't come through the fan-out wait for this client: flush them with the others'."""
        client = self._clients.get(name)
        if client is not None:
            self._slots.setdefault(client, {})
            self._work.set()

    # -- what goes out

    def publish(self, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """Give it to all who want the topic, with the next flush."""
        wanting = self._wanting.get(topic)
        if not wanting:
            return
        self._gathered += 1
        json = orjson.dumps(document)
        for form, groups in wanting.items():
            update = Update(topic, event, document, encode(form, event, json))
            for group in groups:
                if not group.waiting:
                    self._due.append(group)
                group.waiting.append(update)
        if not self._work.is_set():
            self._work.set()

    def send(self, name: str, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """Give it to one client, after what it has yet to get."""
        client = self._clients.get(name)
        if client is None:
            return
        self._bring_up_to_date(client)
        self._deliver(client, [Update(topic, event, document, encode(client.form, event, orjson.dumps(document)))])
        self.sent.add()
        if self._slots:
            self._work.set()

    def has_room(self, name: str) -> bool:
        """Whether that client takes an update now; one that has gone takes anything."""
        client = self._clients.get(name)
        return client is None or (client not in self._slots and client.room > 0)

    def flush(self) -> bool:
        """Send everything that waits, as far as there is room; True while some clients have none."""
        due, self._due = self._due, []
        slots = self._slots
        for group in due:
            updates, group.waiting = group.waiting, []
            skip, group.skip = group.skip, {}
            joined = b"".join([update.frame for update in updates])
            polling = group.form == "polling"
            # Of a client that keeps up nothing is looked at but its `post`; see WebSocket.post for why.
            for client, post in tuple(group.members.items()):
                if skip and client in skip:
                    self._deliver(client, updates[skip[client] :])
                elif polling:
                    self._deliver(client, updates)
                elif slots and client in slots:
                    self._hold(client, updates)
                elif not post(joined):
                    slots[client] = {}
            self.sent.add(len(updates) * len(group.members))
        for client in tuple(slots):
            self._try_again(client)
        return bool(slots)

    def run(self, stopping: threading.Event) -> None:
        """Flush until `stopping`; sleeps while nothing waits."""
        while not stopping.is_set():
            if not self._work.wait(RETRY_S if self._slots else 1.0) and not self._slots:
                continue
            self._work.clear()  # before flushing: what comes meanwhile sets it again
            gathered, self._gathered = self._gathered, 0
            # Processor time: on a busy machine the clock also shows how long others ran, which no pause would save.
            begun = time.thread_time()
            self.flush()
            self._clock.sleep(self._next_pause_s(gathered, time.thread_time() - begun))

    def _next_pause_s(self, gathered: int, took_s: float) -> float:
        wished_s = self._pause_s * (1.5 if gathered >= WORTH_JOINING else 0.5)
        self._pause_s = max(MIN_PAUSE_S, min(wished_s, MAX_PAUSE_S, took_s * PAUSE_PER_FLUSH))
        return self._pause_s

    def _deliver(self, client: Client, updates: list[Update]) -> None:
        if not updates:
            return
        if client in self._slots or (client.form == "polling" and client.room < len(updates)):
            self._hold(client, updates)
        elif not client.post(b"".join([update.frame for update in updates])):
            self._slots[client] = {}

    # -- clients that don't keep up

    def _hold(self, client: Client, updates: list[Update]) -> None:
        slot = self._slots.setdefault(client, {})
        for update in updates:
            held = slot.pop(update.topic, None)  # the newest goes to the end: the oldest topic gets room first
            slot[update.topic] = (update, held[1] + 1 if held else 0)
            if held:
                self.sent.add(-1)  # it was counted as one of the group's

    def _try_again(self, client: Client) -> None:
        if client.behind_s > GONE_AFTER_S:
            self.count_slow()
            del self._slots[client]
            client.end()
            return
        slot = self._slots[client]
        if client.flush():
            while slot and client.room:
                update, missed = slot.pop(next(iter(slot)))
                update = self._caught_up(client, update, missed)
                if not client.post(update.frame):
                    return
            if not slot:
                del self._slots[client]

    def _caught_up(self, client: Client, update: Update, missed: int) -> Update:
        catch_up = self._catch_up.get(update.topic.channel)
        if catch_up is None or not missed:
            return update
        event, document = catch_up(update.topic, update.event, update.document, missed)
        frame = encode(client.form, event, orjson.dumps(document))
        return Update(update.topic, event, document, frame)

    # -- groups

    def _regroup(self, name: str) -> None:
        """The client's subscriptions have changed."""
        client = self._clients.get(name)
        if client is None:
            return
        self._bring_up_to_date(client)
        self._ungroup(client)
        topics = frozenset(self._subscriptions.topics(name))
        if topics:
            group = self._groups.get((client.form, topics)) or self._new_group(client.form, topics)
            group.members[client] = client.post
            self._group_of[client] = group
            self._skip_waiting(client, group)

    def _bring_up_to_date(self, client: Client) -> None:
        """Send it now what waits in its group."""
        group = self._group_of.get(client)
        if group is not None and group.waiting:
            self._deliver(client, group.waiting[group.skip.get(client, 0) :])
            self._skip_waiting(client, group)

    def _skip_waiting(self, client: Client, group: _Group) -> None:
        if group.waiting:
            group.skip[client] = len(group.waiting)

    def _ungroup(self, client: Client) -> None:
        group = self._group_of.pop(client, None)
        if group is None:
            return
        del group.members[client]
        group.skip.pop(client, None)
        if not group.members:
            self._drop_group(group)

    def _new_group(self, form: Form, topics: frozenset[Topic]) -> _Group:
        group = self._groups[form, topics] = _Group(form, topics)
        for topic in topics:
            self._wanting.setdefault(topic, {}).setdefault(form, []).append(group)
        return group

    def _drop_group(self, group: _Group) -> None:
        del self._groups[group.form, group.topics]
        for topic in group.topics:
            forms = self._wanting[topic]
            forms[group.form].remove(group)
            if not forms[group.form]:
                del forms[group.form]
            if not forms:
                del self._wanting[topic]
