"""R17: too large a body is 413, too large an event is closed, a foreign Origin refused; never `*` with credentials."""

import http.client
import json

import pytest
import socketio
import urllib3
import websocket

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api]

EVIL = "https://evil.example"
WRITES = {
    "database-service": [("POST", "/signals/save"), ("POST", "/performance/track"), ("PUT", "/settings/me")],
    "market-simulator": [("POST", "/sim/scenario")],
    "websocket-streaming": [],
    "auth-gateway": [("POST", "/auth/register"), ("POST", "/auth/login")],
    "dashboard": [("POST", "/api/market-simulator/sim/scenario")],
}
SOCKETS = {
    "websocket-streaming": ["/stream/price/BTCUSDT", "/socket.io/?EIO=4&transport=websocket"],
    "market-simulator": ["/ws/btcusdt@trade"],
    "database-service": [],
    "auth-gateway": ["/api/websocket-streaming/stream/price/BTCUSDT"],
    "dashboard": [],
}


@pytest.fixture
def name(running: ServiceProcess) -> str:
    return running.folder.name


def test_a_body_over_1_mb_is_413_on_every_write(running: ServiceProcess, name: str) -> None:
    for method, path in WRITES.get(name, []):
        for size in (1_000_001, 5_000_000, 11_000_000):
            body = b'{"symbol": "' + b"a" * (size - 14) + b'"}'
            headers = {"Content-Type": "application/json"}
            answer = urllib3.request(method, running.base_url + path, body=body, headers=headers, retries=False)
            assert (answer.status, answer.json()["error"]["code"]) == (413, "too_large")
    assert running.get("/health/live") == {"status": "alive"}


def test_a_foreign_origin_is_refused_by_rest(running: ServiceProcess) -> None:
    for path in ("/health", "/stats", "/openapi.json"):
        answer = urllib3.request("GET", running.base_url + path, headers={"Origin": EVIL})
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        preflight = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        answer = urllib3.request("OPTIONS", running.base_url + path, headers=preflight)
        assert answer.headers.get("Access-Control-Allow-Origin") not in {EVIL, "*"}


def test_a_foreign_origin_opens_no_socket(running: ServiceProcess, name: str) -> None:
    for path in SOCKETS.get(name, []):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(running.ws_url + path, origin=EVIL, timeout=10)
        assert refused.value.status_code in {400, 403}


def test_no_answer_allows_credentials_to_everyone(running: ServiceProcess, name: str) -> None:
    paths = ["/health", "/nothing", "/docs"]
    paths += ["/socket.io/?EIO=4&transport=polling"] if name == "websocket-streaming" else []
    for path in paths:
        for origin in ("http://localhost:3000", EVIL, "null"):
            headers = urllib3.request("GET", running.base_url + path, headers={"Origin": origin}).headers
            assert headers.get("Access-Control-Allow-Credentials", "false") == "false"


@pytest.mark.parametrize("running", ["websocket-streaming"], indirect=True)
class TestSocketIo:
    def test_an_event_over_the_bound_is_closed_and_the_others_go_on(self, running: ServiceProcess) -> None:
        good, bad = socketio.Client(reconnection=False), socketio.Client(reconnection=False)
        prices: list[object] = []
        good.on("price_update", prices.append)
        good.connect(running.base_url, wait_timeout=10)
        bad.connect(running.base_url, transports=["websocket"], wait_timeout=10)
        good.emit("subscribe", {"symbols": ["BTCUSDT"]})
        bad.emit("subscribe", {"symbols": ["A" * 3_000_000]})
        wait_until(lambda: not bad.connected, 30, what="the client with the huge event is closed")
        before = len(prices)
        wait_until(lambda: len(prices) > before, 30, what="the other client goes on")
        assert good.connected
        good.disconnect()

    def test_a_polling_post_over_the_bound_is_refused(self, running: ServiceProcess) -> None:
        link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        link.request("GET", "/socket.io/?EIO=4&transport=polling")
        sid = json.loads(link.getresponse().read()[1:])["sid"]
        link.request("POST", f"/socket.io/?EIO=4&transport=polling&sid={sid}", body=b"4" + b"2" * 3_000_000)
        assert link.getresponse().status in {400, 413}
        link.close()
