"""The signals panel shows what database-service has."""

from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

WORDS = {
    "leverage_above_3": "leverage above 3",
    "confidence_below_65": "confidence below 65 %",
    "stop_loss_required": "no stop-loss",
}


def history(fleet: DashboardFleet, **query: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{fleet.database.base_url}/signals/history", params=query, timeout=10)
    signals: list[dict[str, Any]] = answer.json()["data"]["signals"]
    return signals


def verdict(signal: dict[str, Any]) -> str:
    broken = ", ".join(WORDS[rule] for rule in signal["violations"])
    return f"Breaks: {broken}" if broken else "Keeps the rules"


def as_shown(signal: dict[str, Any]) -> list[str]:
    price = f"{signal['price']:,.2f}".rstrip("0").rstrip(".")
    return [
        signal["timestamp"][5:19].replace("T", " "), f"{signal['signal_type']} {signal['symbol']}",
        f"{signal['confidence'] * 100 + 1e-9:.1f} %", price, verdict(signal), signal["strategy"], "–",
    ]  # fmt: skip


def rows(panel: Locator) -> list[list[str]]:
    script = "body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    shown: list[list[str]] = panel.locator("tbody").evaluate(script)
    return shown


def panel_of(page: Page) -> Locator:
    panel = page.locator("#panel-signals")
    expect(panel.locator("tbody tr").first).to_be_visible()
    return panel


def choose(panel: Locator, **fields: str) -> None:
    if panel.locator("details:not([open])").count():
        panel.locator("summary").click()
    for name, value in fields.items():
        panel.locator(f"input[name={name}]").fill(value)
    panel.get_by_role("button", name="Apply").click()


def test_its_first_page_is_what_the_service_has_each_with_its_verdict(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    panel = panel_of(open_page(stored))
    wanted = history(stored, limit=50)
    assert {bool(signal["violations"]) for signal in wanted} == {True, False}
    assert rows(panel) == [as_shown(signal) for signal in wanted]


def test_filters_and_pages_show_what_the_service_finds(stored: DashboardFleet, open_page: OpenPage) -> None:
    panel = panel_of(open_page(stored))
    choose(panel, min_confidence="60", signal_type="")
    wanted = history(stored, min_confidence=0.6, limit=1000)
    assert 50 < len(wanted) <= 150
    panel.get_by_role("button", name="Older").click()
    expect(panel.locator(".place")).to_have_text("Page 2")
    assert rows(panel) == [as_shown(signal) for signal in wanted[50:100]]
    panel.get_by_role("button", name="Newer").click()
    expect(panel.locator(".place")).to_have_text("Page 1")
    assert rows(panel) == [as_shown(signal) for signal in wanted[:50]]
    until = wanted[20]["timestamp"][:16]
    choose(panel, symbol="ethusdt", signal_type="sell", to=until)
    wanted = history(stored, symbol="ETHUSDT", signal_type="SELL", to=f"{until}Z", min_confidence=0.6)
    expect(panel.locator("tbody tr")).to_have_count(len(wanted))
    assert rows(panel) == [as_shown(signal) for signal in wanted]
    assert "Symbol ETHUSDT" in panel.locator("summary").inner_text()


def test_what_no_signal_matches_and_what_the_service_refuses_is_said(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    panel = panel_of(open_page(stored))
    choose(panel, strategy="nobody")
    expect(panel.locator(".note")).to_have_text("There are no such signals.")
    assert rows(panel) == []
    choose(panel, symbol="$$$")
    expect(panel.locator(".fresh")).to_contain_text("symbol")


def test_the_csv_link_saves_what_the_filter_lets_through(
    stored: DashboardFleet, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(stored)
    panel = panel_of(page)
    choose(panel, symbol="BTCUSDT")
    expect(panel.locator("summary")).to_contain_text("BTCUSDT")
    with page.expect_download() as download:
        panel.get_by_role("link", name="Save as CSV").click()
    download.value.save_as(tmp_path / "signals.csv")
    answer = requests.get(
        f"{stored.database.base_url}/signals/export", params={"format": "csv", "symbol": "BTCUSDT"}, timeout=10
    )
    assert (tmp_path / "signals.csv").read_bytes() == answer.content
    assert answer.content.count(b"\n") > 10


def test_a_signal_opens_with_all_its_fields_as_text_and_gives_the_focus_back(
    stored: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(stored)
    panel = panel_of(page)
    signal = history(stored, limit=1)[0]
    button = panel.locator("tbody button").first
    button.press("Enter")
    dialog = page.get_by_role("dialog")
    facts = dialog.locator("dl").inner_text()
    for value in (signal["signal_id"], verdict(signal), signal["strategy"], f"{signal['leverage']:g} ×"):
        assert value in facts
    assert "<b id=evil>bold</b>" in facts
    assert page.locator("#evil").count() == 0
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
