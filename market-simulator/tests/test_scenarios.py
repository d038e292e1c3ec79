"""Each scenario from a client's view, and the ground truth that /sim/status tells about it."""

import json
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
    assert menu.keys() >= {
        "flash_crash", "outage", "cut", "silent_socket", "silent_symbol", "slow_feed", "drop", "duplicate", "reorder",
        "old_event_times", "bad_json", "server_shutdown", "day_cut", "too_many_requests", "banned", "server_error",
        "slow_rest", "stale_snapshot",
    }  # fmt: skip
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
    dropped = struck(liar.end(begun["id"]))
    missing = [id for id in range(ids[0], ids[-1]) if id not in ids]
    assert missing
    assert set(missing) <= set(dropped)
    assert not set(ids) & set(dropped)
    assert socket.collect(0.5), "another stream loses nothing"


def struck(run: dict[str, Any]) -> list[Any]:
    """The ids of the frames that a scenario changed."""
    newest = run["planted"]["newest"]
    assert len(newest) == run["planted"]["frames"]
    return [one["id"] for one in newest]


def test_a_silent_symbol_says_nothing_on_any_stream_while_others_go_on(liar: Any) -> None:
    socket = liar.socket("/stream?streams=btcusdt@bookTicker/btcusdt@kline_1m/ethusdt@bookTicker")
    begun = liar.begin("silent_symbol", symbol="BTCUSDT", duration_s=60)
    socket.call("LIST_SUBSCRIPTIONS")  # passes over the frames that were on their way already
    frames = socket.collect(3.0)
    assert frames
    assert {frame["stream"] for frame in frames} == {"ethusdt@bookTicker"}
    assert {one["symbol"] for one in liar.truth(begun["id"])["planted"]["newest"]} == {"BTCUSDT"}
    liar.end(begun["id"])
    assert socket.wait_for(lambda frame: frame["stream"] == "btcusdt@bookTicker")


