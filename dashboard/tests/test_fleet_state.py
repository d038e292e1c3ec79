"""/api/fleet tells what each service tells of itself, and costs the services one look a second at most."""

import re
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.fleet import read_fleet
from shared.testing.net import wait_until

from .conftest import DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.api]


def test_each_service_of_the_list_is_there_in_its_own_words(fleet: DashboardFleet) -> None:
    rows = fleet.ask("/api/fleet").json()["data"]["services"]
    assert [row["name"] for row in rows] == [service.name for service in read_fleet().services]
    for row in rows:
        assert row["state"] == "ready", row
        running = fleet.services[row["name"]]
        own: dict[str, Any] = running.get("/health")
        assert (row["title"], row["port"]) == (own["service"], running.port)
        assert row["dependencies"] == own["dependencies"]
        assert 0 <= own["uptime_seconds"] - row["uptime_seconds"] < 10
        pages = int(Path(f"/proc/{running.pid}/statm").read_text().split()[1])
        assert row["memory_mb"] == pytest.approx(pages * resource.getpagesize() / 2**20, rel=0.2)


def test_rates_are_of_the_requests_made_health_and_metrics_aside(fleet: DashboardFleet) -> None:
    def total() -> float:
        row = fleet.state("database-service")
        return row["rates"]["requests_per_s"] * row["rates"]["over_s"] if row["rates"] else 0.0

    fleet.ask("/api/fleet")
    for _ in range(40):
        urllib3.request("GET", f"{fleet.database.base_url}/signals/history?limit=none")
    wait_until(lambda: total() >= 40, what="the 40 calls are seen")
    rates = fleet.state("database-service")["rates"]
    assert rates["refused_per_s"] * rates["over_s"] >= 39.5
    assert rates["failed_per_s"] == 0


def test_many_askers_share_one_look(fleet: DashboardFleet) -> None:
    def scrapes() -> float:
        text = urllib3.request("GET", f"{fleet.database.base_url}/metrics").data.decode()
        found = re.search(r'^http_requests_total\{method="GET",route="/metrics".* (\S+)$', text, re.M)
        return float(found[1]) if found else 0.0

    before = scrapes()
    with ThreadPoolExecutor(16) as askers:
        times = list(askers.map(lambda _: fleet.ask("/api/fleet").json()["data"]["measured_at"], range(100)))
    assert scrapes() - before - 1 <= len(set(times))
    assert len(set(times)) < 20
