"""Experiments that take things away, load or feed the running services, and look what holds.

Each prints its figures (`pytest -m faults -s`). FAULTS_SCALE is the length: 1 (`make faults`) is full.

| R | what | where |
|---|---|---|
| R1, R3 | service killed under writers | database-service/tests |
| R2, R4, R7 | PostgreSQL killed, away; one key many times | database-service/tests |
| R5 | disk full, file locked | test_r5_disk.py |
| R6 | Redis killed, hung, restarted | database-service/tests, websocket-streaming/tests |
| R14 | stop with 200 requests in flight | test_r14_stop_under_load.py |
| R15 | malformed requests | test_r15_malformed_requests.py, test_r15_schemathesis.py |
| R17 | too large, foreign Origin | test_r17_bounds.py |
| R20 | secrets stay inside | test_r20_secrets.py |

The others belong to features that aren't built yet.
"""

from collections.abc import Callable, Iterator

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
def start(simulator: ServiceProcess) -> Start:
    """Make a service of the fleet with the limits off (use `with`); its settings as keywords."""

    def make(name: str, **environ: str) -> ServiceProcess:
        known = {"RATE_LIMIT_ENABLED": "false", "SIM_LIMITS": "false", "SIMULATOR_URL": simulator.base_url}
        return ServiceProcess(name, known | environ)

    return make


@pytest.fixture(scope="module", params=NAMES)
def running(request: pytest.FixtureRequest, start: Start) -> Iterator[ServiceProcess]:
    """Each service of the fleet in turn, running."""
    with start(request.param) as process:
        yield process
