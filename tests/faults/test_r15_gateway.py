"""R15 for the gateway from the inside: whoever is logged in may send nonsense, too, to it, to a webhook, and through it
to every service; none of it makes a 5xx, or keeps a service from the others.
"""

import collections
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.testing.process import ServiceProcess
from tests.faults.conftest import Start
from tests.faults.garbage import BadRequest, Operation, bad_requests, operations
from tests.faults.scale import scaled
from tests.faults.test_r15_malformed_requests import CALLERS, MAX_GROWTH_MB, WARM_UP, send
from tests.faults.test_r15_schemathesis import check
from tests.faults.watching import rss_mb

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.timeout(1800)]

PASSWORD = "correct horse battery"
BEHIND = ("market-simulator", "websocket-streaming", "database-service")
SIGNAL_FIELDS = ["symbol", "signal_type", "confidence", "price", "timestamp", "metadata"]


@pytest.fixture(scope="module")
def gateway(start: Start, simulator: ServiceProcess, stream: ServiceProcess) -> Iterator[ServiceProcess]:
    with start("database-service") as database:
        processes = zip(BEHIND, (simulator, stream, database), strict=True)
        found = ",".join(f"{name}={process.base_url}" for name, process in processes)
        with start("auth-gateway", SERVICE_URLS=found) as process:
            yield process


def post(gateway: ServiceProcess, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = urllib3.request("POST", gateway.base_url + path, json=body, headers=headers, retries=False)
    assert answer.status == 200, answer.data
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.fixture(scope="module")
def token(gateway: ServiceProcess) -> dict[str, str]:
    post(gateway, "/auth/register", {"email": "ada@example.org", "username": "ada", "password": PASSWORD})
    tokens = post(gateway, "/auth/login", {"username": "ada", "password": PASSWORD})
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def calls_of(gateway: ServiceProcess, token: dict[str, str]) -> list[Operation]:
    """Every call of the fleet but the one that would end it all, and a webhook that takes whatever comes."""
    hook = post(gateway, "/auth/hooks", {"name": "chart", "proof": "address"}, token)
    known = [call for call in operations(gateway.get("/api/openapi.json")) if call.path != "/auth/logout"]
    assert len(known) > 60
    return [*known, *[Operation("POST", hook["path"], [], SIGNAL_FIELDS)] * 5]


def test_malformed_requests_of_somebody_who_is_logged_in(gateway: ServiceProcess, token: dict[str, str]) -> None:
    requests = list(bad_requests(calls_of(gateway, token), scaled(40_000, at_least=2000), seed=17))
    pool = urllib3.HTTPConnectionPool("127.0.0.1", gateway.port, maxsize=CALLERS, timeout=30, retries=False)
    statuses: collections.Counter[int] = collections.Counter()
    complaints: list[str] = []

    def send_known(bad: BadRequest) -> tuple[int, str | None]:
        return send("auth-gateway", pool, replace(bad, headers=token | bad.headers))

    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(send_known, requests[:WARM_UP]))
        rss_warm = rss_mb(gateway.pid)
        for bad, (status, wrong) in zip(requests, callers.map(send_known, requests), strict=True):
            statuses[status] += 1
            complaints += [f"{wrong}: {status} for {bad}"[:500]] if wrong else []
    growth = rss_mb(gateway.pid) - rss_warm
    print(f"\nR15 gateway, logged in: {len(requests)}, {dict(sorted(statuses.items()))}, RSS {growth:+.1f} MB")
    assert complaints == []
    assert statuses[401] < len(requests) / 5  # most came further than the door
    assert growth < MAX_GROWTH_MB
    health = urllib3.request("GET", f"{gateway.base_url}/api/health").json()["data"]
    assert [health["services"][name]["status"] for name in BEHIND] == ["healthy"] * len(BEHIND)
    assert urllib3.request("GET", f"{gateway.base_url}/auth/validate", headers=token).status == 200
    assert "Traceback" not in gateway.log


def test_schemathesis_finds_nothing_behind_the_login_either(
    gateway: ServiceProcess, token: dict[str, str], tmp_path: Path
) -> None:
    words = [word for name, value in token.items() for word in ("-H", f"{name}: {value}")]
    check(gateway, tmp_path, *words, "--exclude-path", "/auth/logout")
    assert urllib3.request("GET", f"{gateway.base_url}/auth/validate", headers=token).status == 200
