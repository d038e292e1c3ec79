"""Alerts provoked with real parts: services, PostgreSQL, Prometheus and Alertmanager, and a webhook that is called.

A minute of the rules is `MINUTE_S` here (`for:` and the ranges in brackets), and Prometheus looks each second; nothing
else of the rules is changed. What can't be provoked in that time is in rules_test.yml alone (docs/runbook.md says it).
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3
import websocket

from shared.fleet import ROOT
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer, ServerMissing
from tests.monitoring.watchers import Alertmanager, Prometheus, Webhook

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.database, pytest.mark.timeout(400)]

MINUTE_S = 2
WITHIN_S = 100.0
FOLDER = ROOT / "deploy" / "prometheus"
SIGNAL = json.dumps({"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000})
http = urllib3.PoolManager(timeout=20, retries=False, maxsize=8)


def quickened(text: str) -> str:
    """The rules with a minute of `MINUTE_S`; Prometheus needs two samples in a range."""
    return re.sub(
        r"(for: |\[)(\d+)m(?=\]|\s)", lambda found: f"{found[1]}{max(int(found[2]) * MINUTE_S, 2)}s", text
    )


def webhook_config(url: str) -> str:
    """As shipped, but its waits, and the address itself instead of the file that holds it (Debian's is too old)."""
    text = (FOLDER / "alertmanager-webhook.yml").read_text()
    text = text.replace("url_file: /etc/alertmanager/webhook_url", f"url: {url}")
    return re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)


@dataclass
class Watched:
    """A fleet that is watched."""

    prometheus: Prometheus
    webhook: Webhook
    postgres: PostgresServer
    simulator: ServiceProcess
    stream: ServiceProcess
    spooling: ServiceProcess
    plain: ServiceProcess
    crashing: ServiceProcess
    stopping: threading.Event = field(default_factory=threading.Event)

    def keep_asking(self, ask: Callable[[], object], every_s: float = 0.05) -> None:
        """In the background, until the test ends."""

        def work() -> None:
            while not self.stopping.wait(every_s):
                try:
                    ask()
                except urllib3.exceptions.HTTPError:
                    continue

        threading.Thread(target=work, daemon=True).start()

    def wait_for(self, name: str, status: str = "firing", service: str | None = None) -> None:
        """Until the webhook was told of it."""

        def told() -> bool:
            return any(
                alert == name and state == status and service in (None, about)
                for alert, about, state in list(self.webhook.told)
            )

        wait_until(told, WITHIN_S, what=f"{name} {status}; firing now: {sorted(self.prometheus.firing())}")


def save(service: ServiceProcess) -> object:
    headers = {"Content-Type": "application/json"}
    return http.request("POST", f"{service.base_url}/signals/save", body=SIGNAL, headers=headers)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with ExitStack() as opened:
        try:
            postgres = opened.enter_context(PostgresServer())
            webhook = Webhook()
            opened.callback(webhook.close)
            alertmanager = opened.enter_context(Alertmanager(webhook_config(webhook.url)))
        except ServerMissing as missing:
            if os.environ.get("CI") == "true" and Path("/etc/debian_version").exists():
                pytest.fail(f"{missing}; tools/install.py installs it")
            pytest.skip(str(missing))
        simulator = opened.enter_context(ServiceProcess("market-simulator"))
        env = {"SIMULATOR_URL": simulator.base_url}
        stored = {"DATABASE_URL": postgres.create_database(), "RATE_LIMIT_ENABLED": "false"}
        # A service that expects a Redis which isn't there: port 1 answers nobody.
        lonely = {"REDIS_ENABLED": "true", "REDIS_PORT": "1"}
        started = {
            "websocket-streaming": ServiceProcess("websocket-streaming", env),
            "spooling": ServiceProcess("database-service", stored),
            "plain": ServiceProcess("database-service", stored | {"SPOOL_MAX_ROWS": "0"}),
            "crashing": ServiceProcess("database-service", lonely),
        }
        for process in started.values():
            opened.enter_context(process)
        targets = {name: f"127.0.0.1:{process.port}" for name, process in started.items()}
        rules = quickened((FOLDER / "rules.yml").read_text())
        prometheus = opened.enter_context(Prometheus(rules, targets, alertmanager.port))
        stream, spooling, plain, crashing = started.values()
        fleet = Watched(prometheus, webhook, postgres, simulator, stream, spooling, plain, crashing)
        opened.callback(fleet.stopping.set)
        yield fleet


