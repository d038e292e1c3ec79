"""Every alert provoked with real parts: services, PostgreSQL, Prometheus and Alertmanager, and a webhook that is told.

`@provokes` says which; a rule that none of them names fails the last test.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import websocket
import yaml

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import ServerMissing
from tests.monitoring.troubles import TABLE_LOCK, crowded, http, locked, pressed, repeated, save, scenario, stalled
from tests.monitoring.watched import FOLDER, PROVOKED, WITHIN_S, Watched, provokes, watched_fleet

pytestmark = [
    pytest.mark.integration, pytest.mark.slow, pytest.mark.database, pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="processes show memory and descriptors to Prometheus on Linux"),
]  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    try:
        with watched_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
            yield fleet
    except ServerMissing as missing:
        if os.environ.get("CI") == "true" and Path("/etc/debian_version").exists():
            pytest.fail(f"{missing}; tools/install.py installs it")
        pytest.skip(str(missing))


@provokes("RedisAway", "MemoryNearLimit", "ServiceNotReady")
def test_a_service_that_lacks_something_from_the_start_is_told_and_a_healthy_one_wakes_nobody(watched: Watched) -> None:
    watched.wait_for("ServiceNotReady", service="migrating")
    watched.wait_for("RedisAway", service="poor")
    watched.wait_for("MemoryNearLimit", service="poor")
    assert {(name, service) for name, service, _ in watched.webhook.told} == {
        ("ServiceNotReady", "migrating"), ("RedisAway", "poor"), ("MemoryNearLimit", "poor"),
    }  # fmt: skip
    watched.end_lock()
    watched.wait_for("ServiceNotReady", "resolved", service="migrating")


@provokes("UpstreamLost")
def test_a_lost_exchange_is_told_and_its_return_too(watched: Watched) -> None:
    with scenario(watched.simulator, "outage"):
        wait_until(lambda: "StaleSymbols" in watched.prometheus.firing(), WITHIN_S, what="StaleSymbols")
        watched.wait_for("UpstreamLost")
    watched.wait_for("UpstreamLost", "resolved")


@provokes("StaleSymbols", "GapsNotFilled")
def test_a_silent_symbol_and_trades_that_cannot_be_had_any_more_are_told(watched: Watched) -> None:
    market = watched.simulator
    with (
        scenario(market, "server_error", path="/api/v3"),
        scenario(market, "silent_symbol", "ETHUSDT"),
        scenario(market, "drop", stream="btcusdt@trade", share=0.3),
        closing(websocket.create_connection(f"{watched.stream.ws_url}/stream/trades/BTCUSDT", timeout=10)),
    ):
        watched.wait_for("StaleSymbols", service="stream")
        watched.wait_for("GapsNotFilled", service="stream")
    watched.wait_for("StaleSymbols", "resolved", service="stream")


@provokes("ManyRefused", "SlowClients", "DescriptorsNearLimit")
def test_clients_that_ask_on_and_on_that_never_read_and_that_are_too_many_are_told(watched: Watched) -> None:
    def ask() -> object:
        return http.request("GET", f"{watched.stream.base_url}/price/BTCUSDT")

    with repeated(ask, ask, ask), stalled(watched.stream, 40), crowded(watched.plain, 300, 250):
        watched.wait_for("DescriptorsNearLimit", service="plain")
        watched.wait_for("SlowClients", service="stream")
        watched.wait_for("ManyRefused", service="stream")
    watched.wait_for("DescriptorsNearLimit", "resolved", service="plain")


@provokes("DatabaseAway", "SpoolGrowing", "SpoolNotDraining", "ServerErrors", "SlowAnswers")
def test_a_database_that_hangs_is_told_by_each_of_its_signs(watched: Watched) -> None:
    for _ in range(20):
        save(watched.spooling)
    savers = [lambda: save(watched.spooling), lambda: save(watched.plain)] * 4
    with repeated(*savers):
        watched.postgres.pause()
        try:
            watched.wait_for("DatabaseAway", service="spooling")
            watched.wait_for("SpoolGrowing", service="spooling")
            watched.wait_for("SpoolNotDraining", service="spooling")
            watched.wait_for("ServerErrors", service="plain")
            watched.wait_for("SlowAnswers", service="plain")
        finally:
            watched.postgres.resume()
    watched.wait_for("DatabaseAway", "resolved", service="spooling")
    watched.wait_for("SpoolNotDraining", "resolved", service="spooling")


@provokes("WritesPilingUp")
def test_saves_that_wait_for_a_table_that_somebody_holds_are_told(watched: Watched) -> None:
    with locked(watched.plain.env["DATABASE_URL"], TABLE_LOCK), pressed(watched.plain, clients=1500):
        watched.wait_for("WritesPilingUp", service="plain")
    watched.wait_for("WritesPilingUp", "resolved", service="plain")


@provokes("ServiceRestarting", "ServiceDown")
def test_a_service_that_crashes_and_one_that_is_gone_are_told(watched: Watched) -> None:
    for _ in range(3):
        watched.poor.kill()
        watched.poor.start()
        wait_until(lambda: _scraped(watched, watched.poor), 20, what="the new process is scraped")
    watched.wait_for("ServiceRestarting", service="poor")
    watched.poor.kill()
    watched.wait_for("ServiceDown", service="poor")
    watched.poor.start()
    watched.wait_for("ServiceDown", "resolved", service="poor")


def test_every_alert_of_the_rules_is_provoked_above() -> None:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    assert {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule} == PROVOKED


def _scraped(watched: Watched, service: ServiceProcess) -> bool:
    """Whether Prometheus has seen the process that runs now."""
    shown = http.request("GET", f"{service.base_url}/metrics").data.decode()
    own = re.search(r"^process_start_time_seconds (\S+)", shown, re.MULTILINE)
    query = f'process_start_time_seconds{{instance="127.0.0.1:{service.port}"}}'
    url = f"http://127.0.0.1:{watched.prometheus.port}/api/v1/query"
    found = http.request("GET", url, fields={"query": query}).json()["data"]["result"]
    return own is not None and bool(found) and float(found[0]["value"][1]) == float(own[1])
