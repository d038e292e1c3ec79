"""What REST answers of a held price is, whatever happened before, what a new subscriber gets."""

from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unavailable
from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.fetched import Fetched
from websocket_streaming.journal import Journal
from websocket_streaming.price_book import PriceBook
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.ticks import MarkPrice, Symbol, Ticker, Trade
from websocket_streaming.topics import PRICE, Topic

NOW_MS = 1_762_000_000_000
BTC = Symbol("futures", "BTCUSDT")
TOPIC = Topic(PRICE, *BTC)


class Desk:
    """A price channel whose topic is open, on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        exchange_time = ExchangeTime(self.clock)
        exchange_time.anchor(NOW_MS, self.clock.monotonic(), self.clock.monotonic())
        self.book = PriceBook(self.clock, exchange_time)
        self.journal = Journal(self, "e", self.clock)
        self.channel = PriceChannel(
            clock=self.clock, logger=get_logger("test"), book=self.book, journal=self.journal, wanted=self,
            exchange=self, fetched=Fetched(self.clock, {"futures": SymbolList(self, self.clock)}),
            renew=lambda _topics: None,
        )  # fmt: skip
        self.channel.open(TOPIC)
        self.trade_id, self.at_ms = 10, NOW_MS
        self.ticker(1.0)

    def is_wanted(self, _topic: Topic) -> bool:
        return True

    def publish(self, topic: Topic, event: str, document: dict[str, Any]) -> None:
        pass

    def send(self, name: str, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        pass

    def has_room(self, name: str) -> bool:
        return True

    def list_symbols(self) -> frozenset[str]:
        return frozenset((BTC.name,))

    def tickers(self, market: str, names: list[str]) -> dict[str, Ticker]:
        raise Unavailable("away")

    def trade(self, price: float) -> None:
        self.trade_id += 1
        self.channel.on_trade(BTC, Trade(price, self.trade_id, self.at_ms, 1.0, self.at_ms, True))

    def ticker(self, price: float) -> None:
        self.channel.on_ticker(BTC, Ticker(price, self.trade_id, self.at_ms, 5.0, 120.0, 90.0, 1.5, price))

    def mark(self, price: float) -> None:
        self.channel.on_mark(BTC, MarkPrice(self.at_ms, price, price, 0.01, self.at_ms))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.at_ms += round(seconds * 1000)

    def connect(self, number: float) -> None:
        self.channel.on_connection("futures", number > 2)

    def follow(self, number: float) -> None:
        self.journal.follow(TOPIC) if number > 2 else self.journal.unfollow(TOPIC)

    def other_venue(self, number: float) -> None:
        self.journal.venue = f"venue {number}"

    def reopen(self, _number: float) -> None:
        self.channel.close(TOPIC)
        self.journal.begin("another", relays=False)
        self.channel.open(TOPIC)


STEPS = ["trade", "ticker", "mark", "advance", "connect", "follow", "other_venue", "reopen"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([0.5, 1.0, 2.0, 3.0, 11.0])), max_size=20))
def test_rest_says_what_a_new_subscriber_gets(steps: list[tuple[str, float]]) -> None:
    desk = Desk()
    for name, number in steps:
        getattr(desk, name)(number)
        for _ in range(2):  # made, and from memory
            answer, source, age_s, stale = desk.channel.price(BTC)
            newest = desk.channel.greet(TOPIC)
            assert orjson.loads(orjson.dumps(answer)) == newest
            assert newest is not None
            assert (source, age_s, stale) == ("cache", desk.book.age_s(BTC), newest["stale"])
