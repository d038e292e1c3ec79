"""Replays from a client's view: a recorded day as a session's market, and what is said when there is none."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.api]

MAY_MS = 1_621_382_400_000  # 2021-05-19
MINUTE_MS = 60_000
CLOSES = [43_000.0 - 9 * minute for minute in range(1440)]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder: Path = tmp_path_factory.mktemp("bars")
    for symbol, scale in (("BTC", 1.0), ("ETH", 0.05)):
        rows = []
        for minute, close in enumerate(CLOSES):
            prices = [round(price * scale, 2) for price in (close + 3, close + 5, close - 5, close)]
            rows.append([MAY_MS + minute * MINUTE_MS, *prices, 40.0 + minute % 7 * 0.001])
        name = f"binance-{symbol}_USDT-1m-20210519-20210519.json.gz"
        (folder / name).write_bytes(gzip.compress(json.dumps(rows).encode()))
    settings = {"SIM_LIMITS": "false", "SIM_REPLAY_DIR": str(folder)}
    with ServiceProcess("market-simulator", settings) as process:
        yield process


def open_replay(process: ServiceProcess, simulator: Any, **body: Any) -> Any:
    answer = requests.post(f"{process.base_url}/sim/session", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    one = type(simulator)(process)
    one.document = answer.json()["data"]
    one.base_url, one.ws_url = (url + one.document["path"] for url in (process.base_url, process.ws_url))
    return one


def test_replays_are_listed(process: ServiceProcess) -> None:
    found = requests.get(f"{process.base_url}/sim/replays", timeout=10).json()["data"]
    assert [(one["date"], sorted(one["symbols"])) for one in found] == [("2021-05-19", ["BTCUSDT", "ETHUSDT"])]


def test_a_recorded_crash_is_played_at_the_speed_asked_for(process: ServiceProcess, simulator: Any) -> None:
    replay = open_replay(process, simulator, replay="2021-05-19", speed=60)
    assert replay.document["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert replay.document["replay"] == "2021-05-19"
    now_ms = replay.api("time")["serverTime"]
    assert MAY_MS <= now_ms < MAY_MS + 30 * MINUTE_MS
    frame = replay.socket("/ws/btcusdt@trade").receive()
    assert 42_000 < float(frame["p"]) < 43_010
    assert MAY_MS <= frame["T"] < MAY_MS + 60 * MINUTE_MS
    wait_until(lambda: replay.api("time")["serverTime"] >= MAY_MS + 3 * MINUTE_MS, 20)
    bar = replay.api("klines", symbol="BTCUSDT", interval="1m", startTime=MAY_MS, limit=1)[0]
    figures = ["43003.00000000", "43005.00000000", "42995.00000000", "43000.00000000", "40.00000000"]
    assert (bar[0], bar[1:6]) == (MAY_MS, figures)
    status = replay.status()
    assert "replay" in status["note"]
    assert status["symbols"]["BTCUSDT"]["kind"] == "replayed"
    replay.close_sockets()


def test_a_replay_can_begin_at_an_instant_and_list_some_symbols(process: ServiceProcess, simulator: Any) -> None:
    replay = open_replay(process, simulator, replay="2021-05-19T12:00:00Z", symbols=["ETHUSDT"])
    assert replay.document["symbols"] == ["ETHUSDT"]
    assert replay.api("time")["serverTime"] >= MAY_MS + 720 * MINUTE_MS
    price = float(replay.api("ticker/price", symbol="ETHUSDT")["price"])
    assert price == pytest.approx(CLOSES[720] * 0.05, rel=0.01)


def test_a_replay_takes_scenarios_and_orders(process: ServiceProcess, simulator: Any) -> None:
    replay = open_replay(process, simulator, replay="2021-05-19")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    placed = requests.post(f"{replay.base_url}/sim/order", json=order, timeout=10).json()["data"]
    assert placed["status"] == "FILLED"
    begun = replay.begin("gap", symbol="BTCUSDT", duration_s=60, params={"size_pct": -10})
    assert float(begun["planted"]["lowest_shift"]) < -4000


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"replay": "2020-01-01"}, 404, None),
        ({"replay": "noon"}, 422, "replay"),
        ({"replay": "2021-05-19", "symbols": ["ADAUSDT"]}, 422, "symbols.0"),
    ],
)
def test_what_was_not_recorded_is_said(
    process: ServiceProcess, body: dict[str, Any], status: int, field: str | None
) -> None:
    answer = requests.post(f"{process.base_url}/sim/session", json=body, timeout=10)
    assert answer.status_code == status, answer.text
    assert [one["field"] for one in answer.json()["error"]["details"]] == ([] if field is None else [field])


def test_without_a_folder_a_404_says_so(simulator: Any) -> None:
    for answer in (
        requests.post(f"{simulator.base_url}/sim/session", json={"replay": "2021-05-19"}, timeout=10),
        simulator.get("/sim/replays"),
    ):
        assert answer.status_code == 404
        assert "SIM_REPLAY_DIR" in answer.json()["error"]["message"]
