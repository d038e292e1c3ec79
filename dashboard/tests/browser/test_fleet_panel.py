"""The fleet panel says how each service is."""

import pytest
from playwright.sync_api import expect

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def test_every_service_is_there_with_its_state_figures_and_api(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-fleet")
    expect(panel.locator(".service")).to_have_count(len(stored.services))
    for name, process in stored.services.items():
        health, row = process.get("/health"), stored.state(name)
        card = panel.locator(f".service[data-key={name}]")
        expect(card.locator("h3")).to_have_text(health["service"])
        expect(card.locator(".state")).to_have_text("Ready")
        for dependency, one in health["dependencies"].items():
            expect(card).to_contain_text(f"{dependency} {one['status']}")
        expect(card).to_contain_text(f"of {row['max_memory_mb']} MB")
        expect(card.get_by_role("link")).to_have_attribute("href", f"http://127.0.0.1:{process.port}/docs")
    expect(panel.locator(".note")).to_have_text("Every service is ready.")


def test_what_a_dependency_lacks_is_said_in_words(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    card = page.locator("#panel-fleet .service[data-key=websocket-streaming]")
    expect(card.locator(".state")).to_have_text("Ready")
    begun = stored.ask("/api/market-simulator/sim/scenario", "POST", json={"name": "outage", "duration_s": 60})
    expect(card.locator(".state")).to_have_text("Degraded")
    expect(card.locator(".why")).to_contain_text("upstream")
    stored.ask(f"/api/market-simulator/sim/scenario/{begun.json()['data']['id']}", "DELETE")
    expect(card.locator(".state")).to_have_text("Ready", timeout=30_000)
