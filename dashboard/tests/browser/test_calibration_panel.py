"""The calibration panel shows how often signals were right, and says so where there is too little to tell."""

import pytest
import requests
from playwright.sync_api import expect

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def test_its_bands_are_the_service_s_with_counts_and_few_are_called_few(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    panel = open_page(stored).locator("#panel-calibration")
    expect(panel.locator("tbody tr")).to_have_count(4)
    data = requests.get(f"{stored.database.base_url}/signals/calibration", timeout=30).json()["data"]
    assert data["horizons"]["1h"]["judged"] > 0
    for column, (name, horizon) in enumerate(data["horizons"].items()):
        figure = panel.locator("figure").nth(column)
        expect(figure).to_contain_text(f"After {name}: {horizon['judged']} judged")
        assert figure.locator("circle").count() == sum(band["judged"] > 0 for band in horizon["bands"])
        for row, band in enumerate(horizon["bands"]):
            cell = panel.locator("tbody tr").nth(row).locator("td").nth(column)
            expect(cell).to_contain_text(f"{band['right']} of {band['judged']}" if band["judged"] else "of 0")
            if band["judged"]:
                expect(cell).to_contain_text(f"{band['hit_rate']:.1f} %")
            if 0 < band["judged"] < 20:
                expect(cell).to_contain_text("too few to say")


def test_nothing_to_judge_is_said_and_drawn_as_nothing(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-calibration")
    panel.locator("summary").click()
    panel.locator("input[name=strategy]").fill("nobody")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.locator(".note")).to_contain_text("there is nothing to judge")
    assert panel.locator("circle").count() == 0
    expect(panel.get_by_role("img").first).to_have_attribute("aria-label", "After 1h: nothing judged yet")
