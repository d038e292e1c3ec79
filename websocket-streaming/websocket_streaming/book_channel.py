"""The orderbook channel: a snapshot, then deltas; a book that is crossed or has a gap is never published."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from shared.clock import Clock
from shared.errors import Unavailable
from shared.logger import FleetLogger
from websocket_streaming.book_sync import BookSync
from websocket_streaming.errands import Errands
from websocket_streaming.exchange_time import ExchangeTime, iso_of
from websocket_streaming.fetched import Fetched
from websocket_streaming.freshness import SILENT_AFTER_S, Freshness
from websocket_streaming.journal import Document, Journal
from websocket_streaming.live_channel import STATUS, LiveChannel
from websocket_streaming.order_book import BadLevel, OrderBook, number
from websocket_streaming.ticks import Depth, Levels, Snapshot, Symbol
from websocket_streaming.topics import ORDERBOOK, Topic

SNAPSHOT_LEVELS = 1000  # a side; weight 50 on spot, 20 on futures
CHECK_LEVELS = 100  # weight 5 on both
# The procedure takes the snapshot after the first update. A market without updates for that long needs none.
WITHOUT_UPDATE_S = 2.0
CATCH_UP_TURNS, CATCH_UP_TURN_S = 20, 0.1  # that long an update that REST knows may be on its way
# A snapshot older than the updates that wait: later ones are asked for ever more slowly, for the weight's sake.
MAX_AGAIN_S = 10.0


class BookSource(Protocol):
    """The exchange's REST side of order books. Raises FleetError; Unavailable and RateLimited: retry."""

    def depth(self, symbol: Symbol, limit: int) -> Snapshot:
        """The best `limit` levels of each side."""
        ...


@dataclass(slots=True)
class _Book:
    sync: BookSync
    fresh: Freshness
    tries: int = 0  # snapshots in a row that didn't meet the updates
    checked_at: float = float("-inf")
    shown: tuple[int, Document] | None = None  # the snapshot as it left last, for many slow clients


