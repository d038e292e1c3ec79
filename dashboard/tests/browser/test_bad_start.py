"""The page is opened while the stream is away: what it could not know then comes by itself."""

import json

import pytest
from playwright.sync_api import Route, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def test_prices_and_the_symbols_on_offer_fill_once_the_stream_is_there(
    fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(fleet, open_at_once=False)

    def as_if_away(route: Route) -> None:
        """The answer of a dashboard that never reached the stream."""
        answer = route.fetch()
        document = answer.json()
        document["data"] |= {"symbols": [], "venue": None, "market_known": False}
        route.fulfill(response=answer, body=json.dumps(document))

    page.route("**/api/page", as_if_away, times=1)
    page.goto(fleet.dashboard.base_url + "/")
    expect(page.locator("#panel-prices tbody tr")).to_have_count(5)
    expect(page.locator("#panel-prices tr[data-key=ADAUSDT] td").first).not_to_have_text("–")
    expect(page.locator(".venue")).to_have_text("Prices from simulator")
    page.locator("#bar input[name=symbol]").click()
    expect(page.locator("#bar [role=option]").first).to_have_text("BTCUSDT")  # those on offer come first


def test_a_symbol_beyond_those_on_offer_gets_a_price_too(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    expect(page.locator("#panel-prices tbody tr")).to_have_count(5)
    page.locator("#bar input[name=symbol]").fill("xrpusdt")
    page.locator("#bar input[name=symbol]").press("Enter")
    row = page.locator("#panel-prices tr[data-key=XRPUSDT]")
    expect(row.locator("td").first).not_to_have_text("–")
    expect(row).to_have_class("chosen")
    page.get_by_role("button", name="ETHUSDT").click()
    expect(row).to_have_count(0)
