"""The upstream or Redis goes away, lies or falls silent: prices say so, and are right again by themselves."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import requests
import websocket

from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.websocket, pytest.mark.faults]


@pytest.fixture
def market() -> Iterator[ServiceProcess]:
    """A simulator of one's own, free to be cut, silenced and killed."""
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as running:
        yield running


@pytest.fixture
def service(market: ServiceProcess) -> Iterator[ServiceProcess]:
    settings = {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false", "DEFAULT_SYMBOLS": "BTCUSDT,ETHUSDT"}
    with ServiceProcess("websocket-streaming", settings) as running:
        wait_until(lambda: price(running)["source"] == "cache" and fresh(running), what="fresh prices")
        yield running


def begin(market: ServiceProcess, name: str, **more: Any) -> None:
    """Have the simulator begin a scenario."""
    answer = requests.post(f"{market.base_url}/sim/scenario", json={"name": name, **more}, timeout=10)
    assert answer.status_code == 200, answer.text


def price(service: ServiceProcess, symbol: str = "BTCUSDT") -> dict[str, Any]:
    answer: dict[str, Any] = service.get(f"/price/{symbol}")
    return answer


def stats(service: ServiceProcess) -> dict[str, Any]:
    data: dict[str, Any] = service.get("/stats")["data"]
    return data


def memory_mb(pid: int) -> float:
    """Resident memory, by ps, which Linux and macOS both have."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout) / 1024


def fresh(service: ServiceProcess) -> bool:
    return not any(price(service, symbol)["stale"] for symbol in ("BTCUSDT", "ETHUSDT"))


def test_a_cut_upstream_is_told_connected_again_resubscribed_and_fresh(
    market: ServiceProcess, service: ServiceProcess, connect: Callable[..., Any]
) -> None:
    client = connect(service.base_url)
    client.ask("subscribe", {"symbols": ["BTCUSDT", "ETHUSDT"]}, "subscribed")
    since = len(client.events)
    begin(market, "cut")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        client.wait("price_update", lambda data, s=symbol: data["symbol"] == s and data["stale"], since)
    wait_until(lambda: stats(service)["reconnects"] == 1 and fresh(service), what="reconnected and fresh")
    since = len(client.events)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        client.wait("price_update", lambda data, s=symbol: data["symbol"] == s and not data["stale"], since)
    assert client.data("disconnect") == []


def test_an_outage_leaves_the_last_price_stale_with_its_age_and_ends_by_itself(
    market: ServiceProcess, service: ServiceProcess
) -> None:
    begin(market, "outage", duration_s=5)
    wait_until(lambda: price(service)["stale"], what="stale")
    first = price(service)
    assert (first["source"], first["data"]["stale"]) == ("cache", True)
    wait_until(lambda: price(service)["age_ms"] >= first["age_ms"] + 1000, what="an age that grows")
    health = service.get("/health")
    assert health["status"] == "degraded"
    assert health["dependencies"]["upstream"]["status"] == "degraded"
    assert requests.get(f"{service.base_url}/price/ADAUSDT", timeout=10).status_code in {404, 503}
    wait_until(lambda: fresh(service), timeout_s=30, what="fresh again")


@pytest.mark.slow
def test_a_socket_open_but_silent_is_noticed_and_replaced(market: ServiceProcess, service: ServiceProcess) -> None:
    begin(market, "silent_socket", duration_s=300)
    started = time.monotonic()
    wait_until(lambda: price(service)["stale"] or stats(service)["reconnects"], timeout_s=20, what="noticed")
    noticed_s = time.monotonic() - started
    wait_until(lambda: stats(service)["reconnects"] >= 1 and fresh(service), timeout_s=30, what="fresh again")
    print(f"silent socket: noticed after {noticed_s:.1f} s, fresh after {time.monotonic() - started:.1f} s")


@pytest.mark.slow
def test_one_silent_symbol_is_noticed_alone(market: ServiceProcess, service: ServiceProcess) -> None:
    menu = {entry["name"] for entry in market.get("/sim/scenarios")["data"]}
    if "silent_symbol" not in menu:
        pytest.skip("the simulator has no scenario silent_symbol yet")
    begin(market, "silent_symbol", symbol="ETHUSDT", duration_s=30)
    wait_until(lambda: price(service, "ETHUSDT")["stale"], timeout_s=20, what="ETHUSDT stale")
    assert not price(service, "BTCUSDT")["stale"]


def test_it_starts_and_answers_with_the_upstream_away_and_finds_it_later(market: ServiceProcess) -> None:
    port = market.port
    market.stop()
    with ServiceProcess("websocket-streaming", {"SIMULATOR_URL": f"http://127.0.0.1:{port}"}) as service:
        health = service.get("/health")
        assert (health["status"], health["dependencies"]["upstream"]["status"]) == ("degraded", "degraded")
        answer = requests.get(f"{service.base_url}/price/BTCUSDT", timeout=10)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        ws = websocket.create_connection(service.ws_url + "/stream/price/XRPUSDT", timeout=15)
        assert json.loads(ws.recv())["data"]["code"] == "upstream_unavailable"
        market.start()
        wait_until(lambda: requests.get(f"{service.base_url}/price/BTCUSDT", timeout=10).status_code == 200, 30)
        wait_until(lambda: not price(service)["stale"], 30, what="fresh")


def test_binance_never_falls_back_to_the_simulator(market: ServiceProcess) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = {
        "MARKET": "binance", "SIMULATOR_URL": market.base_url, "BINANCE_REST_URL": nowhere,
        "BINANCE_WS_URL": nowhere.replace("http", "ws"),
    }  # fmt: skip
    with ServiceProcess("websocket-streaming", settings) as service:
        assert service.get("/health")["dependencies"]["upstream"]["status"] == "degraded"
        assert stats(service)["venue"] == "binance"
        assert requests.get(f"{service.base_url}/price/BTCUSDT", timeout=10).status_code == 503
        assert not (service.var_dir / "market.json").exists()


@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
def test_auto_takes_the_simulator_when_binance_does_not_answer_and_stays_with_it(
    market: ServiceProcess, hangs: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if hangs else free_port()
        settings = {
            "MARKET": "auto", "SIMULATOR_URL": market.base_url, "BINANCE_REST_URL": f"http://127.0.0.1:{port}"
        }
        with ServiceProcess("websocket-streaming", settings) as service:
            assert stats(service)["venue"] == "simulator"
            assert json.loads((service.var_dir / "market.json").read_text())["venue"] == "simulator"
            service.stop()
            service.env["BINANCE_REST_URL"] = market.base_url  # it answers now, but the verdict stands
            service.start()
            assert stats(service)["venue"] == "simulator"


def test_auto_takes_binance_when_it_answers(market: ServiceProcess) -> None:
    settings = {
        "MARKET": "auto", "SIMULATOR_URL": f"http://127.0.0.1:{free_port()}", "BINANCE_REST_URL": market.base_url,
        "BINANCE_WS_URL": market.ws_url,
    }  # fmt: skip
    with ServiceProcess("websocket-streaming", settings) as service:
        wait_until(lambda: price(service)["source"] == "cache", what="a held price")
        assert price(service)["data"]["venue"] == "binance"


@pytest.mark.redis
class TestRedis:
    """Newest prices in Redis, when there is one."""

    def settings(self, market: ServiceProcess, server: RedisServer) -> dict[str, str]:
        return {"SIMULATOR_URL": market.base_url, "REDIS_ENABLED": "true", "REDIS_URL": server.url}

    def test_the_newest_prices_are_there_and_greet_a_restart_without_the_exchange(
        self, market: ServiceProcess, private_redis: RedisServer
    ) -> None:
        key = "price:simulator:spot:BTCUSDT"
        with (
            redis.Redis.from_url(private_redis.url) as client,
            ServiceProcess("websocket-streaming", self.settings(market, private_redis)) as service,
        ):
            wait_until(lambda: client.get(key), what="a price in Redis")
            assert json.loads(client.get(key) or b"{}").keys() >= {"price", "volume", "age_s"}
            service.stop()
            market.stop()
            service.start()
            held = price(service)
            assert (held["source"], held["stale"]) == ("cache", True)
            assert held["age_ms"] > 0

    def test_without_redis_it_goes_on_and_finds_it_again(
        self, market: ServiceProcess, private_redis: RedisServer
    ) -> None:
        with ServiceProcess("websocket-streaming", self.settings(market, private_redis)) as service:
            wait_until(lambda: not price(service)["stale"], what="fresh")
            private_redis.kill()
            wait_until(lambda: service.get("/health")["dependencies"]["cache"]["status"] == "degraded", what="told")
            seq = price(service)["data"]["seq"]
            wait_until(lambda: price(service)["data"]["seq"] > seq + 5, what="prices that go on")
            private_redis.start()
            wait_until(lambda: service.get("/health")["dependencies"]["cache"]["status"] == "healthy", what="back")


@pytest.fixture(scope="module")
def busy_service() -> Iterator[ServiceProcess]:
    """A market fifty times as fast: thousands of updates a second."""
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false", "SIM_SPEED": "50"}) as market:
        settings = {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false"}
        with ServiceProcess("websocket-streaming", settings) as running:
            yield running


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/stream/price/BTCUSDT", "/stream/orderbook/BTCUSDT", "/socket.io/?EIO=4&transport=websocket"]
)
def test_readers_that_never_read_are_closed_at_their_bound_and_cost_no_memory(
    busy_service: ServiceProcess, connect: Callable[..., Any], path: str
) -> None:
    counted = stats(busy_service)["slow_clients"]
    good = connect(busy_service.base_url, transports=["websocket"])
    good.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
    wait_until(lambda: len(good.data("price_update")) > 100, what="a busy market")
    before_mb = memory_mb(busy_service.pid)
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    stalled = [websocket.create_connection(busy_service.ws_url + path, sockopt=small, timeout=10) for _ in range(5)]
    if "socket.io" in path:
        for ws in stalled:
            ws.send("40")
            ws.send('42["subscribe",{"symbols":["BTCUSDT","ETHUSDT"]}]')
    most_mb = before_mb
    while stats(busy_service)["slow_clients"] < counted + 5:
        most_mb = max(most_mb, memory_mb(busy_service.pid))
        since = len(good.events)
        good.wait("price_update", since=since)
    print(f"5 stalled readers: memory +{most_mb - before_mb:.1f} MB until they were closed")
    assert most_mb - before_mb < 20


def test_a_client_that_floods_and_never_reads_is_closed_and_counted_and_the_others_go_on(
    service: ServiceProcess, connect: Callable[..., Any]
) -> None:
    good = connect(service.base_url)
    good.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
    bad = websocket.create_connection(
        service.ws_url + "/socket.io/?EIO=4&transport=websocket",
        sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)], timeout=10,
    )  # fmt: skip
    bad.send("40")
    try:
        while stats(service)["slow_clients"] == 0:
            bad.send('42["subscribe",{"symbols":[' + ",".join(['"no symbol"'] * 5000) + "]}]")
    except OSError:
        pass  # closed while sending
    wait_until(lambda: stats(service)["slow_clients"] == 1, timeout_s=30, what="counted")
    seen = len(good.data("price_update"))
    wait_until(lambda: len(good.data("price_update")) > seen + 5, what="updates for the good one")


def test_a_client_that_subscribes_and_unsubscribes_in_turn_does_not_reach_the_exchange(
    connect: Callable[..., Any],
) -> None:
    with ServiceProcess("market-simulator") as market:  # with its limits: 5 messages a second, or the connection ends
        settings = {"SIMULATOR_URL": market.base_url, "DEFAULT_SYMBOLS": "BTCUSDT"}
        with ServiceProcess("websocket-streaming", settings) as service:
            restless, calm = connect(service.base_url), connect(service.base_url)
            for _ in range(500):
                restless.client.emit("subscribe", {"symbols": ["ETHUSDT", "SOLUSDT"]})
                restless.client.emit("unsubscribe", {"symbols": ["ETHUSDT", "SOLUSDT"]})
            wait_until(lambda: len(restless.data("unsubscribed")) == 500, timeout_s=30, what="answers to all")
            calm.ask("subscribe", {"symbols": ["SOLUSDT"]}, "subscribed")
            wait_until(lambda: len(calm.data("price_update")) > 3, what="updates of a symbol on demand")
            assert stats(service)["reconnects"] == 0
            assert stats(service)["subscriptions_by_symbol"] == {"BTCUSDT": 0, "SOLUSDT": 1}