class BookChannel(LiveChannel[_Book]):
    """Keeps a book for each symbol by the exchange's procedure, serves subscribers."""

    event = "orderbook_update"

    def __init__(
        self, *, clock: Clock, logger: FleetLogger, exchange_time: ExchangeTime, journal: Journal, errands: Errands,
        exchange: BookSource, fetched: Fetched, renew: Any,
    ) -> None:  # fmt: skip
        super().__init__(clock, journal, renew)
        self._logger, self._exchange_time = logger, exchange_time
        self._errands, self._exchange, self._fetched = errands, exchange, fetched
        self.resyncs = 0  # books lost to a hole, a crossing or nonsense since the start

    def on_depth(self, symbol: Symbol, depth: Depth) -> None:
        """An update from the stream."""
        topic = Topic(ORDERBOOK, *symbol)
        state = self._states.get(topic)
        if state is None:
            return
        state.fresh.touch(depth.event_ms)
        previous_id = state.sync.book.update_id if state.sync.book else 0
        was_synced = state.sync.synced
        changes = state.sync.on_depth(depth)
        if changes is not None:
            bids, asks = changes
            more = {"type": "delta", "previous_update_id": previous_id, "stale": False}
            document = self._document(topic, state, bids, asks) | more
            self._journal.publish(topic, self.event, document, 1 + (len(bids) + len(asks)) // 10)
        if state.sync.synced:
            if state.sync.book and state.sync.book.is_shallow:
                self._refresh(topic, state)
            return
        if was_synced:
            self.resyncs += 1
            self._logger.warning("%s %s: the order book was lost at %d", topic.market, topic.symbol, depth.last_id)
        if state.sync.waiting == 1:  # the first that waits; later ones ask no sooner than `_begin_book` does by itself
            self._errands.ask(topic, partial(self._begin_book, topic))

    def check(self) -> None:
        """About once a second: look after silent books."""
        now = self._clock.monotonic()
        for topic, state in list(self._states.items()):
            book = state.sync.book
            if topic.market not in self._connected or book is None or not state.sync.synced:
                continue
            if state.fresh.is_silent and now - state.checked_at >= SILENT_AFTER_S:
                state.checked_at = now
                self._errands.ask((topic, "silent"), partial(self._check_silent, topic))

    def order_book(self, symbol: Symbol, limit: int) -> tuple[Document, str, float, bool]:
        """The best `limit` levels a side, source, age in seconds, stale. Raises NotFound, or Unavailable (retry)."""
        topic = Topic(ORDERBOOK, *symbol)
        state = self._states.get(topic)
        if state and (book := state.sync.book):
            document = self._journal.stamped(topic, self._levels(topic, state, book, limit))
            return document, "cache", state.fresh.age_s, self.is_stale(topic)
        asked = _served(limit)
        snapshot, age_s = self._fetched.get(symbol, (ORDERBOOK, asked), lambda: self._exchange.depth(symbol, asked))
        try:
            fetched = OrderBook(snapshot, SNAPSHOT_LEVELS)
        except BadLevel as error:
            raise Unavailable(f"the exchange's order book can't be read: {error}") from None
        levels = {"bids": describe(fetched.bids.best(limit)), "asks": describe(fetched.asks.best(limit))}
        document = {"symbol": symbol.name, "market": symbol.market, "update_id": snapshot.last_id, **levels}
        return self._journal.stamped(topic, document), "rest", age_s, False

    def greet(self, topic: Topic) -> Document | None:
        """The whole book, if it is whole."""
        state = self._states.get(topic)
        if state is None or state.sync.book is None or not state.sync.synced:
            return None
        return self._journal.stamped(topic, self._snapshot(topic, state, state.sync.book))

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:  # noqa: ARG002  # LiveChannel's
        """A fresh snapshot; while there is none, that the book is not current (a snapshot comes when it is)."""
        snapshot = self.greet(topic)
        if snapshot:
            return self.event, snapshot
        return STATUS, self._journal.stamped(topic, self._status(topic, stale=True))

    def _make(self, topic: Topic) -> _Book:
        sync = BookSync(topic.market, SNAPSHOT_LEVELS)
        return _Book(sync, Freshness(self._clock, self._exchange_time))

    def _is_doubtful(self, topic: Topic, state: _Book) -> bool:  # noqa: ARG002  # LiveChannel's
        return not state.sync.synced or state.fresh.is_stale

    def _age_s(self, topic: Topic, state: _Book) -> float | None:  # noqa: ARG002  # LiveChannel's
        return state.fresh.age_s

    def _begin(self, topic: Topic) -> None:
        self._errands.ask(topic, partial(self._begin_book, topic), WITHOUT_UPDATE_S)

    def _lost(self, topic: Topic) -> None:
        self._states[topic].sync.begin_anew()

    def _begin_book(self, topic: Topic) -> None:
        """Ask for a snapshot, until it meets the updates that wait."""
        state = self._states.get(topic)
        if state is None or state.sync.synced or topic.market not in self._connected:
            return
        snapshot = self._exchange.depth(topic.of, SNAPSHOT_LEVELS)
        if self._states.get(topic) is not state or state.sync.synced or topic.market not in self._connected:
            return
        if not state.sync.on_snapshot(snapshot):
            state.tries += 1
            again_s = min(MAX_AGAIN_S, 0.1 * 2**state.tries)
            self._errands.ask(topic, partial(self._begin_book, topic), again_s)
            return
        state.tries, state.shown = 0, None
        if not state.fresh.suspect:
            state.fresh.confirm()  # REST's word is as good as an update's
        if book := state.sync.book:
            document = self._snapshot(topic, state, book)
            self._journal.publish(topic, self.event, document, (len(book.bids) + len(book.asks)) // 10)
        self.tell_stale()

    def _refresh(self, topic: Topic, state: _Book) -> None:
        """The price nears the border of what is known. Nothing is published until the snapshot that follows."""
        state.sync.begin_anew()
        self._errands.ask(topic, partial(self._begin_book, topic))

    def _check_silent(self, topic: Topic) -> None:
        """Nothing came for a while. Right if the stream catches up with REST, or the best levels are the same."""
        state = self._states.get(topic)
        if state is None or not state.sync.synced or not state.fresh.is_silent:
            return
        snapshot = self._exchange.depth(topic.of, CHECK_LEVELS)
        for _ in range(CATCH_UP_TURNS):
            book = state.sync.book
            if self._states.get(topic) is not state or not state.sync.synced or book is None:
                return
            if book.update_id >= snapshot.last_id or _same(book, snapshot):
                state.fresh.confirm()
                return
            self._clock.sleep(CATCH_UP_TURN_S)
        state.fresh.suspect = True
        self._renew([topic])
        self.resyncs += 1
        self._refresh(topic, state)

    def _snapshot(self, topic: Topic, state: _Book, book: OrderBook) -> Document:
        """All levels. Kept until the next update: many slow clients may want the same."""
        if state.shown is None or state.shown[0] != book.update_id:
            state.shown = book.update_id, self._levels(topic, state, book, len(book.bids) + len(book.asks))
        return {**state.shown[1], "type": "snapshot", "stale": self.is_stale(topic)}

    def _levels(self, topic: Topic, state: _Book, book: OrderBook, limit: int) -> Document:
        return self._document(topic, state, book.bids.best(limit), book.asks.best(limit))

    def _document(self, topic: Topic, state: _Book, bids: Levels, asks: Levels) -> Document:
        document = {
            "symbol": topic.symbol,
            "market": topic.market,
            "bids": describe(bids),
            "asks": describe(asks),
            "update_id": state.sync.book.update_id if state.sync.book else 0,
        }
        return document | ({"timestamp": iso_of(state.fresh.event_ms)} if state.fresh.event_ms else {})


def describe(levels: Levels) -> list[list[Any]]:
    """Levels as clients see them: [price, quantity], numbers of exactly the exchange's value."""
    return [[number(price), number(quantity)] for price, quantity in levels]


def _served(limit: int) -> int:
    """Futures serve these counts of levels only, spot any."""
    return next(count for count in (5, 10, 20, 50, 100, 500, 1000) if limit <= count)


def _same(book: OrderBook, snapshot: Snapshot) -> bool:
    """Whether the best levels are those of the snapshot. On futures ids rise without a change of this book."""
    try:
        other = OrderBook(snapshot, CHECK_LEVELS)
    except BadLevel:
        return False
    return all(
        describe(ours.best(CHECK_LEVELS)) == describe(theirs.best(CHECK_LEVELS))
        for ours, theirs in ((book.bids, other.bids), (book.asks, other.asks))
    )
