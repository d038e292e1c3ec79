"""Every call and event of the contract's price channel, against the running service over the running simulator."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import websocket

from shared.testing.contract import ServiceContract
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

FIELDS = {
    "symbol": str, "price": float, "volume": float, "high": float, "low": float, "change": float,
    "changePercent": float, "timestamp": str, "venue": str, "market": str, "seq": int, "epoch": str, "stale": bool,
}  # fmt: skip
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
Connect = Callable[..., Any]


def assert_price_update(document: dict[str, Any]) -> None:
    assert {name: type(value) for name, value in document.items()} == FIELDS
    assert TIMESTAMP.fullmatch(document["timestamp"])
    assert document["low"] <= document["price"] <= document["high"]
    assert (document["venue"], document["market"]) == ("simulator", "spot")


class TestContract(ServiceContract):
    """What every service keeps."""

    name, title = "websocket-streaming", "WebSocket Streaming"

    @pytest.fixture
    def base_url(self, streaming: ServiceProcess) -> str:
        return streaming.base_url


class TestRest:
    """The REST calls."""

    def test_price_of_a_default_symbol_comes_from_the_held_newest(self, streaming: ServiceProcess) -> None:
        wait_until(lambda: streaming.get("/price/BTCUSDT")["source"] == "cache", what="a held price")
        document = streaming.get("/price/BTCUSDT")
        assert document["success"] is True
        assert_price_update(document["data"])
        assert type(document["age_ms"]) is int
        assert document["age_ms"] < 10_000
        assert document["stale"] is document["data"]["stale"] is False

    def test_lower_case_is_accepted(self, streaming: ServiceProcess) -> None:
        assert streaming.get("/price/btcusdt")["data"]["symbol"] == "BTCUSDT"

    @pytest.mark.parametrize("symbol", ["XRPXRP", "a%20b", "X" * 33, "%00", "BTC-USDT", "..%2f", "%ff"])
    def test_an_unknown_symbol_is_404_in_the_contracts_shape(self, streaming: ServiceProcess, symbol: str) -> None:
        answer = requests.get(f"{streaming.base_url}/price/{symbol}", timeout=10)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"

    @pytest.mark.parametrize("query", ["market=moon", "nothing=1", "market=spot&market=spot"])
    def test_a_query_that_is_not_served_is_refused(self, streaming: ServiceProcess, query: str) -> None:
        answer = requests.get(f"{streaming.base_url}/price/BTCUSDT?{query}", timeout=10)
        assert answer.status_code == 422
        assert answer.json()["success"] is False

    def test_symbols_lists_defaults_active_ones_and_markets(self, streaming: ServiceProcess) -> None:
        data = streaming.get("/symbols")["data"]
        assert data["default_symbols"] == ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT"]
        assert set(data["default_symbols"]) <= set(data["active_symbols"])
        assert "spot" in data["supported"]
        assert "futures" in data["supported"]

    @pytest.mark.parametrize(
        ("query", "market", "path"), [("", "spot", "/api/v3"), ("?market=futures", "futures", "/fapi/v1")]
    )
    def test_every_symbol_that_the_exchange_lists_is_told_in_order(
        self, streaming: ServiceProcess, simulator: ServiceProcess, query: str, market: str, path: str
    ) -> None:
        data = streaming.get(f"/symbols/listed{query}")["data"]
        own = simulator.get(f"{path}/exchangeInfo")["symbols"]
        assert data == {"market": market, "symbols": sorted(one["symbol"] for one in own if one["status"] == "TRADING")}

    def test_stats_count_streams_subscriptions_and_rates(self, streaming: ServiceProcess) -> None:
        data = streaming.get("/stats")["data"]
        assert data["active_streams"] >= 5
        assert data["total_subscriptions"] >= 0
        assert {"BTCUSDT", "ADAUSDT"} <= data["subscriptions_by_symbol"].keys()
        for name in ("messages_in_per_second", "messages_out_per_second", "reconnects", "slow_clients"):
            assert data[name] >= 0
        wait_until(lambda: streaming.get("/stats")["data"]["messages_in_per_second"] > 0, what="messages in")

    def test_health_names_streams_symbols_subscriptions_and_the_upstream(self, streaming: ServiceProcess) -> None:
        document = streaming.get("/health")
        assert document["metrics"]["active_streams"] == len(document["metrics"]["active_symbols"]) >= 5
        assert document["metrics"]["total_subscriptions"] >= 0
        assert {"upstream", "cache"} <= document["dependencies"].keys()

    def test_metrics_show_the_streams_figures(self, streaming: ServiceProcess) -> None:
        def metrics() -> str:
            return requests.get(f"{streaming.base_url}/metrics", timeout=10).text

        wait_until(lambda: re.search(r"^stream_active_symbols [5-9]", metrics(), re.MULTILINE), what="the figures")
        assert "stream_slow_clients_total " in metrics()

    def test_a_price_not_streamed_is_fetched_by_rest(self, simulator: ServiceProcess) -> None:
        settings = {"SIMULATOR_URL": simulator.base_url, "DEFAULT_SYMBOLS": "BTCUSDT"}
        with ServiceProcess("websocket-streaming", settings) as service:
            document = service.get("/price/ETHUSDT")
            assert document["source"] == "rest"
            assert_price_update(document["data"])
            assert service.get("/stats")["data"]["active_streams"] == 1

    def test_exactly_the_limit_of_calls_a_minute_passes(self, simulator: ServiceProcess) -> None:
        settings = {"SIMULATOR_URL": simulator.base_url, "RATE_LIMIT_PRICE": "5"}
        with ServiceProcess("websocket-streaming", settings) as service:
            answers = [requests.get(f"{service.base_url}/price/BTCUSDT", timeout=10) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids=str)
class TestSocketIo:
    """The events, on every transport that Socket.IO has."""

    @pytest.fixture
    def client(self, streaming: ServiceProcess, connect: Connect, transports: list[str]) -> Any:
        return connect(streaming.base_url, transports=transports)

    def test_connected_tells_sid_venue_and_epoch(self, client: Any) -> None:
        document = client.wait("connected")
        assert document.keys() == {"sid", "venue", "epoch"}
        assert document["sid"] == client.client.get_sid()
        assert document["venue"] == "simulator"

    def test_subscribed_is_followed_at_once_by_the_newest_and_then_by_updates(self, client: Any) -> None:
        subscribed = client.ask("subscribe", {"symbols": ["btcusdt", "ETHUSDT"]}, "subscribed")
        assert subscribed == {"symbols": ["BTCUSDT", "ETHUSDT"], "channels": ["price"], "market": "spot"}
        wait_until(lambda: len(client.data("price_update")) > 10, what="updates")
        names = [name for name, _ in client.events]
        assert names.index("subscribed") < names.index("price_update")
        for document in client.data("price_update"):
            assert_price_update(document)

    def test_numbers_rise_within_one_epoch(self, client: Any) -> None:
        client.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
        wait_until(lambda: len(client.data("price_update")) > 10, what="updates")
        updates = client.data("price_update")
        seqs = [document["seq"] for document in updates]
        assert seqs == sorted(set(seqs))
        assert {document["epoch"] for document in updates} == {client.wait("connected")["epoch"]}

    def test_only_what_was_asked_for_arrives(self, client: Any) -> None:
        client.ask("subscribe", {"symbols": ["ETHUSDT"]}, "subscribed")
        wait_until(lambda: len(client.data("price_update")) > 5, what="updates")
        assert {document["symbol"] for document in client.data("price_update")} == {"ETHUSDT"}

    def test_unsubscribed_ends_the_updates(self, client: Any) -> None:
        client.ask("subscribe", {"symbols": ["BTCUSDT", "ETHUSDT"]}, "subscribed")
        answer = client.ask("unsubscribe", {"symbols": ["btcusdt"]}, "unsubscribed")
        assert answer == {"symbols": ["BTCUSDT"], "channels": ["price"], "market": "spot"}
        since = len(client.events)
        wait_until(lambda: len([1 for name, _ in client.events[since:] if name == "price_update"]) > 5, what="ETH")
        after = [data["symbol"] for name, data in client.events[since:] if name == "price_update"]
        assert set(after) == {"ETHUSDT"}

    def test_an_unknown_symbol_is_an_error_while_the_valid_rest_is_subscribed(self, client: Any) -> None:
        error = client.ask("subscribe", {"symbols": ["XRPXRP", "BTCUSDT", "no symbol"]}, "subscribed")
        assert error["symbols"] == ["BTCUSDT"]
        assert {data["code"] for data in client.data("error")} == {"unknown_symbol", "validation_error"}
        for data in client.data("error"):
            assert data.keys() == {"code", "message", "details"}

    @pytest.mark.parametrize(
        ("payload", "code"),
        [
            ({"symbols": ["BTCUSDT"], "market": "moon"}, "validation_error"),
            ({"symbols": ["BTCUSDT"], "channels": ["news"]}, "validation_error"),
            ({"symbols": ["BTCUSDT"], "channels": ["klines"], "interval": "7m"}, "validation_error"),
            ({"symbols": ["NOPE"], "channels": ["trades"], "market": "futures"}, "unknown_symbol"),
            ("BTCUSDT", "validation_error"),
            (None, "validation_error"),
            ({"symbols": [1, 2]}, "validation_error"),
        ],
    )
    def test_what_is_not_served_or_malformed_is_an_error_that_says_why(
        self, client: Any, payload: Any, code: str
    ) -> None:
        assert client.ask("subscribe", payload, "error")["code"] == code
        assert client.data("subscribed") == []

    def test_a_position_that_cannot_be_resumed_is_answered_by_resync_required(self, client: Any) -> None:
        payload = {"symbols": ["BTCUSDT"], "last": {"price:BTCUSDT": {"epoch": "old", "seq": 7}}}
        answer = client.ask("subscribe", payload, "resync_required")
        assert answer == {"symbol": "BTCUSDT", "channel": "price", "market": "spot"}


class TestSubscriptions:
    """Counting, bounds, and the upstream on demand."""

    @pytest.fixture
    def service(self, simulator: ServiceProcess) -> Iterator[ServiceProcess]:
        settings = {"SIMULATOR_URL": simulator.base_url, "DEFAULT_SYMBOLS": "BTCUSDT", "MAX_SYMBOLS_PER_CLIENT": "2"}
        with ServiceProcess("websocket-streaming", settings) as running:
            yield running

    def stats(self, service: ServiceProcess) -> dict[str, Any]:
        data: dict[str, Any] = service.get("/stats")["data"]
        return data

    def test_the_first_subscriber_opens_the_stream_and_the_last_one_closes_it(
        self, service: ServiceProcess, connect: Connect
    ) -> None:
        a, b = connect(service.base_url), connect(service.base_url)
        for client in (a, b):
            client.ask("subscribe", {"symbols": ["ETHUSDT"]}, "subscribed")
        assert self.stats(service)["subscriptions_by_symbol"] == {"BTCUSDT": 0, "ETHUSDT": 2}
        assert self.stats(service)["active_streams"] == 2
        wait_until(lambda: len(a.data("price_update")) > 3, what="updates of a symbol on demand")
        a.ask("unsubscribe", {"symbols": ["ETHUSDT"]}, "unsubscribed")
        assert self.stats(service)["subscriptions_by_symbol"]["ETHUSDT"] == 1
        b.close()  # disconnecting ends subscriptions
        wait_until(lambda: self.stats(service)["subscriptions_by_symbol"] == {"BTCUSDT": 0}, what="closed")
        assert service.get("/price/ETHUSDT")["source"] == "rest"

    def test_a_client_has_its_bound(self, service: ServiceProcess, connect: Connect, simulator: ServiceProcess) -> None:
        listed = [entry["symbol"] for entry in simulator.get("/api/v3/exchangeInfo")["symbols"]]
        client = connect(service.base_url)
        subscribed = client.ask("subscribe", {"symbols": listed[:3]}, "subscribed")
        assert subscribed["symbols"] == listed[:2]
        assert client.wait("error")["code"] == "too_many_symbols"


class TestPlainWebSocket:
    """`/stream/price/<symbol>`."""

    def open(self, service: ServiceProcess, path: str, **options: Any) -> websocket.WebSocket:
        return websocket.create_connection(service.ws_url + path, timeout=15, **options)

    def test_the_newest_price_comes_at_once_and_then_every_update(self, streaming: ServiceProcess) -> None:
        ws = self.open(streaming, "/stream/price/btcusdt")
        messages = [json.loads(ws.recv()) for _ in range(10)]
        ws.close()
        assert {message["event"] for message in messages} == {"price_update"}
        for message in messages:
            assert message.keys() == {"event", "data"}
            assert_price_update(message["data"])

    def test_it_counts_as_a_subscription_until_it_closes(self, streaming: ServiceProcess) -> None:
        def count() -> int:
            number: int = streaming.get("/stats")["data"]["subscriptions_by_symbol"]["ADAUSDT"]
            return number

        ws = self.open(streaming, "/stream/price/ADAUSDT?market=spot")
        wait_until(lambda: count() == 1, what="a subscription")
        ws.close()
        wait_until(lambda: count() == 0, what="its end")

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/stream/price/XRPXRP", "unknown_symbol"),
            ("/stream/klines/BTCUSDT/7m", "validation_error"),
            ("/stream/liquidations/BTCUSDT", "validation_error"),
            ("/stream/price/BTCUSDT?market=moon", "validation_error"),
        ],
    )
    def test_what_is_not_served_is_an_error_and_the_end(self, streaming: ServiceProcess, path: str, code: str) -> None:
        ws = self.open(streaming, path)
        message = json.loads(ws.recv())
        assert (message["event"], message["data"]["code"]) == ("error", code)
        opcode, _ = ws.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE

    @pytest.mark.parametrize(
        "path", ["/stream/news/BTCUSDT", "/stream/klines/BTCUSDT", "/stream/trades/BTCUSDT/1m", "/stream", "/x"]
    )
    def test_every_other_path_is_404(self, streaming: ServiceProcess, path: str) -> None:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            self.open(streaming, path)
        assert refused.value.status_code == 404


class TestDoors:
    """Who may come in (R17)."""

    FOREIGN = "https://evil.example"

    @pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8080", "https://localhost"])
    def test_loopback_origins_are_served_on_any_port(self, streaming: ServiceProcess, origin: str) -> None:
        answer = requests.get(
            f"{streaming.base_url}/socket.io/?EIO=4&transport=polling", headers={"Origin": origin}, timeout=10
        )
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Credentials" not in answer.headers
        ws = websocket.create_connection(streaming.ws_url + "/stream/price/BTCUSDT", origin=origin, timeout=15)
        assert json.loads(ws.recv())["event"] == "price_update"
        ws.close()

    @pytest.mark.parametrize(
        "header", [{"Origin": FOREIGN}, {"Host": "evil.example"}, {"Origin": "null"}, {"Origin": "http://["}]
    )
    @pytest.mark.parametrize("path", ["/price/BTCUSDT", "/socket.io/?EIO=4&transport=polling"])
    def test_a_foreign_origin_or_host_is_403_over_http(
        self, streaming: ServiceProcess, path: str, header: dict[str, str]
    ) -> None:
        answer = requests.get(streaming.base_url + path, headers=header, timeout=10)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "forbidden"
        assert "Access-Control-Allow-Origin" not in answer.headers

    @pytest.mark.parametrize("path", ["/stream/price/BTCUSDT", "/socket.io/?EIO=4&transport=websocket"])
    @pytest.mark.parametrize("options", [{"origin": FOREIGN}, {"host": "evil.example"}])
    def test_a_foreign_origin_or_host_is_403_on_web_sockets(
        self, streaming: ServiceProcess, path: str, options: dict[str, Any]
    ) -> None:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(streaming.ws_url + path, timeout=10, **options)
        assert refused.value.status_code == 403

    def test_cors_origins_replaces_the_default(self, simulator: ServiceProcess) -> None:
        settings = {"SIMULATOR_URL": simulator.base_url, "CORS_ORIGINS": "https://app.example"}
        with ServiceProcess("websocket-streaming", settings) as service:
            url = f"{service.base_url}/socket.io/?EIO=4&transport=polling"
            allowed = requests.get(url, headers={"Origin": "https://app.example"}, timeout=10)
            refused = requests.get(url, headers={"Origin": "http://localhost:3000"}, timeout=10)
        assert (allowed.status_code, refused.status_code) == (200, 403)

    def test_an_event_over_its_bound_closes_that_connection_alone(
        self, simulator: ServiceProcess, connect: Connect
    ) -> None:
        settings = {"SIMULATOR_URL": simulator.base_url, "MAX_EVENT_BYTES": "10000"}
        with ServiceProcess("websocket-streaming", settings) as service:
            good, bad = connect(service.base_url), connect(service.base_url, transports=["websocket"])
            bad.client.emit("subscribe", {"symbols": ["X" * 20_000]})
            bad.wait("disconnect")
            assert good.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
            session = requests.get(f"{service.base_url}/socket.io/?EIO=4&transport=polling", timeout=10)
            sid = json.loads(session.text[1:])["sid"]
            polled = f"{service.base_url}/socket.io/?EIO=4&transport=polling&sid={sid}"
            assert requests.post(polled, data="4" + "x" * 20_000, timeout=10).status_code == 413

    def test_clients_past_the_bound_are_told_to_come_later(self, simulator: ServiceProcess, connect: Connect) -> None:
        with ServiceProcess(
            "websocket-streaming", {"SIMULATOR_URL": simulator.base_url, "MAX_CLIENTS": "1"}
        ) as service:
            connect(service.base_url)
            answer = requests.get(f"{service.base_url}/socket.io/?EIO=4&transport=polling", timeout=10)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                websocket.create_connection(service.ws_url + "/socket.io/?EIO=4&transport=websocket", timeout=10)
            assert refused.value.status_code == 503
            plain = websocket.create_connection(service.ws_url + "/stream/price/BTCUSDT", timeout=10)
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                websocket.create_connection(service.ws_url + "/stream/price/BTCUSDT", timeout=10)
            assert refused.value.status_code == 503
            plain.close()


def test_start_lines_say_what_users_look_for(streaming: ServiceProcess) -> None:
    text = " ".join(json.loads(line)["message"] for line in streaming.log.splitlines() if line.startswith("{"))
    looked_for = ["Redis:", "metrics at", str(streaming.port), "BTCUSDT", "Cache:", "White-hat", "Upstream connected"]
    for word in looked_for:
        assert word in text


def test_a_graceful_stop_says_goodbye_and_exits_0(simulator: ServiceProcess, connect: Connect) -> None:
    with ServiceProcess("websocket-streaming", {"SIMULATOR_URL": simulator.base_url}) as service:
        clients = [connect(service.base_url, transports=[kind]) for kind in ("websocket", "polling")]
        ws = websocket.create_connection(service.ws_url + "/stream/price/BTCUSDT", timeout=15)
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 10
        for client in clients:
            client.wait("disconnect")
        while ws.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
        assert "Traceback" not in service.log
