"""Alerts set on the page fire, and outlive a reload and a restart of the service."""

import pytest
from playwright.sync_api import Locator, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def set_alert(panel: Locator, symbol: str, level: float, *, kind: str = "crosses") -> None:
    panel.locator("select[name=kind]").select_option(kind)
    panel.locator("input[name=symbol]").fill(symbol)
    panel.locator("input[name=level]").fill(str(level))
    panel.get_by_role("button", name="Set alert").click()


def remove_for_good(panel: Locator, listed: Locator) -> None:
    """Remove the only alert: it leaves its list, and stays away over a reload."""
    panel.get_by_role("button", name="Remove").click()
    expect(listed).to_have_text("none")
    panel.page.reload()
    expect(listed).to_have_text("none")


def test_a_price_that_is_reached_is_told_at_once_and_kept_over_a_reload(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(stored)
    panel = page.locator("#panel-alerts")
    price = stored.streaming.get("/price/ETHUSDT")["data"]["price"]
    set_alert(panel, "ethusdt", round(price * 0.9, 2))
    waiting, fired = panel.locator(".runs").first, panel.locator(".runs").last
    expect(waiting).to_contain_text(f"ETHUSDT reaches {round(price * 0.9, 2):,}")
    expect(waiting).not_to_contain_text("not yet")
    crash = {"name": "flash_crash", "symbol": "ETHUSDT", "duration_s": 20, "params": {"depth_pct": 20}}
    begun = stored.ask("/api/market-simulator/sim/scenario", "POST", json=crash)
    expect(panel.locator(".bell")).to_contain_text("ETHUSDT reaches", timeout=30_000)
    expect(fired).to_contain_text("it was")
    expect(waiting).to_have_text("none")
    stored.ask(f"/api/market-simulator/sim/scenario/{begun.json()['data']['id']}", "DELETE")
    page.reload()
    expect(fired).to_contain_text("ETHUSDT reaches")
    expect(waiting).to_have_text("none")
    remove_for_good(panel, fired)


def test_a_waiting_one_stays_over_a_reload_until_it_is_removed(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    panel = page.locator("#panel-alerts")
    waiting = panel.locator(".runs").first
    set_alert(panel, "BTCUSDT", 45, kind="move_pct")
    expect(waiting).to_contain_text("BTCUSDT moves by 45 % within 5 min")
    expect(panel.locator(".note")).to_contain_text("Set:")
    page.reload()
    expect(waiting).to_contain_text("moves by 45 %")
    expect(waiting).not_to_contain_text("not yet")
    remove_for_good(panel, waiting)


def test_a_symbol_that_nobody_lists_is_refused_in_words(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-alerts")
    set_alert(panel, "NOSUCHCOIN", 5)
    expect(panel.locator(".note")).to_contain_text("Not set:")
    expect(panel.locator(".runs").first).to_have_text("none")
