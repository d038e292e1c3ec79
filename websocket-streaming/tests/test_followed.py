"""What a follower makes of the leader's messages: exact books, holes that are noticed, honest staleness."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from shared.logger import get_logger
from shared.redis_cache import RedisCache
from shared.testing.fakes import FakeClock
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.feeds.shared_feed import Inbox
from websocket_streaming.followed import Followed
from websocket_streaming.journal import Journal
from websocket_streaming.rates import Rate
from websocket_streaming.ticks import Symbol
from websocket_streaming.topics import Position, Topic

pytestmark = pytest.mark.unit

BTC = Symbol("spot", "BTCUSDT")
BOOK, PRICE, TRADES = (Topic(channel, *BTC) for channel in ("orderbook", "price", "trades"))
KLINES = Topic("klines", *BTC, "1m")
LONG = "0.12345678901234567"  # no float is that number


def stamped(seq: int, **fields: Any) -> dict[str, Any]:
    return {**fields, "seq": seq, "epoch": "e1", "venue": "simulator"}


def delta(seq: int, bids: str) -> bytes:
    fields = f'"type":"delta","update_id":{seq},"previous_update_id":{seq - 1},"seq":{seq},"epoch":"e1"'
    return f'[["orderbook","spot","BTCUSDT",""],"orderbook_update",{{"bids":{bids},"asks":[],{fields}}}]'.encode()


def word(topic: Topic, event: str, newest: dict[str, Any] | None, warning: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps([topic[:], event, newest, warning])


def update(topic: Topic, event: str, document: dict[str, Any]) -> bytes:
    return orjson.dumps([topic[:], event, document])


SNAPSHOT = stamped(5, bids=[[100.0, 2.0], [99.5, 1.0]], asks=[[101.0, 3.0]], type="snapshot", update_id=5, stale=False)


class Desk:
    """A follower of the epoch `e1`; `told` is what its clients got."""

    def __init__(self) -> None:
        self.clock, self.number = FakeClock(), 0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.journal = Journal(self, "own", self.clock)
        self.followed = Followed(self.clock, ExchangeTime(self.clock), self.journal)
        self.journal.begin("e1", relays=True)
        self.inbox = Inbox(
            RedisCache(enabled=False), "updates", self.followed, self.journal, Rate(self.clock), self.clock,
            get_logger("test"),
        )  # fmt: skip
        self.inbox.epoch = "e1"
        for topic in (BOOK, PRICE, TRADES, KLINES):
            self.followed.open(topic)
            self.journal.follow(topic)
        self.say()

    def publish(self, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        self.told.append((event, dict(document)))

    def send(self, name: str, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        self.told.append((event, dict(document)))

    def has_room(self, name: str) -> bool:
        return True

    def say(self, *lines: bytes, epoch: str = "e1", connected: bool = True) -> None:
        """The leader's next message."""
        self.number += 1
        head = orjson.dumps({"epoch": epoch, "number": self.number, "connected": connected})
        self.inbox.take(b"\n".join([head, *lines]))

    @property
    def numbers(self) -> list[int]:
        return [document["seq"] for _, document in self.told]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_book_begins_with_the_leaders_word_and_keeps_numbers_exactly(desk: Desk) -> None:
    desk.say(delta(5, "[[98,1]]"))  # of a book that isn't held yet
    assert desk.told == []
    desk.say(word(BOOK, "orderbook_update", SNAPSHOT), delta(6, f"[[100.0,{LONG}],[1e-7,4]]"))
    assert desk.numbers == [5, 6]
    told = orjson.dumps(desk.told[-1][1])
    assert f"[100.0,{LONG}]".encode() in told
    found = desk.followed.order_book(BTC, 2)
    assert found is not None
    document, source, _, stale = found
    assert f"[[100.0,{LONG}],[99.5,1.0]]".encode() in orjson.dumps(document["bids"])
    assert (document["update_id"], document["seq"], source, stale) == (6, 6, "cache", False)
    snapshot = desk.followed.greet(BOOK)
    assert snapshot is not None
    assert (snapshot["type"], len(snapshot["bids"]), "previous_update_id" in snapshot) == ("snapshot", 3, False)


