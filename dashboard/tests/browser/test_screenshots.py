"""The pictures in the documents are of the page as it is; DASHBOARD_SCREENSHOTS=docs puts new ones there."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shared.fleet import ROOT

from ..conftest import DashboardFleet
from .conftest import OpenPage, loaded

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

MOST_BYTES = 250_000
PICTURES = {
    "wide": {"width": 1600, "height": 1080, "color_scheme": "dark", "device_scale_factor": 0.75},
    "phone": {"width": 360, "height": 740, "color_scheme": "light", "device_scale_factor": 2},
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_page_at_work(
    stored: DashboardFleet, open_page: OpenPage, tmp_path: Path, name: str
) -> None:
    page = loaded(open_page(stored, **PICTURES[name]))
    expect(page.locator("#panel-tape tbody tr")).not_to_have_count(0)
    expect(page.locator("#panel-depth tbody tr")).not_to_have_count(0)
    expect(page.locator("#panel-chart canvas").first).to_be_visible()
    assert page.locator(".old, .failed").count() == 0
    asked = os.environ.get("DASHBOARD_SCREENSHOTS")
    picture = (ROOT / asked if asked else tmp_path) / f"dashboard-{name}.png"
    page.screenshot(path=picture)
    assert 10_000 < picture.stat().st_size < MOST_BYTES
