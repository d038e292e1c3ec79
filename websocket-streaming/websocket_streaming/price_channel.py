"""The price channel: trades and 24 h figures go into the price book and out to whoever wants the price."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import orjson

from shared.clock import Clock
from shared.errors import NotFound
from shared.logger import FleetLogger
from websocket_streaming.fetched import Fetched
from websocket_streaming.gap_filler import Exchange, GapFiller
from websocket_streaming.journal import Document, Journal
from websocket_streaming.price_book import PriceBook, State, document
from websocket_streaming.ticks import MarkPrice, Symbol, Ticker, Trade
from websocket_streaming.topics import PRICE, TRADES, Topic

Watcher = Callable[[Symbol, float], None]


class Wanted(Protocol):
    """Who wants what."""

    def is_wanted(self, topic: Topic) -> bool:
        """Whether somebody wants it."""
        ...


@dataclass(slots=True)
class _Shown:
    """A price as REST answered it last, and what that was made of: asked again it needn't be made again."""

    topic: Topic
    state: State
    stamp: tuple[str, int, str]
    json: orjson.Fragment


class PriceChannel:
    """Keeps the newest prices, and notices what the stream misses. Trades need it too: it knows the newest ids."""

    event = "price_update"

    def __init__(
        self, *, clock: Clock, logger: FleetLogger, book: PriceBook, journal: Journal, wanted: Wanted,
        exchange: Exchange, fetched: Fetched, renew: Callable[[list[Topic]], None],
    ) -> None:  # fmt: skip
        self.book, self._journal, self._wanted, self._exchange = book, journal, wanted, exchange
        self._fetched = fetched
        self.gaps = GapFiller(
            clock=clock, logger=logger, book=book, exchange=exchange, is_wanted=self._wants, publish=self._publish,
            renew=lambda symbols: renew([Topic(PRICE, *symbol) for symbol in symbols]),
        )  # fmt: skip
        self._shown_stale: dict[Symbol, bool] = {}
        self._shown: dict[Symbol, _Shown] = {}
        self.watch: Watcher = lambda _symbol, _price: None  # told of every price (alerts)

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade came."""
        if self._wants(symbol) and self.book.on_trade(symbol, trade):
            self._publish(symbol)

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        """24 h figures came."""
        if self._wants(symbol) and self.book.on_ticker(symbol, ticker):
            self._publish(symbol)

    def on_mark(self, symbol: Symbol, mark: MarkPrice) -> None:
        """A perpetual's mark price came."""
        if self._wants(symbol) and self.book.on_mark(symbol, mark):
            self._publish(symbol)

    def on_connection(self, market: str, connected: bool) -> None:
        """The upstream came (fill what was missed by REST) or went (say that every price is stale)."""
        if not self.book.set_connected(market, connected):
            return
        if connected:
            self.gaps.fill([symbol for symbol in self.book.symbols if symbol.market == market])
        else:
            self.tell_stale()

    def open(self, topic: Topic) -> None:
        """Somebody wants the price, or the trades, of a symbol."""
        if topic.channel == PRICE:
            self._journal.open(topic)
        self.gaps.fill([topic.of])

    def close(self, topic: Topic) -> None:
        """Nobody wants it any more."""
        if topic.channel == PRICE:
            self._journal.close(topic)
        if not self._wants(topic.of):
            self.book.drop(topic.of)
            self._shown_stale.pop(topic.of, None)
            self._shown.pop(topic.of, None)

    def forget(self) -> None:
        """Another worker knows the prices from now on, or they are learned anew."""
        for symbol in self.book.symbols:
            self.book.drop(symbol)
        self._shown_stale.clear()
        self._shown.clear()

    def greet(self, topic: Topic) -> Document | None:
        """The newest price."""
        document = self.book.update(topic.of)
        return self._journal.stamped(topic, document) if document else None

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:  # noqa: ARG002  # as the others'
        """The newest is enough."""
        return event, document

    def warn(self, topic: Topic) -> Document | None:  # noqa: ARG002  # as the others'
        """Nothing: a price says itself that it is stale."""
        return None

    def check(self) -> None:
        """About once a second; may block while REST is asked."""
        self.gaps.check_silent()

    def price(self, symbol: Symbol) -> tuple[Document | orjson.Fragment, str, float, bool]:
        """`price_update` (as JSON where it was asked for before), source (`cache` or `rest`), age in seconds, stale.

        Of a symbol, streamed or not. Raises NotFound for one that has no price, Unavailable when the exchange can't be
        asked (retry).
        """
        found = self.book.state(symbol)
        if found is None:
            return self._asked(symbol)
        state, age_s = found
        shown = self._shown.get(symbol)
        topic = shown.topic if shown else Topic(PRICE, *symbol)
        stamp = self._journal.stamp(topic)
        if shown is None or shown.state != state or shown.stamp != stamp:
            json = orjson.Fragment(orjson.dumps(self._journal.stamped(topic, document(symbol, state))))
            shown = self._shown[symbol] = _Shown(topic, state, stamp, json)
        return shown.json, "cache", age_s, state[2]

    def _asked(self, symbol: Symbol) -> tuple[Document, str, float, bool]:
        day, since_asked_s = self._fetched.get(symbol, (PRICE,), lambda: self._ask(symbol))
        update = document(symbol, (day.price, day.event_ms, False, day, None))
        age_s = max(since_asked_s, self.book.event_age_s(day.event_ms))
        return self._journal.stamped(Topic(PRICE, *symbol), update), "rest", age_s, False

    def tell_stale(self) -> None:
        """Subscribers learn at once that a price is not the market's any more, and when it is again."""
        for symbol in self.book.symbols:
            if self._shown_stale.get(symbol) != self.book.is_stale(symbol):
                self._publish(symbol)

    def _publish(self, symbol: Symbol) -> None:
        price, topic = self.book.price(symbol), Topic(PRICE, *symbol)
        if price is None:
            return
        self._shown_stale[symbol] = self.book.is_stale(symbol)
        if not self._journal.is_heard(topic):
            self._journal.pass_over(topic)
        elif document := self.book.update(symbol):
            self._journal.publish(topic, self.event, document)
        self.watch(symbol, price)

    def _wants(self, symbol: Symbol) -> bool:
        """A few frames still arrive after UNSUBSCRIBE; they must not bring the symbol back."""
        is_wanted = self._wanted.is_wanted
        return is_wanted(Topic(PRICE, *symbol)) or is_wanted(Topic(TRADES, *symbol))

    def _ask(self, symbol: Symbol) -> Ticker:
        ticker = self._exchange.tickers(symbol.market, [symbol.name]).get(symbol.name)
        if ticker is None:
            raise NotFound(f"{symbol.name} has no price at the exchange")
        return ticker
