"""Weights, 429 and 418 from a client's view."""

from typing import Any

import pytest
import requests

pytestmark = [pytest.mark.integration, pytest.mark.api]

HEADER = "X-MBX-USED-WEIGHT-1M"


def test_the_used_weight_is_on_each_answer_then_429_then_418(start_simulator: Any) -> None:
    simulator = start_simulator()
    session = requests.Session()

    def ask(path: str = "/api/v3/depth?symbol=BTCUSDT&limit=5000") -> requests.Response:
        return session.get(simulator.base_url + path, timeout=10)

    first = ask("/api/v3/klines?symbol=BTCUSDT&interval=1m")
    assert int(first.headers[HEADER]) >= 2
    refused = next(answer for answer in (ask() for _ in range(60)) if answer.status_code == 429)
    assert refused.json()["code"] == -1003
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert int(refused.headers[HEADER]) > 6000
    banned = next(answer for answer in (ask() for _ in range(80)) if answer.status_code == 418)
    assert banned.json()["code"] == -1003
    assert 1 <= int(banned.headers["Retry-After"]) <= 120
    assert ask("/api/v3/ping").status_code == 418
    assert simulator.get("/health").status_code == 200, "only the exchange's paths are limited"
    assert simulator.status()["limits"] is True


def test_without_limits_no_weight_is_counted_and_status_says_so(simulator: Any) -> None:
    assert all(simulator.get("/api/v3/depth", symbol="BTCUSDT", limit=5000).ok for _ in range(30))
    assert HEADER not in simulator.get("/api/v3/ping").headers
    assert simulator.status()["limits"] is False


def test_the_301st_connection_within_five_minutes_is_closed(start_simulator: Any) -> None:
    simulator = start_simulator()
    for _ in range(300):
        simulator.socket("/ws").close()
    answer = simulator.socket("/ws")
    with pytest.raises(Exception, match="1008"):
        answer.receive()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/nosuch",
        "/api/v1/time",
        "/api",
        "/fapi/v1/nosuch",
        "/dapi/v1/depth",
        "/futures/data/nosuch",
        "/ws/btcusdt@trade",
        "/stream",
    ],
)
def test_an_unknown_exchange_path_is_404_in_the_exchanges_shape(simulator: Any, path: str) -> None:
    answer = simulator.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"code": -1020, "msg": "This operation is not supported."}


def test_coin_margined_futures_list_nothing(simulator: Any) -> None:
    assert simulator.get("/dapi/v1/exchangeInfo").json()["symbols"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_another_method_is_refused_in_the_exchanges_shape(simulator: Any, method: str) -> None:
    answer = requests.request(method, f"{simulator.base_url}/api/v3/depth", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, -1020)


def test_a_foreign_host_is_refused_in_the_exchanges_shape(simulator: Any) -> None:
    answer = requests.get(f"{simulator.base_url}/api/v3/time", headers={"Host": "evil.example"}, timeout=10)
    assert answer.status_code == 403
    assert answer.json().keys() == {"code", "msg"}