def test_a_lost_message_is_noticed_and_the_leader_asked_for_its_word_about_all(desk: Desk) -> None:
    desk.say(word(BOOK, "orderbook_update", SNAPSHOT), word(PRICE, "price_update", stamped(1, price=1.0)))
    holes = desk.inbox.holes
    desk.number += 1
    desk.say(delta(7, "[[97,1]]"))
    assert desk.inbox.holes == holes + 1
    assert (desk.followed.greet(BOOK), desk.followed.greet(PRICE)) == (None, None)
    desk.say(word(BOOK, "orderbook_update", SNAPSHOT | {"seq": 7, "update_id": 7}), delta(8, "[[97,1]]"))
    assert desk.numbers == [5, 1, 7, 8]


def test_a_word_about_what_came_whole_is_no_news(desk: Desk) -> None:
    desk.say(update(TRADES, "trade", stamped(4, price=1.0)))
    desk.say(word(TRADES, "trade", stamped(4, price=1.0)), update(TRADES, "trade", stamped(5, price=2.0)))
    assert desk.numbers == [4, 5]
    assert desk.journal.replay("client", {TRADES: Position("e1", 4)}) == {TRADES}
    assert desk.numbers == [4, 5, 5]
    assert desk.journal.replay("client", {TRADES: Position("e1", 2)}) == set()


def test_another_epochs_messages_and_nonsense_are_left_out(desk: Desk) -> None:
    price = update(PRICE, "price_update", stamped(1, price=1.0))
    desk.say(price, epoch="e0")
    desk.inbox.take(b"nonsense")
    desk.say()
    holes = desk.inbox.holes
    desk.say(b"[1,2]", price)  # what follows on nonsense is missing, and asked for
    assert (desk.told, desk.inbox.holes) == ([], holes + 1)
    desk.say(update(Topic("price", "spot", "ADAUSDT"), "price_update", stamped(1, price=1.0)))  # nobody wants it here
    assert desk.told == []
    desk.say(price)
    assert desk.numbers == [1]


def test_what_a_worker_that_follows_publishes_itself_is_not_heard(desk: Desk) -> None:
    desk.journal.publish(PRICE, "price_update", {"price": 1.0})
    desk.journal.pass_over(PRICE, 3)
    assert (desk.told, desk.journal.seq(PRICE)) == ([], 0)


def test_a_silent_leader_makes_what_is_held_stale_and_a_topic_it_never_speaks_of_too(desk: Desk) -> None:
    desk.say(word(PRICE, "price_update", stamped(1, price=1.0, stale=False)))
    held = desk.followed.price(BTC)
    assert held is not None
    assert (held[0]["stale"], desk.followed.is_silent) == (False, False)
    desk.clock.advance(3.5)
    held = desk.followed.price(BTC)
    assert held is not None
    assert (held[0]["stale"], held[2], desk.followed.is_silent) == (True, 3.5, True)
    desk.followed.tell_stale()
    told = {(document["channel"], document["stale"]) for event, document in desk.told if event == "status"}
    assert told == {("orderbook", True), ("trades", True), ("klines", True)}
    assert desk.followed.warn(KLINES) is not None
    desk.say(word(KLINES, "kline", None), word(TRADES, "trade", None))
    assert [document["stale"] for event, document in desk.told if event == "status"][-2:] == [False, False]
    assert desk.followed.warn(KLINES) is None


def test_a_slow_client_gets_of_each_channel_what_the_channel_itself_would_give(desk: Desk) -> None:
    bar = stamped(2, close=7.0, source="stream")
    desk.say(word(BOOK, "orderbook_update", SNAPSHOT), update(KLINES, "kline", bar))
    late: dict[str, Any] = {"seq": 9}
    event, snapshot = desk.followed.catch_up(BOOK, "orderbook_update", late, 3)
    assert (event, snapshot["type"]) == ("orderbook_update", "snapshot")
    assert desk.followed.catch_up(TRADES, "trade", late, 3) == ("trade", {"seq": 9, "missed": 3})
    assert desk.followed.catch_up(KLINES, "status", late, 1)[1]["close"] == 7.0
    assert desk.followed.catch_up(PRICE, "price_update", late, 3) == ("price_update", late)
    desk.followed.lose()
    assert desk.followed.catch_up(BOOK, "orderbook_update", late, 3)[0] == "status"
