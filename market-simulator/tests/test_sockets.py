"""Sockets from a client's view: paths, commands and their errors, what each stream carries."""

import threading
from itertools import pairwise
from typing import Any

import pytest
import websocket

from market_simulator.wire.limits import STREAMS_PER_CONNECTION

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

KEYS = {
    "trade": "e E s t p q T m M",
    "aggTrade": "e E s a p q f l T m M",
    "bookTicker": "u s b B a A",
    "depth@100ms": "e E s U u b a",
    "depth": "e E s U u b a",
    "depth5": "lastUpdateId bids asks",
    "depth20@100ms": "lastUpdateId bids asks",
    "kline_1m": "e E s k",
    "miniTicker": "e E s c o h l v q",
    "ticker": "e E s p P w x c Q b B a A o h l v q O C F L n",
    "ticker_1h": "e E s p P o h l c w v q O C F L n",
    "avgPrice": "e E s i w T",
}


@pytest.mark.parametrize("suffix", KEYS)
def test_a_stream_carries_its_payload_with_keys_in_wire_order(simulator: Any, suffix: str) -> None:
    name = f"btcusdt@{suffix}"
    raw, combined = simulator.socket(f"/ws/{name}"), simulator.socket(f"/stream?streams={name}")
    frame = combined.receive()
    assert list(frame) == ["stream", "data"]
    assert frame["stream"] == name
    assert list(frame["data"]) == KEYS[suffix].split()
    assert list(raw.receive()) == KEYS[suffix].split()


@pytest.mark.parametrize("name", ["!miniTicker@arr", "!ticker_1h@arr"])
def test_array_streams_carry_arrays_of_changed_symbols(simulator: Any, name: str) -> None:
    rows = simulator.socket(f"/ws/{name}").receive()
    assert isinstance(rows, list)
    assert rows
    assert {row["s"] for row in rows} <= set(simulator.status()["symbols"])


def test_several_streams_may_stand_in_a_raw_path(simulator: Any) -> None:
    socket = simulator.socket("/ws/btcusdt@trade/btcusdt@kline_1m")
    assert socket.call("LIST_SUBSCRIPTIONS") == {"result": ["btcusdt@trade", "btcusdt@kline_1m"], "id": 1}


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/ws/0", "/stream", "/stream?streams=", "/ws/nonsense"])
def test_a_bare_numeric_or_senseless_path_is_an_empty_subscription(simulator: Any, path: str) -> None:
    assert simulator.socket(path).call("LIST_SUBSCRIPTIONS")["result"] == []


def test_percent_encoded_urls_and_a_zone_in_the_name_are_understood(simulator: Any) -> None:
    socket = simulator.socket("/stream?streams=btcusdt%40trade%2Fbtcusdt@kline_1d@+08:00")
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade", "btcusdt@kline_1d@+08:00"]


def test_subscribe_and_unsubscribe_answer_null_and_begin_and_end_the_data(simulator: Any) -> None:
    socket = simulator.socket("/ws")
    assert socket.call("SUBSCRIBE", ["btcusdt@bookTicker"]) == {"result": None, "id": 1}
    assert socket.receive()["s"] == "BTCUSDT"
    assert socket.call("UNSUBSCRIBE", ["btcusdt@bookTicker"]) == {"result": None, "id": 2}
    assert socket.collect(1.0) == []


def test_subscribing_twice_gives_one_copy(simulator: Any) -> None:
    socket = simulator.socket("/ws/btcusdt@trade")
    assert socket.call("SUBSCRIBE", ["btcusdt@trade", "btcusdt@trade"])["result"] is None
    ids = [frame["t"] for frame in socket.collect(2.0)]
    assert len(ids) == len(set(ids)) > 0


def test_the_stream_field_echoes_the_name_as_subscribed(simulator: Any) -> None:
    socket = simulator.socket("/stream")
    socket.call("SUBSCRIBE", ["btcusdt@depth", "btcusdt@depth@1000ms"])
    names = {socket.wait_for(lambda frame: "stream" in frame)["stream"] for _ in range(2)}
    assert names == {"btcusdt@depth", "btcusdt@depth@1000ms"}


