"""A fleet that is watched by a real Prometheus and Alertmanager, and a webhook that is called.

A minute of the rules is `MINUTE_S` here (`for:`, and the ranges of rates), `LEAST_S` the least of them, and Prometheus
looks each second; nothing else of the rules is changed.
"""

import contextlib
import functools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from shared.fleet import ROOT
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer
from tests.monitoring.troubles import MIGRATION_LOCK, http, locked
from tests.monitoring.watchers import Alertmanager, Prometheus, Webhook

MINUTE_S = 2
LEAST_S = 4  # a busy machine may leave a scrape or two unanswered
WITHIN_S = 100.0
FOLDER = ROOT / "deploy" / "prometheus"
LITTLE_MB = 30  # less than Python and Flask take

PROVOKED: set[str] = set()  # the alerts that some test provokes


@dataclass
class Watched:
    """Who is watched, each under its name here, and who watches."""

    prometheus: Prometheus
    webhook: Webhook
    postgres: PostgresServer
    simulator: ServiceProcess
    stream: ServiceProcess
    spooling: ServiceProcess
    plain: ServiceProcess  # without a spool
    poor: ServiceProcess  # little memory, and no Redis where it expects one
    migrating: ServiceProcess  # until `end_lock`
    end_lock: Callable[[], None]

    def wait_for(self, name: str, status: str = "firing", service: str | None = None) -> None:
        """Until the webhook was told of it."""

        def told() -> bool:
            return any(
                alert == name and state == status and service in (None, about)
                for alert, about, state in list(self.webhook.told)
            )

        try:
            wait_until(told, WITHIN_S)
        except TimeoutError:
            raise TimeoutError(f"not told: {name} {status}; firing: {sorted(self.prometheus.firing())}") from None


def provokes(*alerts: str) -> Callable[[Callable[[Watched], None]], Callable[[Watched], None]]:
    """Of a test: it has passed only if the webhook was told of each of these."""

    def decorate(test: Callable[[Watched], None]) -> Callable[[Watched], None]:
        PROVOKED.update(alerts)

        @functools.wraps(test)
        def checked(watched: Watched) -> None:
            test(watched)
            told = {name for name, _, status in list(watched.webhook.told) if status == "firing"}
            assert set(alerts) <= told

        return checked

    return decorate


@contextmanager
def watched_fleet(folder: Path) -> Iterator[Watched]:
    """Started and scraped. Raises ServerMissing."""
    with ExitStack() as opened:
        postgres = opened.enter_context(PostgresServer())
        webhook = Webhook()
        opened.callback(webhook.close)
        alertmanager = opened.enter_context(Alertmanager(_webhook_config(webhook.url)))
        service = functools.partial(ServiceProcess, ready_timeout_s=WITHIN_S)
        simulator = opened.enter_context(service("market-simulator"))
        url, own_url = postgres.create_database(), postgres.create_database()
        stored = {"DATABASE_URL": url, "RATE_LIMIT_ENABLED": "false"}
        # Port 1 answers nobody.
        poor = {"PYTHONPATH": str(folder), "REDIS_ENABLED": "true", "REDIS_PORT": "1"}
        services = {
            "stream": service("websocket-streaming", {"SIMULATOR_URL": simulator.base_url}),
            "spooling": service("database-service", stored),
            "plain": service("database-service", stored | {"SPOOL_MAX_ROWS": "0"}),
            "poor": service(_granted_little(folder, "database-service"), poor),
        }
        for process in services.values():
            opened.enter_context(process)
        lock = opened.enter_context(ExitStack())
        lock.enter_context(locked(own_url, MIGRATION_LOCK))
        services["migrating"] = service("database-service", {"DATABASE_URL": own_url})
        opened.callback(services["migrating"].close)
        services["migrating"].start(wait=False)
        wait_until(lambda: _answers(services["migrating"]), WITHIN_S, what="a service that migrates answers")
        targets = {name: f"127.0.0.1:{process.port}" for name, process in services.items()}
        rules = _quickened((FOLDER / "rules.yml").read_text())
        prometheus = opened.enter_context(Prometheus(rules, targets, alertmanager.port))
        yield Watched(prometheus, webhook, postgres, simulator, **services, end_lock=lock.close)


def _quickened(text: str) -> str:
    """The rules with a minute of `MINUTE_S`; what counts events within a time is left, for a restart takes its time."""

    def quicken(found: re.Match[str]) -> str:
        return f"{found[1]}{max(int(found[2]) * MINUTE_S, LEAST_S)}s"

    counts = ("changes(", "increase(")
    lines = [
        line if any(word in line for word in counts) else re.sub(r"(for: |\[)(\d+)m(?=[\]:]|$)", quicken, line)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def _webhook_config(url: str) -> str:
    """As shipped, but its waits, and the address itself instead of the file that holds it (Debian's is too old)."""
    text = (FOLDER / "alertmanager-webhook.yml").read_text()
    text = text.replace("url_file: /etc/alertmanager/webhook_url", f"url: {url}")
    return re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", text)


def _answers(service: ServiceProcess) -> bool:
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return http.request("GET", f"{service.base_url}/health/live").status == 200
    return False


def _granted_little(folder: Path, name: str) -> Path:
    """A copy of that service, in a fleet whose list grants it `LITTLE_MB`."""
    for part in ("shared", name):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    fleet = json.loads((ROOT / "fleet.json").read_text())
    for service in fleet["services"]:
        service["max_memory_mb"] = LITTLE_MB
    (folder / "fleet.json").write_text(json.dumps(fleet))
    return folder / name
