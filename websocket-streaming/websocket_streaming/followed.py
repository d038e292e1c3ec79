"""What a worker holds that follows another one: the leader's newest updates by topic, as clients get them.

They serve new subscribers, REST and clients that were slow, as the channels' own states do in the worker that leads.
A topic is `sound` from the leader's word about it on; a hole in what came from the leader ends that for all topics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from shared.clock import Clock
from websocket_streaming.book_channel import describe
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.journal import Document, Journal
from websocket_streaming.live_channel import BEGINS_WITHIN_S, STATUS
from websocket_streaming.order_book import BadLevel, OrderBook
from websocket_streaming.ticks import Levels, Snapshot, Symbol
from websocket_streaming.topics import KLINES, LIQUIDATIONS, ORDERBOOK, PRICE, TRADES, Topic

SILENT_AFTER_S = 2.0  # nothing from the leader, which says something twice a second: what is held may be old
ALL_LEVELS = 1_000_000  # the leader says itself which levels it lets go


class _BookLines(msgspec.Struct):
    """The levels of an `orderbook_update`, their numbers as texts: floats would not be exact."""

    bids: list[tuple[msgspec.Raw, msgspec.Raw]]
    asks: list[tuple[msgspec.Raw, msgspec.Raw]]


@dataclass(slots=True)
class _Held:
    opened_at: float
    sound: bool = False
    told_stale: bool = False  # that nothing came from the leader at all
    event: str = ""
    document: Document | None = None  # the newest value; a book's newest update, its levels aside
    received_at: float = 0.0
    book: OrderBook | None = None
    warning: Document | None = None  # the `status` that says stale, while it does


class Followed:
    """Serves as the channel of every topic while another worker leads."""

    def __init__(self, clock: Clock, exchange_time: ExchangeTime, journal: Journal) -> None:
        self._clock, self._exchange_time, self._journal = clock, exchange_time, journal
        self._held: dict[Topic, _Held] = {}
        self.watch: Callable[[Symbol, float], None] = lambda _symbol, _price: None  # told of every price (alerts)
        self.heard_at = float("-inf")  # the leader's last word, on whatever it was
        self.connected = False  # whether the leader has its upstream

    # -- what the leader says

    def receive(self, topic: Topic, event: str, document: Document, raw: bytes) -> None:
        """An update as the leader numbered it; `raw` is its JSON. Raises msgspec.DecodeError for nonsense."""
        held = self._held.get(topic)
        if held is None:
            return
        if event == STATUS:
            held.warning = document if document.get("stale") else None
        elif not self._take(topic, held, event, document, raw):
            return  # a change of a book that isn't held: the leader's word about the topic is on its way
        self._journal.relay(topic, event, document)
        if topic.channel == PRICE:
            self.watch(topic.of, document["price"])

    def begin(self, topic: Topic, event: str, document: Document | None, raw: bytes, warning: Document | None) -> None:
        """The leader's word about a topic: its newest value, and whether that is stale. Nothing new where all came."""
        held = self._held.get(topic)
        if held is None or held.sound:
            return
        if document is not None and self._take(topic, held, event, document, raw):
            self._journal.relay(topic, event, document, news=False)
        held.sound = held.sound or topic.channel != ORDERBOOK  # a book begins with the snapshot that is to come
        if warning or held.told_stale:
            held.warning = warning
            self._journal.relay(topic, STATUS, warning or self._status(topic, stale=False), news=False)
        held.told_stale = False

    def lose(self) -> None:
        """Something was missed: nothing is sound until the leader says so anew."""
        for held in self._held.values():
            held.sound, held.opened_at = False, self._clock.monotonic()

    # -- as a channel (channels.Channel)

    def open(self, topic: Topic) -> None:
        """Somebody wants the topic."""
        self._journal.open(topic)
        self._held[topic] = _Held(self._clock.monotonic())

    def close(self, topic: Topic) -> None:
        """Nobody wants it any more."""
        self._journal.close(topic)
        self._held.pop(topic, None)

    def event_of(self, topic: Topic) -> str:
        """The event of the topic's newest value."""
        held = self._held.get(topic)
        return held.event if held else ""

    def greet(self, topic: Topic) -> Document | None:
        """What a new subscriber gets at once."""
        held = self._held.get(topic)
        if held is None or not held.sound or held.document is None or topic.channel == LIQUIDATIONS:
            return None
        if topic.channel == ORDERBOOK:
            return self._snapshot(topic, held)
        more = {"source": "cache"} if "source" in held.document else {}
        return self._journal.stamped(topic, held.document | more | self._staleness(held))

    def warn(self, topic: Topic) -> Document | None:
        """The `status` that a new subscriber gets besides, None where the newest value says all."""
        held = self._held.get(topic)
        return self._journal.stamped(topic, held.warning) if held and held.warning else None

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:
        """As the channel itself would: the newest value, a fresh snapshot, or how many were dropped."""
        if topic.channel in (TRADES, LIQUIDATIONS):
            return event, {**document, "missed": document.get("missed", 0) + skipped}
        if topic.channel == ORDERBOOK:
            snapshot = self.greet(topic)
            return (self.event_of(topic), snapshot) if snapshot else (STATUS, self._status(topic, stale=True))
        if topic.channel == KLINES and event == STATUS and (newest := self.greet(topic)):
            return self.event_of(topic), newest
        return event, document

    def tell_stale(self) -> None:
        """About once a second: clients of a topic that the leader says nothing about learn so."""
        now = self._clock.monotonic()
        for topic, held in list(self._held.items()):
            if not held.sound and not held.told_stale and now - held.opened_at > BEGINS_WITHIN_S:
                held.told_stale, held.warning = True, self._status(topic, stale=True)
                self._journal.relay(topic, STATUS, held.warning, news=False)

    # -- for REST

    @property
    def is_silent(self) -> bool:
        """Whether the leader, or the way to it, has gone."""
        return self._clock.monotonic() - self.heard_at > SILENT_AFTER_S

    def price(self, symbol: Symbol) -> tuple[Document, str, float] | None:
        """See `PriceChannel.price`; None where nothing is held."""
        topic = Topic(PRICE, *symbol)
        document = self.greet(topic)
        return (document, "cache", self._age_s(self._held[topic])) if document else None

    def order_book(self, symbol: Symbol, limit: int) -> tuple[Document, str, float, bool] | None:
        """See `BookChannel.order_book`; None where nothing is held."""
        topic = Topic(ORDERBOOK, *symbol)
        held = self._held.get(topic)
        if held is None or not held.sound or held.document is None or held.book is None:
            return None
        document = self._journal.stamped(topic, _without_levels(held.document) | _levels(held.book, limit))
        return document, "cache", self._age_s(held), bool(held.warning) or self.is_silent

    def _take(self, topic: Topic, held: _Held, event: str, document: Document, raw: bytes) -> bool:
        if topic.channel == ORDERBOOK:
            try:
                held.sound = _apply(held, document, raw)
            except BadLevel:
                held.sound = False
            if not held.sound:
                return False
        held.sound = True
        held.event, held.document, held.received_at = event, document, self._clock.monotonic()
        return True

    def _snapshot(self, topic: Topic, held: _Held) -> Document | None:
        if held.book is None or held.document is None:
            return None
        levels = _levels(held.book, ALL_LEVELS)
        return self._journal.stamped(
            topic, _without_levels(held.document) | levels | {"type": "snapshot"} | self._staleness(held)
        )

    def _staleness(self, held: _Held) -> Document:
        return {"stale": True} if held.warning or self.is_silent else {}

    def _status(self, topic: Topic, *, stale: bool) -> Document:
        document: Document = {"symbol": topic.symbol, "market": topic.market, "channel": topic.channel, "stale": stale}
        if topic.interval:
            document["interval"] = topic.interval
        held = self._held.get(topic)
        age_s = self._age_s(held) if held and held.document else 0.0
        return self._journal.stamped(topic, document | {"age_ms": round(age_s * 1000)})

    def _age_s(self, held: _Held) -> float:
        since_s = self._clock.monotonic() - held.received_at
        at = (held.document or {}).get("timestamp")
        if not isinstance(at, str):
            return since_s
        return max(since_s, self._exchange_time.age_s(round(datetime.fromisoformat(at).timestamp() * 1000)) or 0.0)


