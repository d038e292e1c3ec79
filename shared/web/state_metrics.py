"""What every service shows of its own state when it is scraped, beside its requests (request_counts.py)."""

from collections.abc import Callable
from typing import Protocol

from shared.fleet import read_fleet
from shared.health_check import HealthCheck
from shared.metrics import MetricsCollector


class Shown(Protocol):
    """A service as seen here."""

    name: str
    metrics: MetricsCollector
    health: HealthCheck

    @property
    def readiness(self) -> str:
        """`ready`, or why not."""
        ...

    def on_scrape(self, show: Callable[[], None]) -> None:
        """Run before the metrics are told."""
        ...


def show_state(service: Shown) -> None:
    """Whether it takes traffic, how its dependencies are, what memory it may have, which version runs."""
    metrics, name = service.metrics, service.name
    metrics.describe("fleet_ready", "1 while the service takes traffic")
    metrics.describe("fleet_dependency_healthy", "1 while the dependency is healthy, 0 while it is degraded or away")
    metrics.describe("fleet_memory_limit_bytes", "Resident memory at which the supervisor restarts the service")
    metrics.describe("fleet_build_info", "1, with the version that runs")
    limits = {member.name: member.max_memory_mb * 1_000_000 for member in read_fleet().services}

    def show() -> None:
        metrics.set_gauge("fleet_ready", service.readiness == "ready", service=name)
        for dependency, state in service.health.get_health()["dependencies"].items():
            healthy = state["status"] == "healthy"
            metrics.set_gauge("fleet_dependency_healthy", healthy, service=name, dependency=dependency)
        if name in limits:
            metrics.set_gauge("fleet_memory_limit_bytes", limits[name], service=name)
        metrics.set_gauge("fleet_build_info", 1, service=name, version=service.health.version)

    service.on_scrape(show)
