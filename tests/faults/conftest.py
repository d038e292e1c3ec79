"""Experiments that take things away, load or feed the running services, and look what holds.

Each prints its figures (`pytest -m faults -s`). FAULTS_SCALE is the length: 1 (`make faults`) is full.

What each asks, where it stands and what it found: docs/reliability.md. A further service joins R21 with a list of loads
as in database_load.py, the others by its entry in load.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from shared.fleet import read_fleet
from shared.testing.process import ServiceProcess

Start = Callable[..., ServiceProcess]

NAMES = [service.name for service in read_fleet().services]


@pytest.fixture(scope="session")
def simulator() -> Iterator[ServiceProcess]:
    """The market behind websocket-streaming; nobody misuses this one."""
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as process:
        yield process


@pytest.fixture(scope="session")
def stream(simulator: ServiceProcess) -> Iterator[ServiceProcess]:
    """The stream behind those that ask other services; nobody misuses this one either."""
    env = {"RATE_LIMIT_ENABLED": "false", "SIMULATOR_URL": simulator.base_url}
    with ServiceProcess("websocket-streaming", env) as process:
        yield process


@pytest.fixture(scope="session")
def others(simulator: ServiceProcess, stream: ServiceProcess) -> Iterator[str]:
    """SERVICE_URLS of a whole fleet, for the dashboard, which shows all of them."""
    free = {"RATE_LIMIT_ENABLED": "false", "SIMULATOR_URL": simulator.base_url}
    running = {"market-simulator": simulator, "websocket-streaming": stream}
    with ExitStack() as stack:
        for name in set(NAMES) - {*running, "dashboard"}:
            running[name] = stack.enter_context(ServiceProcess(name, free))
        yield ",".join(f"{name}={process.base_url}" for name, process in running.items())


@pytest.fixture(scope="session")
def start(request: pytest.FixtureRequest, simulator: ServiceProcess, stream: ServiceProcess) -> Start:
    """Make a service of the fleet with the limits off (use `with`); its settings as keywords."""

    def make(name: str, **environ: str) -> ServiceProcess:
        found = f"websocket-streaming={stream.base_url}"
        if name == "dashboard":
            found = request.getfixturevalue("others")
        urls = {"SIMULATOR_URL": simulator.base_url, "SERVICE_URLS": found}
        return ServiceProcess(name, {"RATE_LIMIT_ENABLED": "false", "SIM_LIMITS": "false"} | urls | environ)

    return make


@pytest.fixture(scope="module", params=NAMES)
def running(request: pytest.FixtureRequest, start: Start) -> Iterator[ServiceProcess]:
    """Each service of the fleet in turn, running."""
    with start(request.param) as process:
        yield process
