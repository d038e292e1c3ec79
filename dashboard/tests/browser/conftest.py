"""The page in a real browser, over a fleet of its own. At home a missing Chromium skips; in CI it is a failure."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ..conftest import DashboardFleet

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (  # as root it has no sandbox; nothing but the page may use the network or the processor
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PRICES = {"BTCUSDT": 61_700.0, "ETHUSDT": 2_680.0, "SOLUSDT": 159.0}
STRATEGIES = ("breakout", "mean_reversion", "rsi")
SIGNALS, TRADES = 130, 60

OpenPage = Callable[..., Page]
expect.set_options(timeout=20_000)  # how long a busy machine may take; nothing here is a promise of speed


# Not for the session: playwright keeps an event loop running in this thread, and other files' tests start their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a file; each test gets contexts of its own."""
    if CHROMIUM is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("there is no Chromium, and CI=true allows no skip", pytrace=False)
        pytest.skip("there is no Chromium: this test needs a real browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens a fleet's page, in a context of its own; what the page's script throws fails the test."""
    contexts = []
    thrown: list[str] = []

    def open_(
        fleet: DashboardFleet, *, width: int = 1600, height: int = 1000, open_at_once: bool = True, **options: Any
    ) -> Page:
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        if open_at_once:
            page.goto(fleet.dashboard.base_url + "/")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert thrown == []


def loaded(page: Page) -> Page:
    """The page once every panel of stored data and controls has what it shows."""
    expect(page.locator("#panel-signals tbody tr")).to_have_count(50)
    expect(page.locator("#panel-calibration tbody tr")).to_have_count(4, timeout=60_000)
    expect(page.locator("#panel-fleet .service")).not_to_have_count(0)
    expect(page.locator("#panel-performance dd[data-figure=trades]")).not_to_have_text("–")
    expect(page.locator("#panel-simulator select[name=scenario] option")).not_to_have_count(0)
    return page


def store(fleet: DashboardFleet) -> None:
    """Signals of a day and a half, some of which break rules, and trades of a fortnight."""
    chance, now = random.Random(7), datetime.now(UTC)
    signals = [_signal(chance, now - timedelta(minutes=17 * place)) for place in range(SIGNALS)]
    answer = requests.post(f"{fleet.database.base_url}/signals/batch", json=signals, timeout=30)
    assert answer.json()["stored"] == SIGNALS
    for place in range(TRADES):
        closed = (now - timedelta(hours=6 * (TRADES - place))).isoformat()
        trade = {
            "strategy": chance.choice(STRATEGIES), "symbol": chance.choice(list(PRICES)), "closed_at": closed,
            "bot_id": "bot-1", "pnl": round(chance.gauss(4, 40), 2),
        }  # fmt: skip
        assert requests.post(f"{fleet.database.base_url}/performance/track", json=trade, timeout=30).ok


def _signal(chance: random.Random, moment: datetime) -> dict[str, Any]:
    symbol = chance.choice(list(PRICES))
    price = round(PRICES[symbol] * chance.uniform(0.99, 1.01), 2)
    signal = {
        "symbol": symbol, "signal_type": chance.choice(("BUY", "SELL", "HOLD")), "price": price,
        "confidence": round(chance.uniform(0.55, 0.99), 3), "timestamp": moment.isoformat(),
        "strategy": chance.choice(STRATEGIES), "leverage": chance.choice((1, 2, 3, 5)),
        "indicators": {"rsi": 30.5}, "metadata": {"note": "<b id=evil>bold</b>"},
    }  # fmt: skip
    return signal | ({"stop_loss": round(price * 0.98, 2)} if chance.random() < 0.7 else {})


@pytest.fixture(scope="session")
def stored(fleet: DashboardFleet) -> DashboardFleet:
    """The fleet that nobody harms, with signals and trades."""
    store(fleet)
    return fleet


@pytest.fixture
def own_stored(own_fleet: DashboardFleet) -> DashboardFleet:
    """A fleet to harm, with signals and trades."""
    store(own_fleet)
    return own_fleet