def test_answers_are_never_wrapped(simulator: Any) -> None:
    socket = simulator.socket("/stream")
    assert socket.call("SUBSCRIBE", ["btcusdt@trade"]) == {"result": None, "id": 1}


def test_the_combined_property_switches_the_shape(simulator: Any) -> None:
    socket = simulator.socket("/ws/btcusdt@bookTicker")
    assert socket.call("GET_PROPERTY", ["combined"])["result"] is False
    assert socket.call("SET_PROPERTY", ["combined", True])["result"] is None
    assert socket.receive()["stream"] == "btcusdt@bookTicker"
    assert socket.call("GET_PROPERTY", ["combined"])["result"] is True
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@bookTicker"]


def test_an_unknown_symbol_is_accepted_and_silent(simulator: Any) -> None:
    socket = simulator.socket("/ws")
    assert socket.call("SUBSCRIBE", ["xrpxrp@miniTicker", "BTCUSDT@trade"])["result"] is None
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == ["xrpxrp@miniTicker", "BTCUSDT@trade"]
    assert socket.collect(1.5) == []


@pytest.mark.parametrize(
    "path", ["/market/ws/btcusdt@bookTicker", "/market/stream?streams=btcusdt@depth", "/market/ws/7"]
)
def test_the_wrong_route_of_futures_accepts_and_stays_silent(simulator: Any, path: str) -> None:
    socket = simulator.socket(path)
    assert socket.call("SUBSCRIBE", ["btcusdt@bookTicker"]) == {"result": None, "id": 1}
    assert socket.collect(1.0) == []


def test_microseconds_on_request(simulator: Any) -> None:
    trade = simulator.socket("/ws/btcusdt@trade?timeUnit=MICROSECOND").receive()
    assert len(str(trade["E"])) == len(str(trade["T"])) == 16
    assert len(str(simulator.socket("/stream?streams=btcusdt@trade").receive()["data"]["T"])) == 13


def test_a_bad_time_unit_ends_the_socket(simulator: Any) -> None:
    with pytest.raises((websocket.WebSocketException, ConnectionError)):
        simulator.socket("/ws/btcusdt@trade?timeUnit=second").receive()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"method":"SET_PROPERTY","params":["nope",true],"id":9}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":9}', 1),
        ('{"method":"SUBSCRIBE","params":["btcusdt@nope"],"id":9}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@nope"],"id":9}', 2),
        ('{"method":"NOPE","id":9}', 2),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":9}', 2),
        ("not json", 3),
    ],
)
def test_each_wrong_command_gets_its_code_and_changes_nothing(simulator: Any, text: str, code: int) -> None:
    socket = simulator.socket("/ws")
    socket.send(text)
    answer = socket.receive()
    assert answer["code"] == code
    assert answer["msg"]
    assert answer["id"] == (None if code == 3 else 9)
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == []


def test_command_errors_are_nested_where_the_settings_say_so(start_simulator: Any) -> None:
    socket = start_simulator({"SIM_WS_ERRORS": "nested"}).socket("/ws")
    answer = socket.call("SUBSCRIBE", ["nope"])
    assert answer == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 1}


def test_at_most_1024_streams_on_a_connection(simulator: Any) -> None:
    socket = simulator.socket("/ws")
    names = [f"s{number}usdt@trade" for number in range(STREAMS_PER_CONNECTION)]
    assert socket.call("SUBSCRIBE", names)["result"] is None
    assert socket.call("SUBSCRIBE", ["onemore@trade"])["code"] == 2
    assert len(socket.call("LIST_SUBSCRIPTIONS")["result"]) == STREAMS_PER_CONNECTION


