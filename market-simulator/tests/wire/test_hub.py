"""The hub on the recorded market and a clock that moves when told: who gets what, when, in which form."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from market_simulator.market import SymbolMarket
from market_simulator.recorded.market import RecordedMarket
from market_simulator.sim_clock import SimClock
from market_simulator.symbols import RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.wire.frame_rules import Reorder, Silence, Target
from market_simulator.wire.hub import Form, Hub
from market_simulator.wire.streams import parse_stream
from market_simulator.wire.timed import spot_feed
from shared.testing.fakes import FakeClock
from shared.websocket_frames import FrameParser

pytestmark = pytest.mark.unit

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Client:
    """Collects frames as a socket would get them."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send_data(self, frame: bytes) -> None:
        self.frames.append(frame)

    def payloads(self) -> list[Any]:
        return [
            orjson.loads(message.data)
            for message in FrameParser(masked=False, max_message_bytes=10**7).feed(b"".join(self.frames))
        ]


class Stage:
    """A hub and its clock."""

    def __init__(self, markets: dict[str, SymbolMarket]) -> None:
        self.clock = FakeClock(NOON)
        self.hub = Hub(markets, SimClock(self.clock))

    def listen(self, name: str, combined: bool = False, scale: int = 1) -> Client:
        client = Client()
        self.hub.add(client, parse_stream(name), Form(name, combined, scale))
        return client

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.hub.tick()


@pytest.fixture(scope="module")
def markets() -> dict[str, SymbolMarket]:
    folder = Path(__file__).parents[2] / "tape"
    return {
        info.symbol: RecordedMarket(info, load_tape(folder / f"binance-spot-{info.symbol.lower()}_20240808.txt.gz"))
        for info in RECORDED
    }


@pytest.fixture
def stage(markets: dict[str, SymbolMarket]) -> Stage:
    return Stage(markets)


ALL = [
    "trade",
    "aggTrade",
    "bookTicker",
    "depth",
    "depth@100ms",
    "depth5",
    "depth20@100ms",
    "kline_1m",
    "ticker",
    "avgPrice",
]


@pytest.mark.parametrize("suffix", ALL)
def test_nothing_is_pushed_because_of_subscribing(stage: Stage, suffix: str) -> None:
    stage.hub.catch_up("BTCUSDT")
    stage.clock.advance(20)
    client = stage.listen(f"btcusdt@{suffix}")
    stage.hub.tick()
    assert client.frames == []


def test_subscribers_of_one_form_get_the_same_bytes_object(stage: Stage) -> None:
    one, two, other = stage.listen("btcusdt@trade"), stage.listen("btcusdt@trade"), stage.listen("btcusdt@trade", True)
    stage.run(2)
    assert one.frames
    assert all(left is right for left, right in zip(one.frames, two.frames, strict=True))
    assert [frame["data"] for frame in other.payloads()] == one.payloads()
    assert stage.hub.frames_encoded == 2 * len(one.frames)
    assert stage.hub.frames_sent == 3 * len(one.frames)


def test_a_late_subscriber_joins_the_same_sequence(stage: Stage) -> None:
    early = stage.listen("btcusdt@trade")
    stage.run(2)
    late = stage.listen("btcusdt@trade")
    count = len(early.frames)
    stage.run(2)
    assert late.payloads() == early.payloads()[count:] != []


def test_a_rest_call_between_two_ticks_loses_no_event(stage: Stage) -> None:
    client = stage.listen("btcusdt@depth@100ms")
    for _ in range(20):
        stage.run(0.2)
        stage.clock.advance(0.15)
        stage.hub.catch_up("BTCUSDT")
    events = client.payloads()
    assert len(events) > 50
    assert all(right["U"] == left["u"] + 1 for left, right in pairwise(events))


def test_timed_streams_beat_once_a_second_and_klines_every_two(stage: Stage) -> None:
    ticker, kline = stage.listen("btcusdt@ticker"), stage.listen("btcusdt@kline_5m")
    stage.run(10)
    assert len(ticker.frames) == 10
    assert len(kline.frames) in (5, 6)


