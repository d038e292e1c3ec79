"""Sessions from a client's view: private markets below /s/<id>."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.api]

ENDED = (websocket.WebSocketConnectionClosedException, ConnectionError)
HEADER = "X-MBX-USED-WEIGHT-1M"


@pytest.fixture(scope="module")
def host_process() -> Iterator[ServiceProcess]:
    """A simulator of this file's own, with room for three sessions."""
    with ServiceProcess("market-simulator", {"SIM_SESSIONS": "3"}) as process:
        yield process


@pytest.fixture
def host(host_process: ServiceProcess, simulator: Any) -> Iterator[Any]:
    one = type(simulator)(host_process)
    yield one
    one.close_sockets()
    for session in one.get("/sim/sessions").json()["data"]:
        requests.delete(f"{one.base_url}/sim/session/{session['id']}", timeout=10)


def post(host: Any, body: dict[str, Any]) -> requests.Response:
    return requests.post(f"{host.base_url}/sim/session", json=body, timeout=10)


def open_session(host: Any, **body: Any) -> Any:
    """A simulator whose base URLs are the session's."""
    answer = post(host, body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    one = type(host)(host.process)
    one.base_url, one.ws_url = host.base_url + data["path"], host.ws_url + data["path"]
    one.document = data
    one._sockets = host._sockets  # closed with the host's
    return one


def test_a_session_is_a_market_below_its_path(host: Any) -> None:
    private = open_session(host, name="lesson 1", symbols=["BTCUSDT", "ADAUSDT"], limits=False)
    assert private.document["name"] == "lesson 1"
    symbols = [row["symbol"] for row in private.api("exchangeInfo")["symbols"]]
    assert symbols == ["BTCUSDT", "ADAUSDT"]
    assert private.get("/api/v3/klines", symbol="ETHUSDT", interval="1m").json()["code"] == -1121
    assert private.api("depth", symbol="BTCUSDT", limit=5)["bids"]
    assert private.socket("/ws/btcusdt@trade").receive()["s"] == "BTCUSDT"
    combined = private.socket("/stream?streams=adausdt@bookTicker").receive()
    assert combined["stream"] == "adausdt@bookTicker"


def test_a_session_has_scenarios_of_its_own(host: Any) -> None:
    private, other = open_session(host, limits=False), open_session(host, limits=False)
    private.begin("outage", duration_s=60)
    assert private.get("/api/v3/ping").status_code == 503
    assert other.get("/api/v3/ping").status_code == host.get("/api/v3/ping").status_code == 200
    assert [one["name"] for one in private.status()["scenarios"]] == ["outage"]
    assert other.status()["scenarios"] == host.status()["scenarios"] == []
    private.end("outage-1")
    assert private.get("/api/v3/ping").status_code == 200


def test_a_flash_crash_in_a_session_is_not_felt_outside(host: Any) -> None:
    private = open_session(host, speed=20, limits=False)
    planted = private.begin("flash_crash", symbol="BTCUSDT", duration_s=40, params={"depth_pct": 30})["planted"]
    wait_until(lambda: private.status()["now_ms"] > planted["end_ms"], 10)
    low = min(
        float(row[3]) for row in private.api("klines", symbol="BTCUSDT", interval="1s", startTime=planted["start_ms"])
    )
    assert low < float(planted["price_before"]) * 0.8
    outside = host.api("klines", symbol="BTCUSDT", interval="1s", startTime=planted["start_ms"])
    assert all(float(row[3]) > float(planted["price_before"]) * 0.9 for row in outside)


def test_a_session_has_a_clock_of_its_own(host: Any) -> None:
    fast = open_session(host, speed=100, limits=False)
    first, outside = fast.api("time")["serverTime"], host.api("time")["serverTime"]
    wait_until(lambda: fast.api("time")["serverTime"] - first > 50_000, 10)
    assert host.api("time")["serverTime"] - outside < 50_000


def test_the_same_seed_is_the_same_market_and_another_seed_another(host: Any) -> None:
    def bar(seed: int) -> Any:
        one = open_session(host, seed=seed, limits=False)
        return one.api("klines", symbol="ADAUSDT", interval="1h", startTime=1_700_000_000_000, limit=2)

    same, again, other = bar(7), bar(7), bar(8)
    assert same == again != other


def test_limits_count_per_session_and_can_be_off(host: Any) -> None:
    limited, free = open_session(host), open_session(host, limits=False)
    for _ in range(3):
        answer = limited.get("/api/v3/exchangeInfo")
    assert answer.headers[HEADER] == "60"
    assert HEADER not in free.get("/api/v3/ping").headers
    assert int(host.get("/api/v3/ping").headers[HEADER]) < 60
    assert (limited.status()["limits"], free.status()["limits"]) == (True, False)


def test_a_deleted_session_closes_its_sockets_and_is_gone(host: Any) -> None:
    private = open_session(host, limits=False)
    socket, id = private.socket("/ws/btcusdt@trade"), private.document["id"]
    assert socket.receive()
    assert [one["id"] for one in host.get("/sim/sessions").json()["data"]] == [id]
    assert requests.delete(f"{host.base_url}/sim/session/{id}", timeout=10).json()["data"]["sockets"] == 1
    with pytest.raises(ENDED, match="1001"):
        socket.wait_for(lambda frame: False)
    answer = private.get("/api/v3/ping")
    assert (answer.status_code, answer.json()["code"]) == (404, -1020)
    with pytest.raises(ENDED, match="1008"):
        private.socket("/ws/btcusdt@trade").receive()
    assert private.get("/sim/status").json()["error"]["code"] == "not_found"
    again = requests.delete(f"{host.base_url}/sim/session/{id}", timeout=10)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
    assert host.get("/sim/sessions").json()["data"] == []


def test_sessions_are_bounded(host: Any) -> None:
    for _ in range(3):
        open_session(host, symbols=["BTCUSDT"])
    assert post(host, {}).status_code == 409
    assert len(host.get("/sim/sessions").json()["data"]) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"symbols": ["BTCUSDT", "NOPE"]}, "symbols.1"),
        ({"symbols": "BTCUSDT"}, "symbols"),
        ({"speed": 0}, "speed"),
        ({"speed": 101}, "speed"),
        ({"seed": -1}, "seed"),
        ({"limits": "no"}, "limits"),
        ({"name": "x" * 65}, "name"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_session_is_422_and_names_the_field(host: Any, body: dict[str, Any], field: str) -> None:
    answer = post(host, body)
    assert answer.status_code == 422, answer.text
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]


def test_paths_below_a_session_keep_their_protocols_errors(host: Any) -> None:
    private = open_session(host, limits=False)
    assert private.get("/api/v3/nosuch").json()["code"] == -1020
    assert private.get("/ws/btcusdt@trade").json()["code"] == -1020
    assert private.get("/sim/nosuch").json()["error"]["code"] == "not_found"
    assert private.get("").json()["error"]["code"] == "not_found"
