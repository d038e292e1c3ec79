"""The contract of every service holds for the dashboard."""

import pytest

from shared.testing.contract import ServiceContract

from .conftest import DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.api]


@pytest.fixture
def base_url(fleet: DashboardFleet) -> str:
    return fleet.dashboard.base_url


class TestContract(ServiceContract):
    name, title = "dashboard", "Dashboard"


def test_the_description_names_the_calls_of_the_list_and_no_other_service_call(fleet: DashboardFleet) -> None:
    paths = fleet.dashboard.get("/openapi.json")["paths"]
    offered = {(method.upper(), path) for path, item in paths.items() for method in item if path.startswith("/api/")}
    writes = {(method, path) for method, path in offered if method != "GET"}
    assert writes == {
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
        ("POST", "/api/market-simulator/sim/scenario"),
        ("DELETE", "/api/market-simulator/sim/scenario/{scenario_id}"),
    }
    assert ("GET", "/api/database-service/signals/history") in offered
    assert ("GET", "/api/fleet") in offered


def test_health_names_the_services_that_the_page_needs(fleet: DashboardFleet) -> None:
    health = fleet.dashboard.get("/health")
    assert health["status"] == "healthy"
    assert set(health["dependencies"]) == {"database-service", "websocket-streaming", "market-simulator"}
