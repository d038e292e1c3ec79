"""The price channel: what comes from the exchange goes into the book and out to whoever wants it.

Places call in (feed, sockets, routes); what this needs of them stands here as Protocols.
"""

from typing import Any, Protocol

from shared.clock import Clock
from shared.errors import FleetError, NotFound, Unavailable
from shared.logger import FleetLogger
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.gap_filler import Exchange, GapFiller
from websocket_streaming.price_book import PriceBook, Symbol, Ticker, Trade
from websocket_streaming.rates import Rate
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.topics import PRICE, SPOT, Problem, Topic, Wish, about_symbols

EVENT = "price_update"
REST_KEPT_S = 1.0  # a price fetched for GET serves that long, so that a busy caller doesn't spend the weight budget
MAX_REST_KEPT = 1000
TIME_LASTS_S = 600.0
TIME_AGAIN_S = 2.0  # after a failure


class Upstream(Protocol):
    """The exchange's streams."""

    def open(self, symbols: list[Symbol]) -> None:
        """Stream these too; returns at once."""
        ...

    def close(self, symbols: list[Symbol]) -> None:
        """Stop streaming these; returns at once."""
        ...

    def renew(self, symbols: list[Symbol]) -> None:
        """Nothing comes for these though there is news: subscribe anew, or connect anew if nothing comes at all."""
        ...


