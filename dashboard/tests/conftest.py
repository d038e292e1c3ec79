"""The dashboard over running services of its own: one fleet that nobody harms, or one for a test that does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pytest
import urllib3

from shared.fleet import ROOT, read_fleet
from shared.testing.process import ServiceProcess

# Many tests share one client address; limits of services have tests of their own.
FREE = {"RATE_LIMIT_ENABLED": "false"}
# A fleet that asks for a login.
CLOSED = {"AUTH_REQUIRED": "true", "FLEET_SECRET": "a secret of the fleet, long enough for it"}
PASSWORD = "correct horse battery"  # of accounts in tests


class DashboardFleet:
    """Every service of the fleet, each a process with these settings; the dashboard comes last. Use `with`."""

    def __init__(self, **settings: str) -> None:
        self._settings = FREE | settings
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.services: dict[str, ServiceProcess] = {}
        with ExitStack() as stack:
            for service in read_fleet().services:
                settings = self._settings | self._found()
                self.services[service.name] = stack.enter_context(ServiceProcess(service.name, settings))
            self._stack = stack.pop_all()
        self.simulator = self.services["market-simulator"]
        self.database = self.services["database-service"]
        self.streaming = self.services["websocket-streaming"]
        self.gateway = self.services["auth-gateway"]
        self.dashboard = self.services["dashboard"]
        return self

    def _found(self) -> dict[str, str]:
        """Where those listen that run already."""
        urls = {name: process.base_url for name, process in self.services.items()}
        found = {"SERVICE_URLS": ",".join(f"{name}={url}" for name, url in urls.items())}
        return found | ({"SIMULATOR_URL": urls["market-simulator"]} if urls else {})

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def ask(self, path: str, method: str = "GET", **options: Any) -> urllib3.BaseHTTPResponse:
        """One request to the dashboard."""
        return urllib3.request(method, self.dashboard.base_url + path, retries=False, redirect=False, **options)

    def state(self, name: str) -> dict[str, Any]:
        """What /api/fleet says of one service."""
        rows: list[dict[str, Any]] = self.ask("/api/fleet").json()["data"]["services"]
        return next(row for row in rows if row["name"] == name)

    def account(self, name: str, role: str = "trader") -> None:
        """A new account, made by hand on the machine, with PASSWORD."""
        command = [sys.executable, "-m", "auth_gateway.admin", "create", name, f"{name}@example.org", "--role", role]
        env = {"VAR_DIR": str(self.gateway.var_dir), "ENV_FILES": "false", "PATH": os.environ["PATH"]}
        subprocess.run(
            command, input=PASSWORD, text=True, check=True, env=env, cwd=ROOT / "auth-gateway", capture_output=True
        )


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


@pytest.fixture(scope="module")
def closed_fleet() -> Iterator[DashboardFleet]:
    """A fleet that asks for a login, with an account of each kind: ada, who trades, and rob, who reads."""
    with DashboardFleet(**CLOSED) as running:
        running.account("ada")
        running.account("rob", "reader")
        yield running


@pytest.fixture
def own_closed_fleet() -> Iterator[DashboardFleet]:
    """The same with ada alone, for one test that harms it."""
    with DashboardFleet(**CLOSED) as running:
        running.account("ada")
        yield running
