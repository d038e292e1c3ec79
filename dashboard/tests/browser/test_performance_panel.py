"""The performance panel shows what the closed trades say."""

from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, expect

from ..conftest import DashboardFleet
from .conftest import STRATEGIES, OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

PERCENT, WHOLE = {"win_rate", "max_drawdown_pct"}, {"trades", "wins", "losses"}
PLAIN = {"max_drawdown", "sharpe", "sortino", "profit_factor"}  # without a sign before what is over 0
COLUMNS = ("trades", "win_rate", "total_pnl", "profit_factor", "sharpe", "max_drawdown")


def statistics(fleet: DashboardFleet, **query: str) -> dict[str, Any]:
    answer = requests.get(f"{fleet.database.base_url}/performance/stats", params=query, timeout=10)
    data: dict[str, Any] = answer.json()["data"]
    return data


def written(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name in PERCENT:
        return f"{value:.1f} %"
    if name in WHOLE:
        return f"{value}"
    return f"{value:,.2f}" if name in PLAIN or value == 0 else f"{value:+,.2f}"


def expect_figures(panel: Locator, data: dict[str, Any]) -> None:
    expect(panel.locator("dd[data-figure=trades]")).to_have_text(str(data["trades"]))
    for cell in panel.locator("dd[data-figure]").all():
        name = cell.get_attribute("data-figure") or ""
        expect(cell).to_have_text(written(name, data[name]))


def test_its_figures_curve_and_strategies_are_the_service_s(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = open_page(stored).locator("#panel-performance")
    data = statistics(stored)
    expect_figures(panel, data)
    curve = panel.get_by_role("img")
    label = curve.get_attribute("aria-label") or ""
    assert f"{len(data['equity_curve'])} points" in label
    assert f"ends at {data['total_pnl']:+,.2f}" in label
    assert f"deepest fall shown {-data['max_drawdown']:,.2f}" in label
    assert panel.locator("canvas").count() == 2
    texts = "body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    shown = panel.locator(".scroll tbody").evaluate(texts)
    best_first = sorted(data["by_strategy"].items(), key=lambda one: -one[1]["total_pnl"])
    assert shown == [[name, *(written(column, tally[column]) for column in COLUMNS)] for name, tally in best_first]


def test_its_filter_asks_for_one_strategy_and_what_is_undefined_is_a_dash(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    panel = open_page(stored).locator("#panel-performance")
    panel.locator("summary").click()
    panel.locator("input[name=strategy]").fill(STRATEGIES[0])
    panel.get_by_role("button", name="Apply").click()
    data = statistics(stored, strategy=STRATEGIES[0])
    assert 0 < data["trades"] < statistics(stored)["trades"]
    expect_figures(panel, data)
    panel.locator("input[name=strategy]").fill("nobody")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.locator(".note")).to_have_text("There are no such trades.")
    nothing = statistics(stored, strategy="nobody")
    assert nothing["sharpe"] is None
    expect_figures(panel, nothing)
    expect(panel.get_by_role("img")).to_have_attribute("aria-label", "Equity curve: no trades yet")
