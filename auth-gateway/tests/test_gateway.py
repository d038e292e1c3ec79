"""The whole way: client, gateway, real services; a fleet that asks everybody for a login or a key."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import socketio
import urllib3
import websocket

from auth_gateway.hooks import sign
from shared.fleet import ROOT
from shared.testing.contract import ServiceContract
from shared.testing.net import wait_until

from .fleet import Gateway, fleet, http, key

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.api]
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}
# What anybody may call through the gateway; everything else needs a login or a key.
OPEN = {
    "/health", "/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/docs.js",
    "/auth/register", "/auth/login", "/auth/refresh", "/api/health", "/api/openapi.json", "/api/docs",
    "/api/docs/docs.js", "/hooks/{hook_id}",
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with fleet({"RATE_LIMIT_ENABLED": "false"}) as running:
        yield running


@pytest.fixture(scope="module")
def trader(gateway: Gateway) -> dict[str, str]:
    return gateway.account("trader", "trader")


@pytest.fixture(scope="module")
def reader(gateway: Gateway) -> dict[str, str]:
    return gateway.account("reader", "reader")


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> dict[str, str]:
    return gateway.account("admin", "admin")


class TestContract(ServiceContract):
    name, title = "auth-gateway", "Auth Gateway"

    @pytest.fixture
    def base_url(self, gateway: Gateway) -> str:
        return gateway.process.base_url


def test_nothing_of_the_whole_fleet_is_open_that_is_not_on_the_list(gateway: Gateway, reader: dict[str, str]) -> None:
    document = gateway.ask("GET", "/api/openapi.json").json()
    assert {path.split("/")[2] for path in document["paths"] if path.startswith("/api/")} >= set(gateway.services)
    checked = 0
    for path, operations in document["paths"].items():
        inner = next((path.removeprefix(f"/api/{n}") for n in gateway.services if path.startswith(f"/api/{n}/")), path)
        for method, operation in operations.items():
            concrete = path.replace("{", "").replace("}", "")
            status = gateway.ask(method.upper(), concrete).status
            if inner in OPEN:
                assert operation["x-needs"] == "open", path
                assert status not in (401, 403), (method, path, status)
            elif inner in ("/", "/stats", "/metrics") and inner == path:
                continue  # the gateway's own, for those who run it: nothing of a client's
            else:
                assert operation["x-needs"] != "open", path
                assert status == 401, (method, path, status)
            if operation["x-needs"] == "write" and path.startswith("/api/"):
                assert gateway.ask(method.upper(), concrete, {}, **reader).status == 403, path
            checked += 1
    assert checked > 50


def test_a_service_itself_answers_only_what_comes_through_the_gateway(gateway: Gateway) -> None:
    for name, process in gateway.services.items():
        assert http.request("GET", f"{process.base_url}/health").status == 200
        for path in ("/stats", "/signals/history", "/price/BTCUSDT", "/sim/status", "/socket.io/?EIO=4"):
            answer = http.request("GET", process.base_url + path)
            assert (answer.status, answer.json()["error"]["code"]) == (401, "unauthorized"), (name, path)
        forged = http.request("GET", f"{process.base_url}/stats", headers={"X-Fleet-Voucher": "9999999999.x.e30.AAAA"})
        assert forged.status == 401


def test_the_exchange_that_the_simulator_plays_stays_open(gateway: Gateway) -> None:
    assert http.request("GET", f"{gateway.services['market-simulator'].base_url}/api/v3/ping").status == 200


def test_a_signal_goes_in_and_comes_out(gateway: Gateway, trader: dict[str, str]) -> None:
    saved = gateway.ask("POST", "/api/database-service/signals/save", SIGNAL, **trader)
    assert saved.status == 200, saved.data
    read = gateway.ask("GET", f"/api/database-service/signals/{saved.json()['signal_id']}", **trader)
    assert read.json()["data"]["price"] == 110000
    exported = gateway.ask("GET", "/api/database-service/signals/export?format=csv", **trader)
    assert saved.json()["signal_id"] in exported.data.decode()


def test_a_services_own_refusal_comes_through_as_it_is(gateway: Gateway, trader: dict[str, str]) -> None:
    answer = gateway.ask("POST", "/api/database-service/signals/save", SIGNAL | {"price": -1}, **trader)
    assert answer.status == 422
    assert answer.json()["error"]["details"][0]["field"] == "price"
    assert gateway.ask("GET", "/api/no-such-service/x", **trader).status == 404


def test_a_reader_reads_and_does_not_write(gateway: Gateway, reader: dict[str, str]) -> None:
    assert gateway.ask("GET", "/api/database-service/signals/history", **reader).status == 200
    assert gateway.ask("POST", "/api/database-service/signals/save", SIGNAL, **reader).status == 403


def test_a_key_opens_its_services_and_symbols_alone(gateway: Gateway, trader: dict[str, str]) -> None:
    bound = key(gateway, trader, scopes=["websocket-streaming:read", "database-service:write"], symbols=["BTCUSDT"])
    assert gateway.ask("GET", "/api/websocket-streaming/price/BTCUSDT", **bound).status == 200
    assert gateway.ask("GET", "/api/websocket-streaming/price/ETHUSDT", **bound).status == 403
    assert gateway.ask("GET", "/api/market-simulator/sim/status", **bound).status == 403
    assert gateway.ask("POST", "/api/database-service/signals/save", SIGNAL, **bound).status == 200
    other = SIGNAL | {"symbol": "ETHUSDT"}
    assert gateway.ask("POST", "/api/database-service/signals/save", other, **bound).status == 403
    assert gateway.ask("POST", "/api/database-service/signals/batch", [SIGNAL, other], **bound).status == 403
    assert gateway.ask("GET", "/api/database-service/signals/history", **bound).status == 403
    assert gateway.ask("GET", "/api/database-service/signals/history?symbol=btcusdt", **bound).status == 200
    assert gateway.ask("GET", "/api/websocket-streaming/socket.io/?EIO=4&transport=polling", **bound).status == 403


def test_who_the_client_is_says_the_gateway_and_nobody_else(gateway: Gateway, trader: dict[str, str]) -> None:
    spoofed = {"X-Fleet-Voucher": "x", "X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "Connection": "X-Odd"}
    answer = gateway.ask("GET", "/api/database-service/stats", X_Odd="1", **spoofed, **trader)
    assert answer.status == 200


def test_a_request_keeps_its_id_on_the_whole_way(gateway: Gateway, trader: dict[str, str]) -> None:
    answer = gateway.ask("GET", "/api/database-service/stats", X_Request_ID="from-the-client", **trader)
    assert answer.headers.getlist("X-Request-ID") == ["from-the-client"]
    wait_until(lambda: "from-the-client" in gateway.services["database-service"].log)


def test_socket_io_works_through_the_gateway_with_the_official_client(gateway: Gateway, trader: dict[str, str]) -> None:
    got: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("price_update", got.append)
    client.connect(gateway.process.base_url, headers=trader, socketio_path="/api/websocket-streaming/socket.io")
    try:
        client.emit("subscribe", {"symbols": ["BTCUSDT"]})
        wait_until(lambda: len(got) >= 3)
        assert client.transport() == "websocket"
    finally:
        client.disconnect()
    with pytest.raises(socketio.exceptions.ConnectionError):
        socketio.Client(reconnection=False).connect(
            gateway.process.base_url, socketio_path="/api/websocket-streaming/socket.io"
        )


def test_a_reader_may_poll_a_stream_whose_words_go_by_post(gateway: Gateway, reader: dict[str, str]) -> None:
    url = f"{gateway.process.base_url}/api/websocket-streaming/socket.io/?EIO=4&transport=polling"
    sid = json.loads(requests.get(url, headers=reader, timeout=30).text[1:])["sid"]
    said = requests.post(f"{url}&sid={sid}", data="40", headers=reader, timeout=30)
    assert (said.status_code, said.text) == (200, "OK")
    assert requests.get(f"{url}&sid={sid}", headers=reader, timeout=30).text.startswith("40")


def test_a_browsers_websocket_names_its_token_in_the_address(gateway: Gateway, trader: dict[str, str]) -> None:
    address = f"{gateway.process.ws_url}/api/websocket-streaming/stream/price/BTCUSDT"
    token = trader["Authorization"].removeprefix("Bearer ")
    link = websocket.create_connection(f"{address}?access_token={token}", timeout=10)
    assert json.loads(link.recv())["event"] == "price_update"
    link.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(address, timeout=10)
    assert token not in gateway.services["websocket-streaming"].log + gateway.process.log


def test_all_prices_and_the_state_of_all_in_one_call(gateway: Gateway, trader: dict[str, str]) -> None:
    prices = gateway.ask("GET", "/api/market/prices", **trader).json()["data"]
    assert {price["symbol"] for price in prices["prices"]} >= {"BTCUSDT", "ETHUSDT"}
    assert gateway.ask("GET", "/api/market/prices?symbols=BTC%20USDT", **trader).status == 422
    health = gateway.ask("GET", "/api/health").json()["data"]
    assert health["services"]["database-service"]["status"] == "healthy"


def test_the_audit_log_is_for_administrators_and_whole(
    gateway: Gateway, trader: dict[str, str], admin: dict[str, str]
) -> None:
    assert gateway.ask("POST", "/auth/keys", {"name": "a key"}, **trader).status == 200
    assert gateway.ask("GET", "/auth/audit", **trader).status == 403
    actions = {entry["event"]["action"] for entry in gateway.ask("GET", "/auth/audit", **admin).json()["data"]}
    assert {"register", "login", "key_made"} <= actions
    newest = gateway.ask("GET", "/auth/audit?limit=1", **admin).json()["data"][0]
    found = gateway.ask("GET", "/auth/audit/verify", **admin).json()["data"]
    assert (found["whole"], found["broken_at"], found["next"]) == (True, None, None)
    assert found["up_to"] == newest["sequence"] + 1  # that look at the newest is an entry, too
    first = gateway.ask("GET", "/auth/audit/verify?limit=2", **admin).json()["data"]
    assert (first["whole"], first["up_to"], first["next"]) == (True, 3, 3)
    further = gateway.ask("GET", f"/auth/audit/verify?after={newest['sequence']}", **admin).json()["data"]
    assert (further["whole"], further["next"]) == (True, None)
    assert gateway.ask("GET", "/auth/audit/verify?after=1000000", **admin).status == 422


def test_a_webhooks_signal_reaches_the_database_and_a_refused_one_its_dead_letters(
    gateway: Gateway, trader: dict[str, str], reader: dict[str, str]
) -> None:
    assert gateway.ask("POST", "/auth/hooks", {"name": "chart"}, **reader).status == 403
    hook = gateway.ask("POST", "/auth/hooks", {"name": "chart"}, **trader).json()["data"]

    def send(signal: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        timestamp = str(int(time.time()))
        signature = sign(hook["secret"], timestamp, json.dumps(signal).encode())
        return gateway.ask("POST", hook["path"], signal, X_Timestamp=timestamp, X_Signature=signature)

    came = send(SIGNAL)
    assert came.status == 200, came.data
    stored = gateway.ask("GET", f"/api/database-service/signals/{came.json()['data']['signal_id']}", **trader)
    assert stored.json()["data"]["price"] == 110000
    refused = send(SIGNAL | {"price": -1})
    assert (refused.status, refused.json()["error"]["details"][0]["field"]) == (422, "price")
    [letter] = gateway.ask("GET", f"/auth/hooks/{hook['id']}/dead-letters", **trader).json()["data"]
    assert "price" in letter["reason"]
    gateway.ask("POST", hook["path"], SIGNAL, Host="elsewhere.example")
    gateway.ask("GET", hook["path"])
    wait_until(lambda: f"GET /hooks/{hook['id'][:8]}" in gateway.process.log)
    assert hook["id"] not in gateway.process.log


def test_the_example_for_tradingview_works_as_the_readme_has_it(gateway: Gateway, trader: dict[str, str]) -> None:
    shown = (ROOT / "auth-gateway/README.md").read_text("utf-8")
    asked, message = (json.loads(shown.split(f"<!-- {name} -->")[1].split("```")[1][4:]) for name in ("hook", "alert"))
    hook = gateway.ask("POST", "/auth/hooks", asked, **trader).json()["data"]
    values = {
        "{{ticker}}": "ETHUSDT.P", "{{close}}": "3850.5", "{{strategy.order.action}}": "sell",
        "{{timenow}}": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "tfh_…": hook["secret"],
    }  # fmt: skip
    text = json.dumps({name: values[value] for name, value in message.items()})
    url, plain = gateway.process.base_url + hook["path"], {"Content-Type": "text/plain; charset=utf-8"}
    came = http.request("POST", url, body=text, headers=plain)
    assert came.status == 200, came.data
    assert http.request("POST", url, body=text, headers=plain).status == 409
    signal_id = came.json()["data"]["signal_id"]
    stored = gateway.ask("GET", f"/api/database-service/signals/{signal_id}", **trader).json()["data"]
    assert (stored["symbol"], stored["signal_type"], stored["price"]) == ("ETHUSDT", "SELL", 3850.5)


def test_a_dead_letter_is_delivered_once_the_database_service_is_back(gateway: Gateway, trader: dict[str, str]) -> None:
    asked = {"name": "chart", "proof": "address"}
    hook = gateway.ask("POST", "/auth/hooks", asked, **trader).json()["data"]
    database = gateway.services["database-service"]
    database.kill()
    came = gateway.ask("POST", hook["path"], SIGNAL)
    assert (came.status, came.json()["data"]) == (202, {"delivered": False, "dead_letter": 1})
    database.restart()
    retry = f"/auth/hooks/{hook['id']}/dead-letters/1/retry"
    wait_until(lambda: gateway.ask("POST", retry, **trader).status == 200, timeout_s=15)
    assert gateway.ask("GET", f"/auth/hooks/{hook['id']}/dead-letters", **trader).json()["data"] == []
    assert gateway.ask("POST", retry, **trader).status == 404


def test_a_service_that_is_away_is_told_at_once_and_comes_back(gateway: Gateway, trader: dict[str, str]) -> None:
    simulator = gateway.services["market-simulator"]
    simulator.kill()
    for _ in range(8):
        answer = gateway.ask("GET", "/api/market-simulator/sim/status", **trader)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert gateway.ask("GET", "/api/health").json()["data"]["services"]["market-simulator"]["status"] == "down"
    simulator.restart()
    wait_until(lambda: gateway.ask("GET", "/api/market-simulator/sim/status", **trader).status == 200, timeout_s=15)
