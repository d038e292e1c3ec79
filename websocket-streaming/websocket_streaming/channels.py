"""All channels as one: wishes are admitted and counted here, and what comes from the exchange finds its channel.

Places call in (feeds, sockets, routes); what this needs of them stands here as Protocols.
"""

from collections.abc import Callable, Iterable, Mapping

from orjson import Fragment

from shared.clock import Clock
from shared.errors import FleetError
from websocket_streaming.admission import Admission
from websocket_streaming.book_channel import BookChannel
from websocket_streaming.channel import CatchUp, Channel, TimeSource, Upstream
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.followed import Followed
from websocket_streaming.journal import Document, Journal
from websocket_streaming.kline_channel import KlineChannel
from websocket_streaming.liquidation_channel import LiquidationChannel
from websocket_streaming.live_channel import STATUS
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.rates import Rate
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.ticks import Bar, Depth, Liquidation, MarkPrice, Symbol, Ticker, Trade
from websocket_streaming.topics import (
    KLINES,
    LIQUIDATIONS,
    MARKETS,
    ORDERBOOK,
    PRICE,
    SPOT,
    TRADES,
    Topic,
    Wish,
)
from websocket_streaming.trade_channel import TradeChannel

TIME_LASTS_S = 600.0
TIME_AGAIN_S = 2.0  # after a failure, and up to `TIME_TRIES` times after an answer that took long
TIME_TRIES = 10