def _apply(held: _Held, document: Document, raw: bytes) -> bool:
    """Bring the book up to date; False for a change of one that isn't held. The document's levels become exact."""
    lines = msgspec.json.decode(raw, type=_BookLines)
    bids, asks = _texts(lines.bids), _texts(lines.asks)
    if document["type"] == "snapshot":
        held.book = OrderBook(Snapshot(document["update_id"], bids, asks), ALL_LEVELS)
    elif held.book is None or not held.sound:
        return False
    else:
        held.book.bids.apply(bids)
        held.book.asks.apply(asks)
        held.book.update_id = document["update_id"]
    document["bids"], document["asks"] = describe(bids), describe(asks)
    return True


def _texts(levels: list[tuple[msgspec.Raw, msgspec.Raw]]) -> Levels:
    return [(_text(price), _text(quantity)) for price, quantity in levels]


def _text(number: msgspec.Raw) -> str:
    """With the exchange's decimals again: numbers in any other form take the book's slow path (101 µs, not 16)."""
    text = bytes(number).decode()
    whole, _, part = (format(Decimal(text), "f") if "e" in text else text).partition(".")
    return f"{whole}.{part:0<8}"


def _without_levels(document: Document) -> dict[str, Any]:
    left_out = ("bids", "asks", "type", "previous_update_id")
    return {name: value for name, value in document.items() if name not in left_out}


def _levels(book: OrderBook, limit: int) -> Document:
    return {"bids": describe(book.bids.best(limit)), "asks": describe(book.asks.best(limit))}