class Publisher(Protocol):
    """Where updates leave."""

    def publish(self, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """To everyone who wants the topic."""
        ...

    def send(self, name: str, topic: Topic, event: str, document: dict[str, Any]) -> None:
        """To one client."""
        ...


class PriceChannel:
    """Keeps the newest prices, serves subscribers, and notices what the stream misses."""

    def __init__(
        self,
        *,
        clock: Clock,
        logger: FleetLogger,
        exchange_time: ExchangeTime,
        book: PriceBook,
        subscriptions: Subscriptions,
        symbols: SymbolList,
        exchange: Exchange,
        publisher: Publisher,
        max_symbols: int,
    ) -> None:
        self._clock, self._exchange_time = clock, exchange_time
        self.book, self.subscriptions = book, subscriptions
        self._symbols, self._exchange, self._publisher = symbols, exchange, publisher
        self.gaps = GapFiller(
            clock=clock, logger=logger, book=book, exchange=exchange,
            is_wanted=self._wants, publish=self._publish, renew=self._renew,
        )
        self._max_symbols = max_symbols
        self._upstream: Upstream | None = None
        self._shown_stale: dict[Symbol, bool] = {}
        self._fetched: dict[Symbol, tuple[float, Ticker]] = {}
        self._time_due_at = float("-inf")
        self.received = Rate(clock)
        self.connections = 0  # of the upstream; the first isn't a reconnect

    # -- what the feed tells

    def attach(self, upstream: Upstream) -> None:
        """Stream from there; the permanent symbols at once."""
        self._upstream = upstream
        upstream.open([Symbol(topic.market, topic.symbol) for topic in self.subscriptions.wanted])

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade came."""
        self.received.add()
        if self._wants(symbol) and self.book.on_trade(symbol, trade):
            self._publish(symbol)

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        """24 h figures came."""
        self.received.add()
        if self._wants(symbol) and self.book.on_ticker(symbol, ticker):
            self._publish(symbol)

    def on_connection(self, market: str, connected: bool) -> None:
        """The upstream came (fill what was missed by REST) or went (say that every price is stale)."""
        if not self.book.set_connected(market, connected):
            return
        if connected:
            self.connections += 1
            self._time_due_at = float("-inf")
            self.gaps.fill([Symbol(t.market, t.symbol) for t in self.subscriptions.wanted if t.market == market])
        else:
            self.publish_stale_changes()

    # -- what clients want

    def admit(self, client: str, wish: Wish) -> list[Topic]:
        """The topics of the wish that can be served; why the others can't is added to the wish's problems."""
        topics = self.subscriptions.room(client, wish.topics)
        if len(topics) < len(wish.topics):
            left = [topic.symbol for topic in wish.topics if topic not in set(topics)]
            bound = f"over {self.subscriptions.max_symbols} symbols a client"
            wish.problems.append(about_symbols("too_many_symbols", bound, left))
        fresh = [topic.symbol for topic in topics if not self.subscriptions.is_wanted(topic)]
        refused = self._refuse_unknown(fresh, wish.problems) if fresh else set()
        return [topic for topic in topics if topic.symbol not in refused]

    def subscribe(self, client: str, topics: list[Topic]) -> None:
        """Note the wish and send the newest values; what is new is opened upstream and filled by REST."""
        opened = [Symbol(t.market, t.symbol) for t in self.subscriptions.add(client, topics)]
        if opened and self._upstream:
            self._upstream.open(opened)
            self.gaps.fill(opened)
        for topic in topics:
            if document := self.book.update(Symbol(topic.market, topic.symbol)):
                self._publisher.send(client, topic, EVENT, document)

    def unsubscribe(self, client: str, topics: list[Topic]) -> None:
        """Forget the wish; what nobody wants any more is closed upstream."""
        self._close(self.subscriptions.remove(client, topics))

    def drop(self, client: str) -> None:
        """The client has gone."""
        self._close(self.subscriptions.drop(client))

    def price(self, name: str) -> tuple[dict[str, Any], str, float]:
        """`price_update`, source (`cache` or `rest`) and age in seconds of a spot symbol, streamed or not.

        Raises NotFound for a symbol that the exchange doesn't list, Unavailable when it can't be asked (retry).
        """
        symbol = Symbol(SPOT, name)
        if document := self.book.update(symbol):
            return document, "cache", self.book.age_s(symbol) or 0.0
        if self._symbols.unknown([name]):
            raise NotFound(f"{name} is not listed by the exchange")
        fetched_at, ticker = self._fetch(symbol)
        age_s = max(self._clock.monotonic() - fetched_at, self._exchange_time.age_s(ticker.event_ms) or 0.0)
        return self.book.document(symbol, ticker, stale=False), "rest", age_s

    @property
    def reconnects(self) -> int:
        """How often the upstream had to be connected again."""
        return max(0, self.connections - 1)

    @property
    def active_symbols(self) -> list[str]:
        """The symbols served upstream, the permanent ones first."""
        return list(dict.fromkeys(topic.symbol for topic in self.subscriptions.wanted))

    # -- what goes on by itself

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
        self._time_due_at = asked_at + TIME_LASTS_S

    def publish_stale_changes(self) -> None:
        """Subscribers learn at once that a price is not the market's any more, and when it is again."""
        for symbol in self.book.symbols:
            if self._shown_stale.get(symbol) != self.book.is_stale(symbol):
                self._publish(symbol)

    def _publish(self, symbol: Symbol) -> None:
        document = self.book.next_update(symbol)
        if document is not None:
            self._shown_stale[symbol] = document["stale"]
            self._publisher.publish(Topic(PRICE, *symbol), EVENT, document)

    def _wants(self, symbol: Symbol) -> bool:
        """A few frames still arrive after UNSUBSCRIBE; they must not bring the symbol back."""
        return self.subscriptions.is_wanted(Topic(PRICE, *symbol))

    def _refuse_unknown(self, names: list[str], problems: list[Problem]) -> set[str]:
        try:
            unknown = self._symbols.unknown(names)
        except Unavailable as error:
            problems.append(about_symbols("upstream_unavailable", f"can't be checked: {error.message}", names))
            return set(names)
        if unknown:
            problems.append(about_symbols("unknown_symbol", "not listed by the exchange", unknown))
        room = self._max_symbols - len(self.subscriptions.wanted)
        over = [name for name in names if name not in set(unknown)][max(room, 0) :]
        if over:
            problems.append(about_symbols("too_many_symbols", "over the service's bound; try later", over))
        return {*unknown, *over}

    def _close(self, topics: list[Topic]) -> None:
        symbols = [Symbol(topic.market, topic.symbol) for topic in topics]
        for symbol in symbols:
            self.book.drop(symbol)
            self._shown_stale.pop(symbol, None)
        if symbols and self._upstream:
            self._upstream.close(symbols)

    def _renew(self, symbols: list[Symbol]) -> None:
        if self._upstream:
            self._upstream.renew(symbols)

    def _fetch(self, symbol: Symbol) -> tuple[float, Ticker]:
        now = self._clock.monotonic()
        kept = self._fetched.get(symbol)
        if kept and now - kept[0] < REST_KEPT_S:
            return kept
        ticker = self._exchange.tickers([symbol.name]).get(symbol.name)
        if ticker is None:
            raise NotFound(f"{symbol.name} has no price at the exchange")
        if len(self._fetched) >= MAX_REST_KEPT:
            self._fetched.clear()
        self._fetched[symbol] = (self._clock.monotonic(), ticker)
        return self._fetched[symbol]
