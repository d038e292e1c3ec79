"""R18: the host's wall clock jumps by an hour, ahead and back: timers, limits and ages don't notice.

libfaketime stands between the service and the system's clock; the monotonic one stays true. The exchange (the
simulator) keeps its own time, as it does in the world.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import websocket

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from tests.faults.load import SIGNAL

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.slow]

PLACES = (f"/usr/lib/{platform.machine()}-linux-gnu/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
JUMPS_S = (3600, -3600, 0)  # off the true time
http = urllib3.PoolManager(timeout=10, retries=False)


@dataclass
class WallClock:
    """The wall clock that a service sees."""

    file: Path
    library: Path

    def jump(self, offset_s: int) -> None:
        """From now on it is so far off."""
        beside = self.file.with_suffix(".new")
        beside.write_text(f"{offset_s:+d}s\n")
        beside.replace(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see it."""
        return {
            "LD_PRELOAD": str(self.library), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    found = [path for place in PLACES if (path := Path(place) / "libfaketime.so.1").exists()]
    if not found:
        reason = "libfaketime is missing (Debian: apt-get install faketime)"
        if os.environ.get("CI") == "true" and Path("/etc/debian_version").exists():
            pytest.fail(reason)
        pytest.skip(reason)
    clock = WallClock(tmp_path / "offset", found[0])
    clock.jump(0)
    return clock


def ask(service: ServiceProcess, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
    return http.request(method, service.base_url + path, **options)


def off_s(service: ServiceProcess) -> float:
    """How far off the service's wall clock is, by its own word."""
    said = ask(service, "GET", "/health").json()["timestamp"]
    return time.mktime(time.strptime(said[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())


def see(service: ServiceProcess, offset_s: int) -> None:
    """Wait until the service's clock is so far off."""
    wait_until(lambda: abs(off_s(service) - offset_s) < 5, what="the service sees the jump")


def all_fresh(link: websocket.WebSocket, seconds: float) -> None:
    """Every price that comes meanwhile is in force; and some do come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert json.loads(link.recv())["data"].get("stale") is not True


@pytest.fixture
def stream(wall_clock: WallClock, simulator: ServiceProcess) -> Iterator[ServiceProcess]:
    env = {"SIMULATOR_URL": simulator.base_url, "RATE_LIMIT_PRICE": "40"}
    with ServiceProcess("websocket-streaming", env | wall_clock.environment) as service:
        yield service


def test_prices_stay_fresh_and_limits_exact(stream: ServiceProcess, wall_clock: WallClock) -> None:
    link = websocket.create_connection(stream.ws_url + "/stream/price/BTCUSDT", timeout=5)
    while json.loads(link.recv())["data"].get("stale") is not False:
        continue  # what it said before the market was connected
    passed, uptime = 0, ask(stream, "GET", "/health").json()["uptime_seconds"]
    begun, worst_age_ms = time.monotonic(), 0.0
    for offset in JUMPS_S:
        wall_clock.jump(offset)
        see(stream, offset)
        all_fresh(link, 3)
        for _ in range(10):
            answer = ask(stream, "GET", "/price/BTCUSDT")
            document = answer.json()
            assert answer.status == 200
            assert (document["stale"], document["source"]) == (False, "cache")
            worst_age_ms = max(worst_age_ms, document["age_ms"])
            passed += 1
    assert worst_age_ms < 5000
    elapsed_s = ask(stream, "GET", "/health").json()["uptime_seconds"] - uptime
    assert abs(elapsed_s - (time.monotonic() - begun)) < 2
    statuses = [ask(stream, "GET", "/price/BTCUSDT").status for _ in range(20)]
    assert statuses.count(200) == 40 - passed  # all within one minute: three jumps of the clock made no new one
    refused = ask(stream, "GET", "/price/BTCUSDT")
    assert (refused.status, 1 <= int(refused.headers["Retry-After"]) <= 60) == (429, True)
    print(f"\nR18 websocket-streaming: clock at +1 h, -1 h, 0: oldest price {worst_age_ms:.0f} ms, none stale")
    link.close()


def test_signals_are_saved_on_and_say_the_hosts_time(wall_clock: WallClock) -> None:
    with ServiceProcess("database-service", {"RATE_LIMIT_SIGNALS_SAVE": "40"} | wall_clock.environment) as service:
        slowest_s, passed = 0.0, 0
        for offset in JUMPS_S:
            wall_clock.jump(offset)
            see(service, offset)
            for number in range(10):
                key = {"Idempotency-Key": f"{offset}-{number}"}
                begun = time.monotonic()
                first = ask(service, "POST", "/signals/save", json=SIGNAL, headers=key)
                slowest_s = max(slowest_s, time.monotonic() - begun)
                assert first.status == 200, first.data
                passed += 1
        again = ask(service, "POST", "/signals/save", json=SIGNAL, headers={"Idempotency-Key": f"{JUMPS_S[0]}-0"})
        assert again.json()["signal_id"] is not None
        statuses = [ask(service, "POST", "/signals/save", json=SIGNAL).status for _ in range(15)]
        assert statuses.count(200) == 40 - passed - 1
        history = ask(service, "GET", "/signals/history?limit=1000").json()["data"]["signals"]
        assert len(history) == 39
        assert slowest_s < 2
        print(f"\nR18 database-service: {passed} saves over three jumps, the slowest {slowest_s * 1000:.0f} ms")


def test_logins_last_and_limits_stay_exact_in_the_gateway(wall_clock: WallClock, simulator: ServiceProcess) -> None:
    """An access token is dated by the wall clock; one that a jump ended is exchanged, and nobody logs in anew."""
    env = {"SERVICE_URLS": f"market-simulator={simulator.base_url}", "RATE_LIMIT_AUTH_KEYS": "40"}
    ada = {"email": "ada@example.org", "username": "ada", "password": "correct horse battery"}
    with ServiceProcess("auth-gateway", env | wall_clock.environment) as gateway:
        assert ask(gateway, "POST", "/auth/register", json=ada).status == 200
        tokens = ask(gateway, "POST", "/auth/login", json=ada).json()["data"]
        passed = 0
        for offset in JUMPS_S:
            wall_clock.jump(offset)
            see(gateway, offset)
            ended = ask(gateway, "GET", "/auth/validate", headers=bearer(tokens)).status
            assert ended == (401 if offset > 0 else 200)
            if ended == 401:
                again = {"refresh_token": tokens["refresh_token"]}
                tokens = ask(gateway, "POST", "/auth/refresh", json=again).json()["data"]
            for _ in range(10):
                assert ask(gateway, "GET", "/auth/keys", headers=bearer(tokens)).status == 200
                passed += 1
            assert ask(gateway, "GET", "/api/market-simulator/sim/status", headers=bearer(tokens)).status == 200
        statuses = [ask(gateway, "GET", "/auth/keys", headers=bearer(tokens)).status for _ in range(20)]
        assert statuses.count(200) == 40 - passed
        assert set(statuses) == {200, 429}
        print(f"\nR18 auth-gateway: {passed} calls over three jumps, one token exchanged, the limit exact")


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}