class Channels:
    """Wishes in, updates out."""

    def __init__(
        self, *, clock: Clock, exchange_time: ExchangeTime, exchange: TimeSource, subscriptions: Subscriptions,
        listings: Mapping[str, SymbolList], journal: Journal, price: PriceChannel, trades: TradeChannel,
        klines: KlineChannel, books: BookChannel, liquidations: LiquidationChannel, followed: Followed,
        max_symbols: int,
    ) -> None:  # fmt: skip
        self._clock, self._exchange_time, self._exchange = clock, exchange_time, exchange
        self.subscriptions, self.journal, self.listings = subscriptions, journal, listings
        self.price, self.trades, self.klines, self.books = price, trades, klines, books
        self._liquidations = liquidations
        self.followed, self.following = followed, False
        self._upstreams: dict[str, Upstream] = {}
        self._admission = Admission(subscriptions, listings, self._upstreams, max_symbols)
        self.admit = self._admission.admit  # which topics of a wish can be served
        self._served: dict[str, Channel] = {
            PRICE: price, TRADES: trades, KLINES: klines, ORDERBOOK: books, LIQUIDATIONS: liquidations,
        }  # fmt: skip
        self._time_due_at, self._time_tries = float("-inf"), 0
        self.received = Rate(clock)
        self._connects: dict[str, int] = {}  # how often each market's prices were connected
        for topic in subscriptions.wanted:
            self._open(topic)

    # -- what the feeds tell

    def attach(self, market: str, upstream: Upstream) -> None:
        """Stream that market from there; what is wanted already at once."""
        self._upstreams[market] = upstream
        upstream.open([topic for topic in self.subscriptions.wanted if topic.market == market])

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade came."""
        self.received.add()
        self.price.on_trade(symbol, trade)
        self.trades.on_trade(symbol, trade)

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        """24 h figures came."""
        self.received.add()
        self.price.on_ticker(symbol, ticker)

    def on_mark(self, symbol: Symbol, mark: MarkPrice) -> None:
        """A perpetual's mark price came."""
        self.received.add()
        self.price.on_mark(symbol, mark)

    def on_bar(self, symbol: Symbol, interval: str, bar: Bar, event_ms: int) -> None:
        """A kline's state came."""
        self.received.add()
        self.klines.on_bar(symbol, interval, bar, event_ms)

    def on_depth(self, symbol: Symbol, depth: Depth) -> None:
        """A change of an order book came."""
        self.received.add()
        self.books.on_depth(symbol, depth)

    def on_liquidation(self, symbol: Symbol, order: Liquidation) -> None:
        """A forced order came."""
        self.received.add()
        self._liquidations.on_liquidation(symbol, order)

    def on_connection(self, market: str, channels: Iterable[str], connected: bool) -> None:
        """The upstream of these channels came or went."""
        for name in channels:
            self._served[name].on_connection(market, connected)
        if connected and PRICE in channels:
            self._connects[market] = self._connects.get(market, 0) + 1
            self._time_due_at = float("-inf")

    # -- several workers: one leads, the others follow it

    def turn(self, epoch: str, *, follow: bool) -> None:
        """Lead from now on, with numbers of one's own, or follow the worker whose epoch that is.

        Subscriptions stay; all that is held is learned anew. A new leader's upstreams are attached afterwards.
        """
        wanted = self.subscriptions.wanted
        for topic in wanted:
            self._channel(topic).close(topic)
        self.price.forget()
        self._upstreams.clear()
        for channel in self._served.values():
            for market in MARKETS:
                channel.on_connection(market, False)
        self.following = follow
        self.journal.begin(epoch, relays=follow)
        for topic in wanted:
            self._open(topic)
            for _ in self.subscriptions.clients(topic):
                self.journal.follow(topic)

    def hold(self, name: str, topics: Iterable[Topic]) -> frozenset[Topic]:
        """Another worker, of that name, wants exactly these topics; returns those that there is room for."""
        wanted, held = set(topics), set(self.subscriptions.topics(name))
        if wanted == held:
            return frozenset(held)
        fitting = [topic for market in MARKETS for topic in self._fitting(market, wanted - held)]
        self.subscriptions.workers.add(name)
        opened = self.subscriptions.add(name, fitting)
        for topic in opened:
            self._open(topic)
        for topic in fitting:
            self.journal.follow(topic)
        for market, upstream in self._upstreams.items():
            if mine := [topic for topic in opened if topic.market == market]:
                upstream.open(mine)
        self.unsubscribe(name, list(held - wanted))
        return frozenset(self.subscriptions.topics(name))

    def state(self, topic: Topic) -> tuple[str, Document | None, Document | None]:
        """A topic's event, newest value and warning, as a new subscriber gets them."""
        channel = self._served[topic.channel]
        return channel.event, channel.greet(topic), channel.warn(topic)

    def newest_price(self, symbol: Symbol) -> tuple[Document | Fragment, str, float, bool]:
        """See `PriceChannel.price`; a follower's comes from what the leader said."""
        if self.following and (found := self.followed.price(symbol)):
            return *found, found[0]["stale"]
        return self.price.price(symbol)

    def order_book(self, symbol: Symbol, limit: int) -> tuple[Document, str, float, bool]:
        """See `BookChannel.order_book`; a follower's comes from what the leader said."""
        return (self.following and self.followed.order_book(symbol, limit)) or self.books.order_book(symbol, limit)

    @property
    def is_connected(self) -> bool:
        """Whether spot prices come, from the exchange or from the worker that leads."""
        return self.followed.connected if self.following else self.price.book.is_connected(SPOT)

    def held_price(self, symbol: Symbol) -> float | None:
        """The newest price held, None while there is none."""
        if self.following:
            held = self.followed.price(symbol)
            return held[0]["price"] if held else None
        return self.price.book.price(symbol)

    # -- what clients want

    def subscribe(
        self, client: str, topics: list[Topic], wish: Wish, on_lost: Callable[[Topic], None] = lambda _topic: None
    ) -> None:
        """Note the wish and send the newest values, or all since the positions that it names.

        What is new is opened upstream and filled by REST. `on_lost` is told of a topic whose position can't be served,
        before its newest is sent. May block for some seconds while a client takes what it missed.
        """
        fresh = [topic for topic in topics if client not in self.subscriptions.clients(topic)]
        positions = {topic: position for topic in fresh if (position := wish.position(topic)) is not None}
        replayed = self.journal.replay(client, positions)
        # From here on nothing lets other threads run until the client is noted: no update is lost or comes twice.
        opened = self.subscriptions.add(client, topics)
        for topic in opened:
            self._open(topic)
        for topic in fresh:
            self.journal.follow(topic)
        if opened and (upstream := self._upstreams.get(opened[0].market)):
            upstream.open(opened)
        for topic in topics:
            if topic in replayed:
                continue
            if topic in positions:
                on_lost(topic)
            self._greet(client, topic)

    def unsubscribe(self, client: str, topics: list[Topic]) -> None:
        """Forget the wish; what nobody wants any more is closed upstream."""
        mine = [topic for topic in topics if client in self.subscriptions.clients(topic)]
        for topic in mine:
            self.journal.unfollow(topic)
        self._close(self.subscriptions.remove(client, mine))

    def drop(self, client: str) -> None:
        """The client has gone."""
        self.unsubscribe(client, list(self.subscriptions.topics(client)))

    @property
    def catch_up(self) -> dict[str, CatchUp]:
        """By channel, what a client gets that had no room for so many updates before the newest."""

        def catch_up(topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:
            return self._channel(topic).catch_up(topic, event, document, skipped)

        return dict.fromkeys(self._served, catch_up)

    @property
    def reconnects(self) -> int:
        """How often an upstream had to be connected again."""
        return sum(count - 1 for count in self._connects.values())

    @property
    def active_symbols(self) -> list[str]:
        """The symbols served upstream, the permanent ones first."""
        own = (topic.symbol for topic in self.subscriptions.wanted)
        return list(dict.fromkeys([*own, *self.subscriptions.elsewhere]))

    # -- what goes on by itself

    def check(self) -> None:
        """About once a second, cheap: who is behind, owed or silent, and what became stale."""
        self.trades.check()
        self.klines.check()
        self.books.check()
        for channel in self._served.values():
            channel.tell_stale()
        if self.following:
            self.followed.tell_stale()

    def keep_time(self) -> None:
        """Once a second: ask the exchange what time it is, when that is due."""
        asked_at = self._clock.monotonic()
        if asked_at < self._time_due_at:
            return
        self._time_due_at = asked_at + TIME_AGAIN_S
        try:
            server_ms = self._exchange.time_ms()
        except FleetError:
            return
        self._exchange_time.anchor(server_ms, asked_at, self._clock.monotonic())
        self._time_tries += 1
        if self._exchange_time.is_sharp or self._time_tries >= TIME_TRIES:
            self._time_due_at, self._time_tries = asked_at + TIME_LASTS_S, 0

    def renew(self, topics: list[Topic]) -> None:
        """See `Upstream.renew`."""
        for market, upstream in self._upstreams.items():
            if mine := [topic for topic in topics if topic.market == market]:
                upstream.renew(mine)

    def _greet(self, client: str, topic: Topic) -> None:
        channel = self._channel(topic)
        if document := channel.greet(topic):
            self.journal.send(client, topic, self._served[topic.channel].event, document)
        if warning := channel.warn(topic):
            self.journal.send(client, topic, STATUS, warning)

    def _open(self, topic: Topic) -> None:
        self._channel(topic).open(topic)
        if topic.channel == TRADES and not self.following:
            self.price.open(topic)

    def _close(self, topics: list[Topic]) -> None:
        for topic in topics:
            self._channel(topic).close(topic)
            if topic.channel == TRADES and not self.following:
                self.price.close(topic)
            if upstream := self._upstreams.get(topic.market):
                upstream.close([topic])

    def _channel(self, topic: Topic) -> "Channel | Followed":
        return self.followed if self.following else self._served[topic.channel]

    def _fitting(self, market: str, topics: set[Topic]) -> set[Topic]:
        return self._admission.fitting(market, [topic for topic in topics if topic.market == market])
