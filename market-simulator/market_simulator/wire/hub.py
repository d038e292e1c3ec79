"""The pump: advances the markets that are watched and sends what happened. This is the hot path, all in one file.

- One greenlet owns every market; a call that needs the live book (`/depth`) advances it through here too, so that a
  snapshot, the frames before it and the frames after it come from one book.
- A frame is built and encoded once per channel and form (name, raw or combined, time unit); server frames are not
  masked, so the same bytes go to every subscriber. Encoding per client costs 8 µs, appending bytes 0.2 µs.
- Frames of one tick leave a socket in one system call (Outbox), which is worth a factor of 6 to 40 at high rates.
- Nothing is logged per frame, and the pump sleeps when nobody listens.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import gevent
import orjson
from gevent.event import Event

from market_simulator.market import BookTicker, DepthUpdate, SymbolInfo, SymbolMarket, Trade
from market_simulator.sim_clock import SimClock
from market_simulator.wire import timed
from market_simulator.wire.aggregates import Aggregate, LiveAggregates
from market_simulator.wire.dialect import SPOT, Dialect
from market_simulator.wire.frame_rules import Frame, FrameRules
from market_simulator.wire.streams import Channel, Kind
from shared.websocket_frames import Opcode, encode_frame

TICK_S = 0.01
AFTER_BUG_S = 1.0


class Receiver(Protocol):
    """Whoever gets frames; `send_data` must not block."""

    def send_data(self, frame: bytes) -> None: ...


class Form(NamedTuple):
    """How a subscriber wants a channel: under which name, wrapped or not, in which time unit."""

    name: str
    combined: bool
    scale: int


class Topic:
    """A channel that someone listens to."""

    def __init__(self, channel: Channel, now_ms: int):
        self.channel = channel
        self.forms: dict[Form, dict[Receiver, None]] = {}
        self.state: Any = None  # what its kind needs between two pushes
        self.phase_ms = timed.KlineFeed.SETTLE_MS if channel.kind in (Kind.KLINE, Kind.CONTINUOUS_KLINE) else 0
        self._beat = self._beat_of(now_ms)

    def is_due(self, now_ms: int) -> bool:
        """True once in each period, at the first tick in it; never in the period of its own begin."""
        beat = self._beat_of(now_ms)
        due, self._beat = beat != self._beat, beat
        return due

    def _beat_of(self, now_ms: int) -> int:
        return (now_ms - self.phase_ms) // (self.channel.period_ms or 1)


class Feed:
    """One symbol: its market and the topics that hang on it."""

    def __init__(self, market: SymbolMarket, native_depth_ms: int):
        self.market = market
        self._native_depth_ms = native_depth_ms
        self.topics: dict[Channel, Topic] = {}
        self.trades: list[Topic] = []
        self.aggregates: list[Topic] = []
        self.best: list[Topic] = []
        self.depth: list[Topic] = []
        self.merged_depth: list[Topic] = []
        self.timed: list[Topic] = []

    def sort(self) -> None:
        """Lay the topics out by what the pump asks for."""
        topics = list(self.topics.values())
        self.trades = [topic for topic in topics if topic.channel.kind is Kind.TRADE]
        self.aggregates = [topic for topic in topics if topic.channel.kind is Kind.AGG_TRADE]
        self.best = [topic for topic in topics if topic.channel.kind is Kind.BOOK_TICKER]
        diffs = [topic for topic in topics if topic.channel.kind is Kind.DEPTH]
        self.depth = [topic for topic in diffs if topic.channel.period_ms == self._native_depth_ms]
        partials = [topic for topic in topics if topic.channel.kind is Kind.PARTIAL_DEPTH]
        self.merged_depth = [topic for topic in diffs if topic not in self.depth] + partials
        self.timed = [topic for topic in topics if topic.channel.period_ms and topic not in self.depth]


class Hub:
    """All feeds, and who listens to what. Also where REST finds its markets (`calls.Markets`)."""

    def __init__(
        self, markets: Mapping[str, SymbolMarket], clock: SimClock, dialect: Dialect = SPOT
    ):
        """`markets` may make a market when it is first asked for."""
        self._markets = markets
        self._clock = clock
        self.rules = FrameRules()  # the lies in force about frames
        self.dialect = dialect
        self._feeds: dict[str, Feed] = {}
        self._arrays: dict[Channel, Topic] = {}
        self._watched: list[Feed] = []
        self._wanted = Event()
        self.frames_encoded = 0
        self.frames_sent = 0

    # REST's view

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def find(self, symbol: str) -> SymbolMarket | None:
        return self._markets.get(symbol)

    def all(self) -> Mapping[str, SymbolMarket]:
        return self._markets

    def catch_up(self, symbol: str) -> int:
        now_ms = self._clock.now_ms()
        self._advance(self._feed(symbol), now_ms)
        return now_ms

    def _feed(self, symbol: str) -> Feed:
        feed = self._feeds.get(symbol)
        if feed is None:
            market = self._markets[symbol]  # while a tape is read, another greenlet may ask for the same
            feed = self._feeds.setdefault(symbol, Feed(market, self.dialect.native_depth_ms))
        return feed

    # Who listens

    def add(self, receiver: Receiver, channel: Channel, form: Form) -> None:
        """Begin to send a channel. A symbol that isn't listed is silence; nothing is pushed because of subscribing."""
        if (channel.symbol and channel.symbol not in self._markets) or channel.kind is Kind.SILENT:
            return
        feed = self._feed(channel.symbol) if channel.symbol else None
        now_ms = self._clock.now_ms()
        topics = self._arrays if feed is None else feed.topics
        if feed is not None:
            self._advance(feed, now_ms)  # what happened before belongs to those who listened then
        topic = topics.get(channel)
        if topic is None:
            topic = topics[channel] = self._new_topic(channel, feed, now_ms)
        topic.forms.setdefault(form, {})[receiver] = None
        self._lay_out(feed)

    def remove(self, receiver: Receiver, channel: Channel, form: Form) -> None:
        """End it; unknown ones are ignored."""
        feed = self._feeds.get(channel.symbol)
        topics = self._arrays if feed is None else feed.topics
        topic = topics.get(channel)
        if topic is None or form not in topic.forms:
            return
        topic.forms[form].pop(receiver, None)
        if not topic.forms[form]:
            del topic.forms[form]
        if not topic.forms:
            del topics[channel]
        self._lay_out(feed)

    def _new_topic(self, channel: Channel, feed: Feed | None, now_ms: int) -> Topic:
        topic = Topic(channel, now_ms)
        if channel.kind is Kind.DEPTH:
            topic.state = timed.DepthMerger()
        elif channel.kind is Kind.PARTIAL_DEPTH:
            topic.state = timed.Span()
        elif channel.kind is Kind.AGG_TRADE:
            topic.state = LiveAggregates(self.dialect.settled_ms)
        elif channel.period_ms:
            topic.state = self.dialect.feed(channel, None if feed is None else feed.market, self, now_ms)
        return topic

    def _lay_out(self, feed: Feed | None) -> None:
        if feed is not None:
            feed.sort()
        self._watched = [feed for feed in self._feeds.values() if feed.topics]
        if self._watched or self._arrays:
            self._wanted.set()
        else:
            self._wanted.clear()

    def listening(self) -> dict[str, int]:
        """Live channels per symbol, for /stats."""
        feeds = self._feeds
        return {symbol: len(feeds[symbol].topics) if symbol in feeds else 0 for symbol in self._markets}

    # The pump

    def run(self, on_bug: Callable[[Exception], None]) -> None:
        """Tick until killed. A bug is reported and the pump goes on: one bad frame must not end the market."""
        while True:
            self._wanted.wait()
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001  # reported through on_bug; the loop has to survive
                on_bug(error)
                gevent.sleep(AFTER_BUG_S)
            gevent.sleep(TICK_S)

    def tick(self) -> None:
        """Bring every watched market to now and push what is due."""
        now_ms = self._clock.now_ms()
        if self.rules:
            self.release(self.rules.due(now_ms))
        for feed in self._watched:
            self._advance(feed, now_ms)
        for feed in self._watched:
            for topic in feed.timed:
                if topic.is_due(now_ms):
                    self._push_timed(feed, topic, now_ms)
        for topic in list(self._arrays.values()):
            if topic.is_due(now_ms):
                for id, build in topic.state.beat(now_ms):
                    self._publish(topic, id, build)

    def _advance(self, feed: Feed, now_ms: int) -> None:
        info, words = feed.market.info, self.dialect.words
        for event in feed.market.advance(now_ms):
            if isinstance(event, BookTicker):
                for topic in feed.best:
                    self._publish(topic, event.update_id, partial(words.book_ticker, info, event))
            elif isinstance(event, Trade):
                for topic in feed.trades:
                    self._publish(topic, event.id, partial(words.trade, info, event))
                for topic in feed.aggregates:
                    self._push_aggregate(topic, info, topic.state.add(event))
            else:
                self._on_depth(feed, event)
        for topic in feed.aggregates:
            self._push_aggregate(topic, info, topic.state.settle(now_ms))

    def _on_depth(self, feed: Feed, event: DepthUpdate) -> None:
        for topic in feed.depth:
            self._publish_depth(feed, topic, event)
        for topic in feed.merged_depth:
            topic.state.add(event)

    def _push_aggregate(self, topic: Topic, info: SymbolInfo, event: Aggregate | None) -> None:
        if event is not None:
            self._publish(topic, event.first.id, partial(self.dialect.words.agg_trade, info, event))

    def _push_timed(self, feed: Feed, topic: Topic, now_ms: int) -> None:
        channel, market = topic.channel, feed.market
        if channel.kind is Kind.DEPTH:
            event = topic.state.take(now_ms)
            if event is not None:
                self._publish_depth(feed, topic, event)
        elif channel.kind is Kind.PARTIAL_DEPTH:
            event = topic.state.take(now_ms)
            if event is not None:  # an unchanged book is not sent again
                book = market.book()
                build = partial(self.dialect.words.partial_depth, market.info, event, book, channel.levels)
                self._publish(topic, book.last_update_id, build)
        else:
            for id, build in topic.state.beat(now_ms):
                self._publish(topic, id, build)

    def _publish_depth(self, feed: Feed, topic: Topic, event: DepthUpdate) -> None:
        build = partial(self.dialect.words.depth_update, feed.market.info, event)
        self._publish(topic, [event.first_id, event.last_id], build)

    def _publish(self, topic: Topic, id: Any, build: timed.Builder) -> None:
        """Send one payload in every form that somebody wants. `id` is what a lie's record calls it."""
        if self.rules:
            self.release(self.rules.pass_on(Frame(topic.channel, id, build), self._clock.now_ms()))
        else:
            self._send(topic, build)

    def release(self, frames: Iterable[Frame]) -> None:
        """Send frames that a rule has let go, to whoever listens now."""
        for frame in frames:
            feed = self._feeds.get(frame.channel.symbol)
            topic = (self._arrays if feed is None else feed.topics).get(frame.channel)
            if topic is not None:
                self._send(topic, frame.build, frame.spoil)

    def _send(self, topic: Topic, build: timed.Builder, spoil: Callable[[bytes], bytes] | None = None) -> None:
        bodies: dict[int, bytes] = {}
        for form, receivers in topic.forms.items():
            body = bodies.get(form.scale)
            if body is None:
                body = bodies[form.scale] = orjson.dumps(build(form.scale))
            if form.combined:
                body = b'{"stream":' + orjson.dumps(form.name) + b',"data":' + body + b"}"
            frame = encode_frame(Opcode.TEXT, body if spoil is None else spoil(body))
            self.frames_encoded += 1
            self.frames_sent += len(receivers)
            for receiver in receivers:
                receiver.send_data(frame)