def test_trade_ids_have_no_hole_and_a_kline_agrees_with_them(simulator: Any) -> None:
    socket = simulator.socket("/stream?streams=btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m")
    frames = socket.collect(4.0)
    trades = {frame["data"]["t"]: frame["data"] for frame in frames if frame["stream"].endswith("@trade")}
    groups = [frame["data"] for frame in frames if frame["stream"].endswith("@aggTrade")]
    assert sorted(trades) == list(range(min(trades), max(trades) + 1))
    assert all(right["f"] == left["l"] + 1 for left, right in pairwise(groups))
    whole = next(group for group in groups[1:] if group["f"] in trades)
    assert whole["p"] == trades[whole["f"]]["p"]
    bar = next(frame["data"]["k"] for frame in frames if frame["stream"].endswith("@kline_1m"))
    assert bar["L"] - bar["f"] + 1 == bar["n"]


def test_a_finished_bar_comes_once_and_agrees_with_its_trades(simulator: Any) -> None:
    socket = simulator.socket("/ws/btcusdt@kline_1s")
    bars = [frame["k"] for frame in socket.collect(4.5)]
    assert len(bars) >= 3
    assert all(bar["x"] and right["t"] == bar["t"] + 1000 for bar, right in pairwise(bars))
    rows = simulator.api("klines", symbol="BTCUSDT", interval="1s", startTime=bars[0]["t"], endTime=bars[-1]["t"])
    for bar, row in zip(bars, rows, strict=True):
        assert [bar[key] for key in "tohlcvTqnVQ"] == row[:11]


def test_pings_carry_a_payload_and_only_a_true_pong_keeps_the_link(start_simulator: Any) -> None:
    simulator = start_simulator({"SIM_PING_S": "0.2", "SIM_PONG_TIMEOUT_S": "1.5", "SIM_LIMITS": "false"})
    good, liar = simulator.socket("/ws/btcusdt@trade"), simulator.socket("/ws/btcusdt@trade", pongs=False)

    def lie() -> None:
        while True:
            liar.ws.pong("")
            liar.receive()
            good.collect(0.01)

    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        lie()
    assert liar.pings[0].isdigit()
    assert good.collect(0.5), "who answers stays"


def test_a_socket_is_closed_at_the_end_of_its_life(start_simulator: Any) -> None:
    socket = start_simulator({"SIM_CONNECTION_LIFE_S": "1"}).socket("/ws/btcusdt@trade")
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1001"):
        socket.wait_for(lambda frame: False, timeout_s=10)


def test_the_sixth_message_in_a_second_ends_the_connection(start_simulator: Any) -> None:
    socket = start_simulator().socket("/ws")
    for _ in range(6):
        socket.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    for _ in range(5):
        assert socket.receive()["result"] == []
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1008"):
        socket.receive()


def test_a_client_that_does_not_read_is_closed_and_others_go_on(start_simulator: Any) -> None:
    simulator = start_simulator({"SIM_SPEED": "100", "SIM_LIMITS": "false"})
    names = "/".join(f"btcusdt@{suffix}" for suffix in ("depth@100ms", "bookTicker", "trade", "depth20@100ms"))
    simulator.socket(f"/stream?streams={names}")
    good = simulator.socket("/ws/btcusdt@trade")
    for _ in range(600):
        good.collect(0.1)
        if simulator.get("/stats").json()["data"]["sockets_overflowed"]:
            break
    stats = simulator.get("/stats").json()["data"]
    assert (stats["sockets_overflowed"], stats["sockets"]) == (1, 1)
    assert good.receive()["e"] == "trade"


def test_a_stopping_simulator_closes_its_sockets_and_exits_cleanly(start_simulator: Any) -> None:
    simulator = start_simulator()
    socket = simulator.socket("/ws/btcusdt@trade")
    socket.receive()
    stopped: list[int] = []
    stopping = threading.Thread(target=lambda: stopped.append(simulator.process.stop()))
    stopping.start()
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1001"):
        socket.wait_for(lambda frame: False)
    stopping.join(15)
    assert stopped == [0]
