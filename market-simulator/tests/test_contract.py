"""The contract of every service holds for the simulator's own paths."""

from typing import Any

import pytest

from shared.testing.contract import ServiceContract

pytestmark = [pytest.mark.integration, pytest.mark.api]


@pytest.fixture
def base_url(shared_simulator: Any) -> str:
    return str(shared_simulator.base_url)


class TestContract(ServiceContract):
    name, title = "market-simulator", "Market Simulator"


def test_exchange_paths_stand_in_no_openapi_file(simulator: Any) -> None:
    paths = simulator.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path.startswith(("/api", "/fapi", "/dapi", "/futures", "/ws", "/stream"))]
    assert {"/sim/scenarios", "/sim/scenario", "/sim/scenario/{scenario_id}", "/sim/status"} <= paths.keys()
