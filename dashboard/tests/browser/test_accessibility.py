"""The whole page for those who don't see it, have no mouse, or hold it in one hand."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from shared.fleet import ROOT

from ..conftest import DashboardFleet
from .conftest import OpenPage, loaded

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"phone": (360, 740), "wide": (1600, 1000)}
SEVERE = {"serious", "critical"}
MOST_SHIFT = 0.1  # cumulative layout shift that web.dev/articles/cls calls good
SHIFTS = """() => { window.shifts = 0; new PerformanceObserver((list) => list.getEntries().forEach((one) => {
    if (!one.hadRecentInput) window.shifts += one.value; })).observe({type: 'layout-shift', buffered: true}); }"""
MOST_TABS = 400  # a page of signals has 50 buttons alone


def severe(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds that stops people. It is put into the page by the debugger, which no policy refuses."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        {"rule": one["id"], "where": one["nodes"][0]["html"][:200], "why": one["nodes"][0]["failureSummary"]}
        for one in found["violations"] if one["impact"] in SEVERE
    ]  # fmt: skip


@pytest.mark.skipif(not Path(AXE).exists(), reason="npm ci was not run")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_serious_is_found_on_the_page_nor_in_its_dialogs(
    stored: DashboardFleet, open_page: OpenPage, width: str, scheme: str
) -> None:
    across, down = WIDTHS[width]
    page = loaded(open_page(stored, width=across, height=down, color_scheme=scheme))
    page.locator("#bar").get_by_role("combobox", name="Symbol").click()
    expect(page.get_by_role("option", name="BTCUSDT").first).to_be_visible()
    assert severe(page) == []
    for summary in page.locator(".filter summary").all():
        summary.click()
    page.locator("#panel-signals tbody button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert severe(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(stored: DashboardFleet, open_page: OpenPage, width: str) -> None:
    across, down = WIDTHS[width]
    page = loaded(open_page(stored, width=across, height=down))
    for summary in page.locator(".filter summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= across
    beyond = """width => [...document.querySelectorAll('.panel')].filter((panel) =>
        panel.getBoundingClientRect().right > width + 0.5).map((panel) => panel.id)"""
    assert page.evaluate(beyond, across) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_jumps_when_the_numbers_come(stored: DashboardFleet, open_page: OpenPage, width: str) -> None:
    across, down = WIDTHS[width]
    page = loaded(open_page(stored, width=across, height=down))
    page.evaluate(SHIFTS)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("window.shifts") < MOST_SHIFT


def test_every_control_is_reached_by_the_keyboard_in_the_page_s_order_with_a_visible_focus(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = loaded(open_page(stored))
    reached: list[tuple[str, str]] = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at);
            return at === document.body ? null : [at.closest('.panel')?.id ?? '',
              at.tagName + ' ' + (at.name || at.getAttribute('aria-label') || at.textContent).slice(0, 40),
              style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none']; }"""
        )
        if focus is None:
            break
        panel, control, visible = focus
        assert visible, f"{control} of {panel} shows no focus"
        reached.append((panel, control))
    panels = list(dict.fromkeys(panel for panel, _ in reached if panel))
    order = page.locator(".panel").evaluate_all("panels => panels.map((panel) => panel.id)")
    assert panels == [panel for panel in order if panel in panels], "panels come in the order in which they stand"
    assert {"panel-signals", "panel-performance", "panel-simulator", "panel-alerts", "panel-fleet"} <= set(panels)
    for wanted in (("panel-simulator", "SELECT scenario"), ("panel-alerts", "INPUT level")):
        assert wanted in reached


def test_a_signal_is_filtered_and_read_and_a_scenario_begun_without_a_mouse(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = loaded(open_page(stored))
    press = page.keyboard.press
    page.locator("#panel-signals summary").focus()
    press("Enter")
    press("Tab")
    page.keyboard.type("BTCUSDT")
    press("Enter")
    expect(page.locator("#panel-signals summary")).to_contain_text("Symbol BTCUSDT")
    expect(page.locator("#panel-signals tbody")).not_to_contain_text("ETHUSDT")
    page.locator("#panel-signals tbody button").first.focus()
    press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("BTCUSDT")
    press("Escape")
    page.locator("#panel-simulator select[name=scenario]").focus()
    page.keyboard.type("gap")
    press("Tab")
    page.keyboard.type("ADAUSDT")
    press("Enter")
    page.locator("#panel-simulator").get_by_role("button", name="Start").focus()
    press("Enter")
    expect(page.locator("#panel-simulator .runs").first).to_contain_text("gap on ADAUSDT")
    page.locator("#panel-simulator .runs button").first.focus()
    press("Enter")
    expect(page.locator("#panel-simulator .runs").first).to_have_text("none")
