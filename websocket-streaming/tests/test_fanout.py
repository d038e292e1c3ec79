"""The fan-out: everything to who keeps up, the newest to who doesn't, nothing to who didn't ask."""

import orjson
import pytest

from shared.testing.fakes import FakeClock
from websocket_streaming.fanout import Fanout, Update
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.topics import Topic

BTC, ETH = Topic("price", "spot", "BTCUSDT"), Topic("price", "spot", "ETHUSDT")


class Client:
    """Takes as many updates as the test lets it."""

    def __init__(self, room: int = 1000) -> None:
        self.room = room
        self.got: list[int] = []

    @property
    def has_room(self) -> bool:
        return len(self.got) < self.room

    def push(self, update: Update) -> None:
        packet = update.packet.encode()
        self.got.append(orjson.loads(packet[2:])[1]["n"])


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions([BTC, ETH], 200)


@pytest.fixture
def fanout(subscriptions: Subscriptions) -> Fanout:
    return Fanout(subscriptions, FakeClock())


def join(fanout: Fanout, subscriptions: Subscriptions, name: str, topics: list[Topic], room: int = 1000) -> Client:
    client = Client(room)
    fanout.join(name, client)
    subscriptions.add(name, topics)
    return client


def test_only_subscribers_receive_and_each_in_order(fanout: Fanout, subscriptions: Subscriptions) -> None:
    a = join(fanout, subscriptions, "a", [BTC])
    b = join(fanout, subscriptions, "b", [ETH])
    c = join(fanout, subscriptions, "c", [])
    for n in range(3):
        fanout.publish(BTC, "price_update", {"n": n})
    assert (a.got, b.got, c.got) == ([0, 1, 2], [], [])
    assert fanout.sent.total == 3


def test_a_slow_client_gets_the_newest_of_each_topic_when_it_has_room_again(
    fanout: Fanout, subscriptions: Subscriptions
) -> None:
    slow = join(fanout, subscriptions, "slow", [BTC, ETH], room=1)
    good = join(fanout, subscriptions, "good", [BTC, ETH])
    for n in range(0, 1000, 2):
        fanout.publish(BTC, "price_update", {"n": n})
        fanout.publish(ETH, "price_update", {"n": n + 1})
    assert len(good.got) == 1000
    assert slow.got == [0]
    slow.room = 100
    assert fanout.flush() is False
    assert sorted(slow.got) == [0, 998, 999]
    fanout.publish(BTC, "price_update", {"n": 5000})
    assert slow.got[-1] == 5000


def test_what_waits_for_a_client_goes_with_it(fanout: Fanout, subscriptions: Subscriptions) -> None:
    slow = join(fanout, subscriptions, "slow", [BTC], room=0)
    fanout.publish(BTC, "price_update", {"n": 1})
    assert fanout.flush() is True
    fanout.leave("slow")
    slow.room = 10
    assert fanout.flush() is False
    assert slow.got == []


def test_both_transports_carry_the_same_document() -> None:
    update = Update("price_update", {"symbol": "BTCUSDT", "price": 1.5})
    assert update.packet.encode() == '42["price_update",{"symbol":"BTCUSDT","price":1.5}]'
    assert orjson.loads(update.frame[2:]) == {"event": "price_update", "data": {"symbol": "BTCUSDT", "price": 1.5}}