def test_a_slow_feed_brings_the_same_frames_in_order_but_late(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    newest = socket.receive()["t"]
    begun = liar.begin("slow_feed", symbol="BTCUSDT", duration_s=60, params={"delay_ms": 1500})
    begun_ms = liar.status()["now_ms"]
    first = socket.wait_for(lambda frame: frame["E"] > begun_ms)  # earlier ones may be on their way already
    frames = [first, *(socket.receive() for _ in range(4))]
    late_ms = liar.status()["now_ms"] - frames[-1]["E"]
    assert [frame["t"] for frame in frames] == list(range(frames[0]["t"], frames[0]["t"] + 5))
    assert frames[0]["t"] > newest
    assert late_ms >= 1500
    truth = liar.end(begun["id"])["planted"]
    assert frames[-1]["t"] in [one["id"] for one in truth["newest"]]
    after = [socket.receive()["t"] for _ in range(5)]
    assert after == list(range(frames[-1]["t"] + 1, frames[-1]["t"] + 6)), "what was held comes, nothing is lost"


def test_duplicates_are_the_ones_it_names(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("duplicate", duration_s=60, params={"stream": "btcusdt@trade", "share": 0.5}, seed=3)
    ids = [frame["t"] for frame in socket.collect(4.0)]
    twice = {id for id in ids if ids.count(id) == 2}
    assert twice
    assert twice == set(struck(liar.end(begun["id"]))) & set(ids[:-1])
    assert sorted(set(ids)) == list(range(min(ids), max(ids) + 1)), "none is missing"


def test_reordered_frames_are_the_ones_it_names_and_none_is_lost(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("reorder", duration_s=60, params={"stream": "btcusdt@trade", "share": 0.4, "places": 2}, seed=3)
    ids = [frame["t"] for frame in socket.collect(4.0)]
    liar.end(begun["id"])
    late = {id for place, id in enumerate(ids) if place and id < max(ids[:place])}
    assert late
    assert late <= set(struck(liar.truth(begun["id"])))
    ids += [frame["t"] for frame in socket.collect(1.0)]
    assert sorted(ids) == list(range(min(ids), max(ids) + 1))


def test_old_event_times_lie_back_while_data_are_new(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("old_event_times", symbol="BTCUSDT", duration_s=60, params={"age_ms": 90_000})
    frame = socket.wait_for(lambda frame: frame["E"] < frame["T"])
    assert frame["T"] - frame["E"] > 80_000
    assert frame["t"] in struck(liar.truth(begun["id"]))
    liar.end(begun["id"])
    assert socket.wait_for(lambda frame: frame["E"] >= frame["T"])


def test_bad_json_is_broken_text_and_the_socket_stays(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@trade")
    begun = liar.begin("bad_json", duration_s=60, params={"stream": "btcusdt@trade", "share": 1.0}, seed=2)
    with pytest.raises(json.JSONDecodeError):
        socket.wait_for(lambda frame: False)
    truth = liar.end(begun["id"])["planted"]
    assert truth["frames"] == len(truth["newest"]) > 0
    newest = truth["newest"][-1]["id"]
    while True:
        try:
            if socket.receive()["t"] > newest:
                break
        except json.JSONDecodeError:
            continue
    assert socket.call("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@trade"]


def test_a_day_cut_closes_sockets_as_after_24_hours(liar: Any) -> None:
    btc, eth = liar.socket("/ws/btcusdt@trade"), liar.socket("/ws/ethusdt@trade")
    assert btc.receive()
    assert eth.receive()
    assert liar.begin("day_cut", symbol="BTCUSDT")["planted"] == {"sockets_closed": 1}
    with pytest.raises(websocket.WebSocketConnectionClosedException, match="1001"):
        btc.wait_for(lambda frame: False)
    assert eth.collect(1.5), "the other goes on"


@pytest.mark.parametrize(("name", "status"), [("too_many_requests", 429), ("banned", 418)])
def test_refused_calls_say_when_to_come_back_and_sockets_go_on(liar: Any, name: str, status: int) -> None:
    socket = liar.socket("/ws/btcusdt@bookTicker")
    begun = liar.begin(name, duration_s=60, params={"path": "/api/v3/depth"})
    answer = liar.get("/api/v3/depth", symbol="BTCUSDT")
    assert (answer.status_code, answer.json()["code"]) == (status, -1003)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert liar.get("/api/v3/ping").status_code == 200, "only the paths that it names"
    assert socket.receive()
    truth = liar.end(begun["id"])["planted"]
    assert (truth["calls"], truth["newest"][0]["path"]) == (1, "/api/v3/depth")
    assert liar.get("/api/v3/depth", symbol="BTCUSDT").status_code == 200


def test_server_errors_strike_the_share_that_they_name(liar: Any) -> None:
    begun = liar.begin("server_error", duration_s=60, params={"status": 502, "share": 0.5}, seed=4)
    answers = [liar.get("/api/v3/ping") for _ in range(20)]
    failed = [answer for answer in answers if answer.status_code == 502]
    assert 0 < len(failed) < 20
    assert all(answer.json()["code"] == -1001 for answer in failed)
    assert liar.end(begun["id"])["planted"]["calls"] == len(failed)


def test_slow_rest_answers_right_but_late(liar: Any) -> None:
    begun = liar.begin("slow_rest", duration_s=60, params={"delay_ms": 700, "path": "/api/v3/time"})
    before = time.monotonic()
    answer = liar.get("/api/v3/time")
    assert time.monotonic() - before >= 0.7
    assert answer.status_code == 200
    assert liar.end(begun["id"])["planted"]["calls"] == 1


def test_a_stale_snapshot_shows_an_old_book_while_the_stream_goes_on(liar: Any) -> None:
    socket = liar.socket("/ws/btcusdt@depth@100ms")
    begun = liar.begin("stale_snapshot", symbol="BTCUSDT", duration_s=60)
    old = begun["planted"]["last_update_id"]
    first = liar.api("depth", symbol="BTCUSDT", limit=20)
    assert first["lastUpdateId"] == old
    socket.wait_for(lambda frame: frame["U"] > old + 1)
    assert liar.api("depth", symbol="BTCUSDT", limit=20) == first
    assert liar.api("depth", symbol="ETHUSDT", limit=5)["lastUpdateId"] != old
    assert liar.end(begun["id"])["planted"]["snapshots_served"] == 2
    assert liar.api("depth", symbol="BTCUSDT", limit=20)["lastUpdateId"] > old


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


def test_a_scenario_about_futures_leaves_spot_alone(liar: Any) -> None:
    perpetual = liar.socket("/public/ws/adausdt@bookTicker")
    spot = liar.socket("/ws/adausdt@bookTicker")
    assert perpetual.receive()["s"] == spot.receive()["s"] == "ADAUSDT"
    jump = liar.begin("gap", symbol="ADAUSDT", market="futures", duration_s=60, params={"size_pct": 20})
    assert jump["market"] == "futures"
    before = float(jump["planted"]["price_before"])
    assert perpetual.wait_for(lambda frame: float(frame["b"]) > before * 1.1)
    assert float(spot.receive()["b"]) < before * 1.1
    liar.end(jump["id"])
    silence = liar.begin("silent_symbol", symbol="ADAUSDT", market="futures", duration_s=60)
    assert spot.receive()
    perpetual.collect(0.5)
    assert perpetual.collect(1.0) == []
    assert liar.end(silence["id"])["planted"]["frames"] > 0


def test_the_menu_says_which_markets_a_scenario_knows(liar: Any) -> None:
    markets = {entry["name"]: entry["markets"] for entry in liar.get("/sim/scenarios").json()["data"]}
    assert markets["flash_crash"] == markets["spoofing"] == markets["drop"] == ["spot", "futures"]
    assert markets["outage"] == markets["banned"] == ["spot"], "they are about all sockets and calls"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "nope"}, "name"),
        ({"name": "silent_symbol"}, "symbol"),
        ({"name": "slow_feed", "params": {"delay_ms": 1}}, "params.delay_ms"),
        ({"name": "reorder", "symbol": "ETHUSDT", "params": {"stream": "btcusdt@trade"}}, "params.stream"),
        ({"name": "slow_rest", "params": {"path": "api"}}, "params.path"),
        ({"name": "stale_snapshot"}, "symbol"),
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
        ({"name": "cut", "market": "futures"}, "market"),
        ({"name": "cut", "market": "moon"}, "market"),
        ({"name": "gap", "symbol": "NOPE", "market": "futures"}, "symbol"),
        ({"name": "drop", "market": "futures", "params": {"stream": "btcusdt@avgPrice"}}, "params.stream"),
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