def test_the_one_second_depth_is_the_fast_one_merged(stage: Stage) -> None:
    fast, slow = stage.listen("btcusdt@depth@100ms"), stage.listen("btcusdt@depth")
    stage.run(5)
    pieces, merged = fast.payloads(), slow.payloads()
    assert 4 <= len(merged) <= 5
    assert merged[0]["U"] == pieces[0]["U"]
    assert all(right["U"] == left["u"] + 1 for left, right in pairwise(merged))
    first = [piece for piece in pieces if piece["u"] <= merged[0]["u"]]
    newest = {price: quantity for piece in first for price, quantity in piece["b"]}
    assert dict(merged[0]["b"]) == newest


def test_a_finished_bar_comes_once_and_holds_all_its_trades(stage: Stage) -> None:
    client = stage.listen("btcusdt@kline_1m")
    stage.run(130)
    closed = [frame["k"] for frame in client.payloads() if frame["k"]["x"]]
    assert [bar["t"] for bar in closed] == [int(NOON.timestamp() + 60 * number) * 1000 for number in range(len(closed))]
    assert len(closed) == 2
    market = stage.hub.all()["BTCUSDT"]
    rows = market.klines(stage.hub.now_ms(), "1m", limit=2, start_ms=closed[0]["t"])
    assert [(bar["f"], bar["L"], bar["n"]) for bar in closed] == [
        (row.first_id, row.last_id, row.trades) for row in rows
    ]


def test_an_array_holds_only_what_changed(stage: Stage) -> None:
    now_ms = int(NOON.timestamp() * 1000)
    array = spot_feed(parse_stream("!miniTicker@arr"), None, stage.hub, now_ms)
    assert array.beat(now_ms) == [], "nothing changed, nothing is pushed"
    ((_, build),) = array.beat(now_ms + 5000)
    assert [row["s"] for row in build(1)] == ["BTCUSDT", "ETHUSDT"]
    assert array.beat(now_ms + 5000) == []


def test_dropped_frames_are_the_recorded_ones_for_every_form(stage: Stage) -> None:
    raw, wrapped = stage.listen("btcusdt@trade"), stage.listen("btcusdt@trade", True)
    rule = Silence(Target(parse_stream("btcusdt@trade")), seed=5, share=0.3)
    stage.hub.rules.add(rule)
    stage.run(20)
    ids = [frame["t"] for frame in raw.payloads()]
    assert [frame["data"]["t"] for frame in wrapped.payloads()] == ids
    dropped = [one["id"] for one in rule.truth()["newest"]]
    assert rule.struck == len(dropped) > 0
    every = sorted([*ids, *dropped])
    assert every == list(range(every[0], every[0] + len(every)))


def test_a_frame_held_by_a_rule_leaves_when_it_is_due_or_the_rule_ends(stage: Stage) -> None:
    client = stage.listen("btcusdt@trade")
    rule = Reorder(Target(parse_stream("btcusdt@trade")), seed=5, places=10**6)
    stage.hub.rules.add(rule)
    stage.run(9)
    held = rule.truth()["newest"][0]["id"]
    assert held not in [frame["t"] for frame in client.payloads()]
    stage.run(5)
    assert held in [frame["t"] for frame in client.payloads()]
    held = rule.truth()["newest"][-1]["id"]
    stage.hub.release(stage.hub.rules.remove(rule, stage.hub.now_ms()))
    assert client.payloads()[-1]["t"] == held


def test_nothing_is_left_of_a_client_that_went(stage: Stage) -> None:
    client = stage.listen("btcusdt@trade")
    stage.hub.remove(client, parse_stream("btcusdt@trade"), Form("btcusdt@trade", False, 1))
    stage.hub.remove(client, parse_stream("btcusdt@trade"), Form("btcusdt@trade", False, 1))
    stage.run(1)
    assert client.frames == []
    assert set(stage.hub.listening().values()) == {0}
