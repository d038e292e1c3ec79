"""The fan-out: everything to who keeps up, the newest to who doesn't, nothing to who didn't ask; each call joined."""

import threading
from typing import Any

import orjson
import pytest
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import EVENT, Packet

from shared.clock import SystemClock
from shared.testing.fakes import FakeClock
from shared.testing.net import wait_until
from shared.websocket_frames import FrameParser, Opcode, encode_frame
from websocket_streaming.fanout import GONE_AFTER_S, Fanout, Form, encode
from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.topics import Topic

BTC, ETH, SOL = (Topic("price", "spot", name) for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT"))
MANY = 1_000_000
FORMS: tuple[Form, ...] = ("socket.io", "polling")


class Client:
    """Takes as many updates as the test lets it; notes the numbers in them and how many calls brought them."""

    def __init__(self, form: Form = "socket.io", room: int = MANY) -> None:
        self.form, self.room = form, room
        self.takes_all = room > 0  # False: each call leaves bytes unsent, as a full kernel buffer does
        self.behind_s = 0.0
        self.ended = False
        self.got: list[int] = []
        self.documents: list[dict[str, Any]] = []
        self.calls = 0

    def post(self, frames: bytes) -> bool:
        documents = [_read(self.form, message.data) for message in FrameParser(masked=False).feed(frames)]
        self.documents += documents
        self.got += [document["n"] for document in documents]
        self.calls += 1
        self.room = self.room - len(documents) if self.takes_all else 0
        return self.takes_all

    def flush(self) -> bool:
        return self.room > 0

    def end(self) -> None:
        self.ended = True


def _read(form: Form, text: str | bytes) -> dict[str, Any]:
    assert isinstance(text, str)
    if form == "plain":
        event, document = orjson.loads(text).values()
    else:
        event, document = orjson.loads(text.removeprefix("42"))
    assert event == "price_update"
    return dict(document)


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions([BTC, ETH], 200)


@pytest.fixture
def fanout(subscriptions: Subscriptions) -> Fanout:
    return Fanout(subscriptions, FakeClock())


def join(fanout: Fanout, subscriptions: Subscriptions, name: str, topics: list[Topic], **options: Any) -> Client:
    client = Client(**options)
    fanout.join(name, client)
    subscriptions.add(name, topics)
    return client


def publish(fanout: Fanout, topic: Topic, n: int) -> None:
    fanout.publish(topic, "price_update", {"n": n})


def test_only_subscribers_receive_and_each_in_order(fanout: Fanout, subscriptions: Subscriptions) -> None:
    a = join(fanout, subscriptions, "a", [BTC])
    b = join(fanout, subscriptions, "b", [ETH], form="plain")
    both = join(fanout, subscriptions, "both", [BTC, ETH])
    none = join(fanout, subscriptions, "none", [])
    for n in range(3):
        publish(fanout, BTC, n)
        publish(fanout, ETH, 10 + n)
        publish(fanout, SOL, 20 + n)
    assert fanout.flush() is False
    assert (a.got, b.got, none.got) == ([0, 1, 2], [10, 11, 12], [])
    assert both.got == [0, 10, 1, 11, 2, 12]
    assert fanout.sent.total == 12


def test_what_gathers_between_two_flushes_goes_out_in_one_call(fanout: Fanout, subscriptions: Subscriptions) -> None:
    clients = [join(fanout, subscriptions, f"c{n}", [BTC, ETH]) for n in range(3)]
    for n in range(50):
        publish(fanout, BTC, n)
    fanout.flush()
    assert [(client.calls, len(client.got)) for client in clients] == [(1, 50)] * 3


def test_who_subscribes_between_publishing_and_flushing_gets_only_what_comes_after(
    fanout: Fanout, subscriptions: Subscriptions
) -> None:
    early = join(fanout, subscriptions, "early", [BTC])
    publish(fanout, BTC, 1)
    late = join(fanout, subscriptions, "late", [BTC])
    fanout.send("late", BTC, "price_update", {"n": 1})
    publish(fanout, BTC, 2)
    fanout.flush()
    publish(fanout, BTC, 3)
    fanout.flush()
    assert (early.got, late.got) == ([1, 2, 3], [1, 2, 3])


def test_what_is_sent_to_one_comes_after_what_waits_for_all(fanout: Fanout, subscriptions: Subscriptions) -> None:
    one, other = (join(fanout, subscriptions, name, [BTC]) for name in ("one", "other"))
    publish(fanout, BTC, 1)
    fanout.send("one", BTC, "price_update", {"n": 2})
    publish(fanout, BTC, 3)
    fanout.flush()
    assert (one.got, other.got) == ([1, 2, 3], [1, 3])


def test_who_unsubscribes_gets_what_was_published_until_then(fanout: Fanout, subscriptions: Subscriptions) -> None:
    client = join(fanout, subscriptions, "c", [BTC, ETH])
    publish(fanout, BTC, 1)
    subscriptions.remove("c", [BTC])
    publish(fanout, BTC, 2)
    publish(fanout, ETH, 3)
    fanout.flush()
    assert client.got == [1, 3]


def test_a_slow_client_gets_the_newest_of_each_topic_when_it_has_room_again(
    fanout: Fanout, subscriptions: Subscriptions
) -> None:
    slow = join(fanout, subscriptions, "slow", [BTC, ETH])
    good = join(fanout, subscriptions, "good", [BTC, ETH])
    slow.takes_all = False
    for n in range(0, 1000, 2):
        publish(fanout, BTC, n)
        publish(fanout, ETH, n + 1)
        fanout.flush()
    assert len(good.got) == 1000
    assert slow.got == [0, 1]
    slow.takes_all, slow.room = True, MANY
    assert fanout.flush() is False
    assert slow.got == [0, 1, 998, 999]
    publish(fanout, BTC, 5000)
    fanout.flush()
    assert slow.got[-1] == 5000


def test_a_polling_client_gets_as_many_as_it_has_room_for_and_then_the_newest(
    fanout: Fanout, subscriptions: Subscriptions
) -> None:
    client = join(fanout, subscriptions, "p", [BTC, ETH, SOL], form="polling", room=2)
    for n, topic in enumerate([BTC, ETH, SOL, SOL]):
        publish(fanout, topic, n)
    assert fanout.flush() is True
    assert client.got == [0, 1]
    client.room = 8
    assert fanout.flush() is False
    assert client.got == [0, 1, 3]


def test_who_goes_on_by_another_transport_keeps_what_waits(fanout: Fanout, subscriptions: Subscriptions) -> None:
    polling = join(fanout, subscriptions, "c", [BTC, ETH], form="polling", room=1)
    publish(fanout, BTC, 1)
    publish(fanout, ETH, 2)
    fanout.flush()
    publish(fanout, BTC, 3)
    upgraded = Client()
    fanout.join("c", upgraded)
    publish(fanout, BTC, 4)
    fanout.flush()
    publish(fanout, BTC, 5)
    fanout.flush()
    assert (polling.got, upgraded.got) == ([1], [2, 4, 5])
    assert fanout.clients == 1


def test_a_client_whose_last_bytes_wait_gets_nothing_until_they_have_left(
    fanout: Fanout, subscriptions: Subscriptions
) -> None:
    client = join(fanout, subscriptions, "c", [BTC])
    client.takes_all = False
    publish(fanout, BTC, 1)
    assert fanout.flush() is True
    publish(fanout, BTC, 2)
    publish(fanout, BTC, 3)
    assert fanout.flush() is True
    assert client.got == [1]
    client.takes_all, client.room = True, MANY
    assert fanout.flush() is False
    assert client.got == [1, 3]


def test_a_channel_may_say_what_a_slow_client_gets(subscriptions: Subscriptions) -> None:
    asked = []

    def catch_up(topic: Topic, event: str, newest: dict[str, Any], missed: int) -> tuple[str, dict[str, Any]]:
        asked.append(topic)
        return event, {**newest, "missed": missed}

    fanout = Fanout(subscriptions, FakeClock(), {"price": catch_up})
    slow = join(fanout, subscriptions, "slow", [BTC, ETH], room=0)
    publish(fanout, BTC, 0)
    fanout.flush()  # what it takes and doesn't read
    for n in range(1, 5):
        publish(fanout, BTC, n)
    publish(fanout, ETH, 9)
    fanout.flush()
    slow.takes_all, slow.room = True, MANY
    fanout.flush()
    assert slow.documents == [{"n": 0}, {"n": 4, "missed": 3}, {"n": 9}]
    assert asked == [BTC]


def test_who_does_not_read_for_long_is_closed_and_counted(fanout: Fanout, subscriptions: Subscriptions) -> None:
    stalled = join(fanout, subscriptions, "stalled", [BTC], room=0)
    publish(fanout, BTC, 1)
    fanout.flush()
    stalled.behind_s = GONE_AFTER_S
    assert (fanout.flush(), stalled.ended, fanout.slow_clients) == (True, False, 0)
    stalled.behind_s += 0.1
    assert (fanout.flush(), stalled.ended, fanout.slow_clients) == (False, True, 1)


def test_what_waits_for_a_client_goes_with_it(fanout: Fanout, subscriptions: Subscriptions) -> None:
    slow = join(fanout, subscriptions, "slow", [BTC], room=0)
    publish(fanout, BTC, 1)
    fanout.flush()
    publish(fanout, BTC, 2)
    assert fanout.flush() is True
    fanout.leave("slow")
    slow.takes_all, slow.room = True, 10
    assert fanout.flush() is False
    assert slow.got == [1]


def test_all_forms_carry_the_same_document() -> None:
    json = orjson.dumps({"symbol": "BTCUSDT", "price": 1.5})
    assert encode("socket.io", "price_update", json)[2:] == b'42["price_update",{"symbol":"BTCUSDT","price":1.5}]'
    plain = orjson.loads(encode("plain", "price_update", json)[2:])
    assert plain == {"event": "price_update", "data": {"symbol": "BTCUSDT", "price": 1.5}}


def test_the_ready_frame_is_what_the_stock_library_would_have_sent() -> None:
    document = {"symbol": "BTCUSDT", "price": 110139.71, "seq": 1842, "stale": False, "levels": [["1.50", None]]}
    stock = EnginePacket(MESSAGE, Packet(EVENT, namespace="/", data=["price_update", document]).encode()).encode()
    for form in FORMS:
        frame = encode(form, "price_update", orjson.dumps(document))
        assert frame == encode_frame(Opcode.TEXT, stock)


def test_an_idle_fan_out_sends_at_once_and_a_busy_one_joins(subscriptions: Subscriptions) -> None:
    fanout = Fanout(subscriptions, SystemClock())
    client = join(fanout, subscriptions, "c", [BTC])
    stopping = threading.Event()
    thread = threading.Thread(target=fanout.run, args=[stopping], daemon=True)
    thread.start()
    publish(fanout, BTC, 0)
    wait_until(lambda: client.got == [0], what="the first, with nothing else to come")
    for n in range(1, 5000):
        publish(fanout, BTC, n)
    wait_until(lambda: len(client.got) == 5000, what="all of them")
    stopping.set()
    thread.join(5)
    assert client.got == list(range(5000))
    assert client.calls < 2500


NAMES = st.sampled_from("abc")
TOPICS = st.sampled_from([BTC, ETH, SOL])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "publish"]), NAMES, TOPICS),
    st.tuples(st.just("flush"), NAMES, TOPICS),
)


@given(st.lists(STEPS, max_size=60))
def test_whoever_keeps_up_gets_exactly_what_was_published_while_he_was_subscribed(
    steps: list[tuple[str, str, Topic]],
) -> None:
    subscriptions = Subscriptions([BTC], 200)
    fanout = Fanout(subscriptions, FakeClock())
    clients = {name: join(fanout, subscriptions, name, []) for name in "abc"}
    wanted: set[tuple[str, Topic]] = set()
    expected: dict[str, list[int]] = {name: [] for name in "abc"}
    for n, (step, name, topic) in enumerate(steps):
        if step == "add":
            subscriptions.add(name, [topic])
            wanted.add((name, topic))
        elif step == "remove":
            subscriptions.remove(name, [topic])
            wanted.discard((name, topic))
        elif step == "publish":
            publish(fanout, topic, n)
            for who in "abc":
                if (who, topic) in wanted:
                    expected[who].append(n)
        else:
            fanout.flush()
    fanout.flush()
    assert {name: client.got for name, client in clients.items()} == expected
