"""The simulator's controls: what is started on the page happens in the simulator and to the price."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from shared.testing.net import wait_until

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def runs(fleet: DashboardFleet) -> list[dict[str, Any]]:
    scenarios: list[dict[str, Any]] = fleet.simulator.get("/sim/status")["data"]["scenarios"]
    return [one for one in scenarios if one["running"]]


def price(fleet: DashboardFleet, symbol: str) -> float:
    newest: float = fleet.streaming.get(f"/price/{symbol}")["data"]["price"]
    return newest


def pick(panel: Locator, name: str) -> None:
    expect(panel.locator("select[name=scenario] option")).not_to_have_count(0)
    panel.locator("select[name=scenario]").select_option(name)


def test_every_scenario_is_offered_with_its_parameters(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-simulator")
    scenarios = stored.simulator.get("/sim/scenarios")["data"]
    expect(panel.locator("select[name=scenario] option")).to_have_count(len(scenarios))
    for scenario in scenarios:
        pick(panel, scenario["name"])
        fields = panel.locator("form .filters").locator("input, select")
        names = set(fields.evaluate_all("fields => fields.map(field => field.name)"))
        assert set(scenario["params"]) <= names
        assert ("symbol" in names) == (scenario["symbol"] != "none")


def test_a_flash_crash_started_here_is_in_the_simulator_and_on_the_price_until_it_is_ended(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    panel = open_page(stored).locator("#panel-simulator")
    pick(panel, "flash_crash")
    panel.locator("select[name=symbol]").select_option("SOLUSDT")
    panel.locator("input[name=duration_s]").fill("40")
    panel.locator("input[name=depth_pct]").fill("20")
    before = price(stored, "SOLUSDT")
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".runs").first).to_contain_text("flash crash on SOLUSDT, depth (%) 20")
    (run,) = [one for one in runs(stored) if one["symbol"] == "SOLUSDT"]
    assert (run["name"], run["params"]) == ("flash_crash", {"depth_pct": 20.0})
    wait_until(lambda: price(stored, "SOLUSDT") < 0.9 * before, 30, what="the crash is on the price")
    panel.get_by_role("button", name=f"End {run['id']}").click()
    expect(panel.locator(".runs").last).to_contain_text("flash crash on SOLUSDT")
    assert run["id"] not in [one["id"] for one in runs(stored)]


def test_what_reaches_everything_is_asked_about_first(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    panel = page.locator("#panel-simulator")
    pick(panel, "slow_rest")
    start = panel.get_by_role("button", name="Start")
    start.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("every client and every symbol")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(start).to_be_focused()
    assert [one for one in runs(stored) if one["name"] == "slow_rest"] == []
    start.click()
    dialog.get_by_role("button", name="Start it").click()
    expect(panel.locator(".runs").first).to_contain_text("slow rest on everything")
    (run,) = [one for one in runs(stored) if one["name"] == "slow_rest"]
    panel.get_by_role("button", name=f"End {run['id']}").click()
    expect(panel.locator(".runs").first).not_to_contain_text("slow rest")


def test_what_the_simulator_refuses_is_said(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-simulator")
    pick(panel, "slow_feed")
    panel.locator("input[name=stream]").fill("nonsense")
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".note").last).to_contain_text("stream")
    assert [one for one in runs(stored) if one["name"] == "slow_feed"] == []
