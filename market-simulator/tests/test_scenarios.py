"""Each scenario from a client's view, and the ground truth that /sim/status tells about it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

ENDED = (websocket.WebSocketConnectionClosedException, ConnectionError)


@pytest.fixture(scope="module")
def lying_process() -> Iterator[ServiceProcess]:
    """A simulator of this file's own: other tests must not meet its lies."""
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as process:
        yield process


@pytest.fixture
def liar(lying_process: ServiceProcess, simulator: Any) -> Iterator[Any]:
    one = type(simulator)(lying_process)
    yield one
    one.close_sockets()
    for scenario in one.status()["scenarios"]:
        if scenario["running"]:
            one.end(scenario["id"])


def test_the_menu_lists_what_works(liar: Any) -> None:
    menu = {entry["name"]: entry for entry in liar.get("/sim/scenarios").json()["data"]}
    assert menu.keys() == {"outage", "cut", "silent_socket", "drop", "server_shutdown", "flash_crash"}
    assert "depth_pct" in menu["flash_crash"]["params"]


def test_outage_answers_5xx_drops_sockets_and_ends_by_itself(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("outage", duration_s=1.5, params={"status": 502})
    answer = liar.get("/api/v3/time")
    assert answer.status_code == 502
    assert answer.json()["code"] == -1001
    with pytest.raises(ENDED):
        socket.wait_for(lambda frame: False)
    with pytest.raises((*ENDED, websocket.WebSocketException)):
        liar.socket("/ws/btcusdt@trade").receive()
    assert liar.get("/health").status_code == 200, "the simulator itself is well"
    wait_until(lambda: liar.get("/api/v3/time").status_code == 200, 5.0)
    assert liar.socket("/ws/btcusdt@trade").receive()["e"] == "trade"
    truth = liar.truth(begun["id"])
    assert (truth["running"], truth["planted"]) == (False, {"sockets_dropped": 1})


def test_an_outage_can_be_ended(liar: Any) -> None:
    begun = liar.begin("outage", duration_s=600)
    assert liar.get("/api/v3/ping").status_code == 503
    liar.end(begun["id"])
    assert liar.get("/api/v3/ping").status_code == 200


def test_cut_breaks_the_sockets_of_a_symbol_without_a_close_frame(liar: Any) -> None:
    btc, eth = liar.socket("/ws/btcusdt@trade"), liar.socket("/ws/ethusdt@trade")
    assert btc.receive()
    assert eth.receive()
    assert liar.begin("cut", symbol="BTCUSDT")["planted"] == {"sockets_cut": 1}
    with pytest.raises(ENDED) as caught:
        btc.wait_for(lambda frame: False)
    assert "closed with" not in str(caught.value)
    assert eth.collect(1.5), "the other goes on"


def test_a_silent_socket_stays_open_and_answers_but_carries_no_data(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@bookTicker")
    socket.receive()
    begun = liar.begin("silent_socket", duration_s=60)
    assert begun["planted"]["sockets_silenced"] == 1
    socket.call("LIST_SUBSCRIPTIONS")
    assert socket.collect(1.0) == []
    assert liar.socket("/ws/btcusdt@bookTicker").receive(), "a new one is not touched"
    liar.end(begun["id"])
    assert socket.receive()["s"] == "BTCUSDT"


def test_drop_leaves_out_exactly_the_frames_it_names(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@bookTicker")
    witness = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("drop", duration_s=60, params={"stream": "btcusdt@trade", "share": 0.5}, seed=7)
    ids = [frame["t"] for frame in witness.collect(4.0)]
    truth = liar.end(begun["id"])["planted"]
    missing = [id for id in range(ids[0], ids[-1]) if id not in ids]
    assert missing
    assert set(missing) <= set(truth["newest_ids"])
    assert not set(ids) & set(truth["newest_ids"])
    assert socket.collect(0.5), "another stream loses nothing"


@pytest.mark.parametrize(
    ("path", "stream"), [("/ws/btcusdt@trade", None), ("/stream?streams=btcusdt@trade", "!serverShutdown")]
)
def test_server_shutdown_warns_in_the_sockets_shape_and_closes(liar: Any, path: str, stream: str | None) -> None:
    socket = liar.socket(path)
    begun = liar.begin("server_shutdown", duration_s=1)
    frame = socket.wait_for(lambda frame: "serverShutdown" in str(frame))
    assert frame.get("stream") == stream
    event = frame.get("data", frame)
    assert event == {"e": "serverShutdown", "E": begun["planted"]["event_time"]}
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1001"):
        socket.wait_for(lambda frame: False)
    assert liar.socket(path).receive(), "a new connection is served"


def test_flash_crash_moves_trades_book_and_klines_alike_and_comes_back(start_simulator: Any) -> None:
    liar = start_simulator({"SIM_SPEED": "2", "SIM_LIMITS": "false"})
    socket = liar.socket("/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms")
    begun = liar.begin("flash_crash", symbol="BTCUSDT", duration_s=10, params={"depth_pct": 10}, seed=3)
    planted = begun["planted"]
    before, lowest = float(planted["price_before"]), float(planted["lowest_shift"])
    assert lowest == pytest.approx(-before / 10, rel=1e-3)
    frames = []
    while (frame := socket.receive())["data"].get("E", 0) < planted["end_ms"] + 1500:
        frames.append(frame["data"])
    trades = [frame for frame in frames if frame.get("e") == "trade"]
    prices = [float(trade["p"]) for trade in trades]
    assert min(prices) < before * 0.93
    assert prices[-1] > before * 0.99, "it has recovered"
    tops = [frame for frame in frames if "B" in frame]
    assert min(float(top["b"]) for top in tops) < before * 0.92
    assert all(float(top["b"]) < float(top["a"]) for top in tops)
    low = min(
        float(row[3]) for row in liar.api("klines", symbol="BTCUSDT", interval="1s", startTime=planted["start_ms"])
    )
    assert low <= min(prices)
    truth = liar.truth(begun["id"])["planted"]
    moved = [trade["t"] for trade in trades if float(trade["p"]) < before * 0.95]
    assert truth["first_trade_id"] <= moved[0] <= moved[-1] <= truth["last_trade_id"]
    history = liar.api("historicalTrades", symbol="BTCUSDT", fromId=moved[0], limit=1)[0]
    assert float(history["price"]) == next(float(trade["p"]) for trade in trades if trade["t"] == moved[0])


def test_a_flash_crash_can_be_ended(liar: Any) -> None:
    begun = liar.begin("flash_crash", symbol="ETHUSDT", duration_s=3600, params={"depth_pct": 50})
    ended = liar.end(begun["id"])
    assert ended["planted"]["end_ms"] < begun["planted"]["end_ms"]
    before = float(begun["planted"]["price_before"])
    socket = liar.socket("/ws/ethusdt@bookTicker")
    assert float(socket.receive()["b"]) == pytest.approx(before, rel=0.02)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "nope"}, "name"),
        ({"name": "slow_feed"}, "name"),
        ({"name": "outage", "symbol": "BTCUSDT"}, "symbol"),
        ({"name": "flash_crash"}, "symbol"),
        ({"name": "flash_crash", "symbol": "NOPE"}, "symbol"),
        ({"name": "flash_crash", "symbol": "BTCUSDT", "duration_s": 0.5}, "duration_s"),
        ({"name": "outage", "duration_s": 3601}, "duration_s"),
        ({"name": "outage", "duration_s": -1}, "duration_s"),
        ({"name": "cut", "duration_s": 5}, "duration_s"),
        ({"name": "outage", "params": {"status": 200}}, "params.status"),
        ({"name": "outage", "params": {"nope": 1}}, "params.nope"),
        ({"name": "drop"}, "params.stream"),
        ({"name": "drop", "params": {"stream": "nope"}}, "params.stream"),
        ({"name": "drop", "params": {"stream": "nope@trade"}}, "params.stream"),
        ({"name": "drop", "params": {"stream": "btcusdt@trade", "share": 0}}, "params.share"),
        ({"name": "flash_crash", "symbol": "BTCUSDT", "params": {"depth_pct": 99}}, "params.depth_pct"),
        ({"name": "cut", "seed": -1}, "seed"),
        ({"name": "cut", "extra": 1}, "extra"),
    ],
)
def test_a_wrong_request_is_422_and_names_the_field(liar: Any, body: dict[str, Any], field: str) -> None:
    answer = requests.post(f"{liar.base_url}/sim/scenario", json=body, timeout=10)
    assert answer.status_code == 422, answer.text
    assert [detail["field"].split(".int")[0] for detail in answer.json()["error"]["details"]] == [field]


def test_scenarios_are_bounded_and_an_unknown_id_is_404(liar: Any) -> None:
    begun = [liar.begin("silent_socket", duration_s=60)["id"] for _ in range(20)]
    one_more = requests.post(f"{liar.base_url}/sim/scenario", json={"name": "outage"}, timeout=10)
    assert one_more.status_code == 409
    assert liar.get("/api/v3/ping").status_code == 200, "the refused one changed nothing"
    for id in begun:
        liar.end(id)
    gone = requests.delete(f"{liar.base_url}/sim/scenario/{begun[0]}", timeout=10)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")


def test_status_is_the_ground_truth_of_the_market(liar: Any) -> None:
    status = liar.status()
    assert status["limits"] is False
    btc = status["symbols"]["BTCUSDT"]
    assert btc["kind"] == "recorded"
    assert btc["next_seam_at"] > status["now_ms"]
    assert {"lap", "seam_jump_pct"} <= btc.keys()
    assert "24h figures are of the loop" in status["note"]
    assert abs(status["now_ms"] / 1000 - time.time()) < 5