def test_a_healthy_fleet_wakes_nobody(watched: Watched) -> None:
    watched.wait_for("RedisAway", service="crashing")  # the one that was told to expect what isn't there
    assert {name for name, _, _ in watched.webhook.told} == {"RedisAway"}


def test_a_lost_exchange_is_told_and_its_return_too(watched: Watched) -> None:
    body = json.dumps({"name": "outage", "duration_s": 25})
    headers = {"Content-Type": "application/json"}
    answer = http.request("POST", f"{watched.simulator.base_url}/sim/scenario", body=body, headers=headers)
    assert answer.status == 200, answer.data
    wait_until(lambda: "StaleSymbols" in watched.prometheus.firing(), WITHIN_S, what="StaleSymbols")
    watched.wait_for("UpstreamLost")
    watched.wait_for("UpstreamLost", "resolved")


def test_trades_that_cannot_be_had_any_more_are_told(watched: Watched) -> None:
    for name, params in (("server_error", {"path": "/api/v3"}), ("drop", {"stream": "btcusdt@trade", "share": 0.3})):
        body = json.dumps({"name": name, "duration_s": 25, "params": params})
        headers = {"Content-Type": "application/json"}
        answer = http.request("POST", f"{watched.simulator.base_url}/sim/scenario", body=body, headers=headers)
        assert answer.status == 200, answer.data
    link = websocket.create_connection(watched.stream.ws_url + "/stream/trades/BTCUSDT", timeout=10)
    watched.wait_for("GapsNotFilled", service="websocket-streaming")
    link.close()


def test_a_client_that_asks_on_and_on_is_told(watched: Watched) -> None:
    watched.keep_asking(lambda: http.request("GET", f"{watched.stream.base_url}/price/BTCUSDT"), 0.02)
    watched.wait_for("ManyRefused", service="websocket-streaming")


def test_a_database_that_hangs_is_told_by_each_of_its_signs(watched: Watched) -> None:
    for _ in range(20):
        save(watched.spooling)
    for _ in range(4):
        watched.keep_asking(lambda: save(watched.spooling))
        watched.keep_asking(lambda: save(watched.plain))
    watched.postgres.pause()
    try:
        watched.wait_for("DatabaseAway", service="spooling")
        watched.wait_for("SpoolGrowing", service="spooling")
        watched.wait_for("SpoolNotDraining", service="spooling")
        watched.wait_for("ServerErrors", service="plain")
        watched.wait_for("SlowAnswers", service="plain")
    finally:
        watched.postgres.resume()
    watched.stopping.set()
    watched.wait_for("DatabaseAway", "resolved", service="spooling")
    watched.wait_for("SpoolNotDraining", "resolved", service="spooling")


def test_a_service_that_crashes_and_one_that_is_gone_are_told(watched: Watched) -> None:
    for _ in range(3):
        watched.crashing.kill()
        watched.crashing.start()
        wait_until(lambda: _scraped(watched, watched.crashing), 20, what="the new process is scraped")
    watched.wait_for("ServiceRestarting", service="crashing")
    watched.crashing.kill()
    watched.wait_for("ServiceDown", service="crashing")
    watched.crashing.start()
    watched.wait_for("ServiceDown", "resolved", service="crashing")


def _scraped(watched: Watched, service: ServiceProcess) -> bool:
    """Whether Prometheus has seen the process that runs now."""
    shown = http.request("GET", f"{service.base_url}/metrics").data.decode()
    own = re.search(r"^process_start_time_seconds (\S+)", shown, re.MULTILINE)
    query = f'process_start_time_seconds{{instance="127.0.0.1:{service.port}"}}'
    url = f"http://127.0.0.1:{watched.prometheus.port}/api/v1/query"
    found = http.request("GET", url, fields={"query": query}).json()["data"]["result"]
    return own is not None and bool(found) and float(found[0]["value"][1]) == float(own[1])
