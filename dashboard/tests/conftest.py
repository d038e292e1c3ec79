"""The dashboard over running services of its own: one fleet that nobody harms, or one for a test that does."""

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pytest
import urllib3

from shared.testing.process import ServiceProcess

# Many tests share one client address; limits of services have tests of their own.
FREE = {"RATE_LIMIT_ENABLED": "false"}


class DashboardFleet:
    """The four services, each a process; use `with`. What is started is `settings` for all of them."""

    def __init__(self, **settings: str) -> None:
        self._settings = FREE | settings
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.simulator = stack.enter_context(ServiceProcess("market-simulator", self._settings))
            market = {"SIMULATOR_URL": self.simulator.base_url}
            self.streaming = stack.enter_context(ServiceProcess("websocket-streaming", self._settings | market))
            self.database = stack.enter_context(ServiceProcess("database-service", self._settings | market))
            self.services = {
                "market-simulator": self.simulator,
                "database-service": self.database,
                "websocket-streaming": self.streaming,
            }
            urls = ",".join(f"{name}={process.base_url}" for name, process in self.services.items())
            self.dashboard = stack.enter_context(ServiceProcess("dashboard", self._settings | {"SERVICE_URLS": urls}))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def ask(self, path: str, method: str = "GET", **options: Any) -> urllib3.BaseHTTPResponse:
        """One request to the dashboard."""
        return urllib3.request(method, self.dashboard.base_url + path, retries=False, redirect=False, **options)

    def state(self, name: str) -> dict[str, Any]:
        """What /api/fleet says of one service."""
        rows: list[dict[str, Any]] = self.ask("/api/fleet").json()["data"]["services"]
        return next(row for row in rows if row["name"] == name)


@pytest.fixture(scope="session")
def fleet() -> Iterator[DashboardFleet]:
    """A fleet for all tests: read from it, begin scenarios and end them, but kill nothing."""
    with DashboardFleet() as running:
        yield running


@pytest.fixture
def own_fleet() -> Iterator[DashboardFleet]:
    """A fleet for one test, free to be killed, paused and restarted."""
    with DashboardFleet() as running:
        yield running
