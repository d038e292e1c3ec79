"""A service is killed and comes back: the panels that it feeds say so, keep their numbers, and go on by themselves."""

import pytest
from playwright.sync_api import Page, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage, loaded
from .test_accessibility import severe
from .test_alerts_panel import set_alert
from .test_simulator_panel import pick

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

SAID_WITHIN_MS = 10_000
BACK_WITHIN_MS = 40_000  # the service's start, and the longest period between two asks


def expect_state(page: Page, service: str, words: str, within_ms: int = SAID_WITHIN_MS) -> None:
    expect(page.locator(f"#panel-fleet .service[data-key={service}] .state")).to_have_text(words, timeout=within_ms)


def test_without_the_database_its_panels_are_old_and_keep_what_they_show(
    own_stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(own_stored)
    rows = loaded(page).locator("#panel-signals tbody tr")
    total = page.locator("#panel-performance dd[data-figure=total_pnl]").inner_text()
    own_stored.database.kill()
    expect_state(page, "database-service", "Down")
    card = page.locator("#panel-fleet .service[data-key=database-service]")
    expect(card.locator(".why")).to_contain_text("Old now: signals, performance, calibration")
    for name in ("signals", "performance"):
        expect(page.locator(f"#panel-{name} .fresh")).to_contain_text("Old: as of")
        expect(page.locator(f"#panel-{name} .fresh")).to_contain_text("database-service is away")
    assert severe(page) == [], "what is old is readable, too"
    assert rows.count() == 50
    assert page.locator("#panel-performance dd[data-figure=total_pnl]").inner_text() == total
    calibration = page.locator("#panel-calibration")
    calibration.locator("summary").click()
    calibration.get_by_role("button", name="Apply").click()
    expect(calibration.locator(".fresh")).to_contain_text("database-service is away")
    expect(calibration.locator("tbody tr")).to_have_count(4)
    own_stored.database.start()
    expect_state(page, "database-service", "Ready", BACK_WITHIN_MS)
    calibration.get_by_role("button", name="Apply").click()
    for name in ("signals", "performance", "calibration"):
        expect(page.locator(f"#panel-{name} .panel-body.old")).to_have_count(0, timeout=BACK_WITHIN_MS)


def test_alerts_outlive_the_stream_s_restart_and_those_set_meanwhile_are_set_then(
    own_stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(own_stored)
    panel = page.locator("#panel-alerts")
    waiting = panel.locator(".runs").first
    set_alert(panel, "BTCUSDT", 40_000)
    expect(panel.locator(".note")).to_contain_text("Set:")
    own_stored.streaming.kill()
    expect_state(page, "websocket-streaming", "Down")
    set_alert(panel, "ETHUSDT", 900)
    expect(panel.locator(".note")).to_contain_text("as soon as the connection is back")
    expect(waiting).to_contain_text("ETHUSDT reaches 900 (not yet with the service)")
    own_stored.streaming.start()
    expect_state(page, "websocket-streaming", "Ready", BACK_WITHIN_MS)
    expect(waiting).not_to_contain_text("not yet", timeout=BACK_WITHIN_MS)
    expect(waiting.locator("li")).to_have_count(2)


def test_without_the_simulator_its_controls_say_so_and_work_again_afterwards(
    own_stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(own_stored)
    panel = page.locator("#panel-simulator")
    pick(panel, "gap")
    own_stored.simulator.kill()
    expect_state(page, "market-simulator", "Down")
    expect(panel.locator(".fresh")).to_contain_text("Old: as of")
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".note").last).to_contain_text("market-simulator is away")
    own_stored.simulator.start()
    expect_state(page, "market-simulator", "Ready", BACK_WITHIN_MS)
    expect(panel.locator(".panel-body.old")).to_have_count(0)
    panel.get_by_role("button", name="Start").click()
    expect(panel.locator(".runs").first).to_contain_text("gap on")


def test_without_the_dashboard_s_own_service_everything_says_that_it_is_old(
    own_stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(own_stored)
    expect_state(loaded(page), "dashboard", "Ready")
    own_stored.dashboard.kill()
    for name in ("fleet", "signals", "performance", "simulator"):
        expect(page.locator(f"#panel-{name} .fresh")).to_contain_text("Old: as of")
    own_stored.dashboard.start()
    for name in ("fleet", "signals", "performance", "simulator"):
        expect(page.locator(f"#panel-{name} .panel-body.old")).to_have_count(0, timeout=BACK_WITHIN_MS)
