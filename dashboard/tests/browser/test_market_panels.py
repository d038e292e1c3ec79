"""Prices, chart, order book and tape show the market's truth, say when it is old, and come back by themselves."""

import re
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from shared.testing.net import wait_until

from ..conftest import DashboardFleet
from .conftest import OpenPage

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT"]
OWN_MODULE = "new URL('{name}', document.querySelector('script[type=module]').src).href"


def number(text: str | None) -> float:
    return float((text or "nan").replace(",", ""))


def price_of(page: Page, symbol: str) -> float:
    """What the panel shows; nan while it shows none."""
    text = page.locator(f"#panel-prices tr[data-key={symbol}] td").first.inner_text().strip("↑↓ ")
    return float("nan") if text == "–" else number(text)


def wait_for(page: Page, condition: Any, what: str) -> None:
    """As wait_until, while the page's events are handled."""

    def met() -> bool:
        page.wait_for_timeout(50)
        return bool(condition())

    wait_until(met, 60, what=what)


def run(page: Page, name: str, code: str, *arguments: Any) -> Any:
    """`code`, a function of one of the page's modules and arguments, run in the page."""
    own = OWN_MODULE.format(name=name)
    return page.evaluate(f"async (given) => ({code})(await import({own}), ...given)", list(arguments))


def test_every_symbols_price_is_the_services(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    for symbol in SYMBOLS:
        wait_for(page, lambda symbol=symbol: price_of(page, symbol) > 0, f"a price of {symbol}")
        own = fleet.streaming.get(f"/price/{symbol}")["data"]
        assert price_of(page, symbol) == pytest.approx(own["price"], rel=0.01)
    expect(page.locator("#panel-prices .panel-body")).not_to_have_class(re.compile("old"))


def test_a_chosen_symbol_is_shown_by_every_panel_of_the_market(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    page.get_by_role("button", name="ETHUSDT").click()
    expect(page.get_by_role("button", name="ETHUSDT")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#panel-chart .note")).to_have_text("ETHUSDT, 1m")
    expect(page.locator("#panel-tape .note")).to_have_text("ETHUSDT")
    expect(page.locator("#panel-depth .note")).to_contain_text("ETHUSDT: spread")
    assert "symbol=ETHUSDT" in page.url
    page.reload()
    expect(page.get_by_role("button", name="ETHUSDT")).to_have_attribute("aria-pressed", "true")


def test_the_chart_has_the_services_candles_and_follows_the_newest(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    candles = page.locator("#panel-chart .candles")

    def agrees() -> bool:
        label = candles.get_attribute("aria-label") or ""
        last = fleet.streaming.get("/klines/BTCUSDT?interval=1m&limit=1")["data"]["klines"][-1]
        shown = re.search(r"open ([\d,.]+\d)", label)
        return shown is not None and "close" in label and number(shown[1]) == pytest.approx(last["open"], abs=0.01)

    wait_for(page, agrees, "the newest candle is the service's")
    expect(candles.locator("canvas").first).to_be_visible()
    before = candles.get_attribute("aria-label")
    wait_for(page, lambda: candles.get_attribute("aria-label") != before, "it moves with the market")


def test_the_order_book_is_whole_and_near_the_services(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    rows = page.locator("#panel-depth tbody tr")
    wait_for(page, lambda: "spread" in page.locator("#panel-depth .note").inner_text(), "a book")
    shown = page.evaluate(
        "() => [...document.querySelectorAll('#panel-depth tbody tr')]"
        ".map(row => [row.className, ...[...row.cells].map(cell => cell.textContent)])"
    )
    assert len(shown) == rows.count() == 16
    asks = [number(price) for side, price, *_ in shown if side == "asks"]
    bids = [number(price) for side, price, *_ in shown if side == "bids"]
    assert asks + bids == sorted(asks + bids, reverse=True), "never crossed, best in the middle"
    own = fleet.streaming.get("/orderbook/BTCUSDT?limit=1")["data"]
    assert bids[0] == pytest.approx(own["bids"][0][0], rel=0.01)
    totals = [number(row[3]) for row in shown if row[0] == "bids"]
    assert totals == sorted(totals)


def test_the_tape_misses_no_trade_and_shows_each_as_it_was(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    wait_for(page, lambda: page.locator("#panel-tape tbody tr").count() >= 20, "20 trades")
    shown = page.evaluate(
        "() => [...document.querySelectorAll('#panel-tape tbody tr')]"
        ".map(row => [Number(row.dataset.id), ...[...row.cells].map(cell => cell.textContent)])"
    )
    ids = [row[0] for row in shown]
    assert ids == list(range(ids[0], ids[0] - len(ids), -1))
    own = {one["trade_id"]: one for one in fleet.streaming.get("/trades/BTCUSDT?limit=1000")["data"]["trades"]}
    for ident, _, side, price, quantity in shown:
        trade = own[ident]
        assert (number(price), number(quantity)) == (trade["price"], trade["quantity"])
        assert side.endswith(trade["side"])


def test_the_tape_stays_bounded(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    seen = page.locator("#panel-tape tbody tr")
    wait_for(page, lambda: seen.count() >= 100, "a hundred trades")
    first = seen.first.get_attribute("data-id")
    wait_for(page, lambda: int(seen.first.get_attribute("data-id") or 0) > int(first or 0) + 50, "50 more")
    assert seen.count() == 100


def test_a_lost_stream_makes_prices_old_and_a_found_one_live_again(
    own_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(own_fleet)
    prices = page.locator("#panel-prices .panel-body")
    wait_for(page, lambda: price_of(page, "BTCUSDT") > 0, "a price")
    panels = ("prices", "chart", "depth", "tape")
    for panel in panels:
        expect(page.locator(f"#panel-{panel} .fresh")).to_contain_text("as of")
    own_fleet.streaming.kill()
    for panel in panels:
        expect(page.locator(f"#panel-{panel} .panel-body")).to_have_class(re.compile("old"))
        expect(page.locator(f"#panel-{panel} .fresh")).to_contain_text("Old:")
    expect(page.locator("#panel-prices .fresh")).to_contain_text("the connection is lost")
    assert price_of(page, "BTCUSDT") > 0, "what was last known stays"
    expect(page.locator("#panel-signals .panel-body")).not_to_have_class(re.compile("old"))
    own_fleet.streaming.start()
    expect(prices).not_to_have_class(re.compile("old"), timeout=30_000)
    for panel in ("chart", "depth", "tape"):
        expect(page.locator(f"#panel-{panel} .panel-body")).not_to_have_class(re.compile("old"), timeout=30_000)
    own_fleet.simulator.kill()
    for panel in ("chart", "depth", "tape"):
        expect(page.locator(f"#panel-{panel} .fresh")).to_contain_text("BTCUSDT is stale")


def test_the_simulators_crash_is_seen_in_the_price(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    page.get_by_role("button", name="SOLUSDT").click()
    wait_for(page, lambda: price_of(page, "SOLUSDT") > 0, "a price")
    before = price_of(page, "SOLUSDT")
    crash = {"name": "flash_crash", "symbol": "SOLUSDT", "duration_s": 20, "params": {"depth_pct": 20}}
    begun = requests.post(f"{fleet.simulator.base_url}/sim/scenario", json=crash, timeout=10).json()["data"]
    wait_for(page, lambda: price_of(page, "SOLUSDT") < before * 0.9, "the price has fallen by a tenth")
    candles = page.locator("#panel-chart .candles")

    def lowest() -> float:
        found = re.search(r"low ([\d.]+)", candles.get_attribute("aria-label") or "")
        return float(found[1]) if found else before

    wait_for(page, lambda: lowest() < before * 0.9, "the chart's candle has fallen with it")
    requests.delete(f"{fleet.simulator.base_url}/sim/scenario/{begun['id']}", timeout=10)


def test_signals_become_marks_on_their_candles(fleet: DashboardFleet, open_page: OpenPage) -> None:
    times = [1_700_000_000 + 60 * n for n in range(5)]
    signals = [
        {"timestamp": "2023-11-14T22:14:30Z", "signal_type": "SELL", "compliant": False, "violations": ["real_order"]},
        {"timestamp": "2023-11-14T22:13:25Z", "signal_type": "BUY", "compliant": True, "violations": []},
        {"timestamp": "2023-11-14T22:13:19Z", "signal_type": "BUY", "compliant": True, "violations": []},
        {"timestamp": "2023-11-14T22:18:20Z", "signal_type": "BUY", "compliant": True, "violations": []},
    ]
    page = open_page(fleet)
    code, colours = "(own, ...given) => own.markers(...given)", {"up": "u", "down": "d"}
    found = run(page, "signal_markers.js", code, signals, times, colours)
    assert [(one["time"], one["text"], one["position"], one["color"], one["shape"]) for one in found] == [
        (times[0], "BUY ✓", "belowBar", "u", "arrowUp"),
        (times[1], "SELL ✗", "aboveBar", "d", "square"),
    ]


def test_a_book_follows_its_deltas_and_says_when_one_is_missing(fleet: DashboardFleet, open_page: OpenPage) -> None:
    updates = [
        {"type": "delta", "bids": [[9, 1]], "asks": [], "update_id": 9, "previous_update_id": 8},
        {"type": "snapshot", "bids": [[10, 1], [9, 2]], "asks": [[11, 3]], "update_id": 10},
        {"type": "delta", "bids": [[10, 0]], "asks": [[10.5, 4]], "update_id": 11, "previous_update_id": 10},
        {"type": "delta", "bids": [], "asks": [], "update_id": 14, "previous_update_id": 13},
    ]
    code = "(own, updates) => { const book = own.orderBook(); return [updates.map(book.take), book.best(5)] }"
    took, best = run(open_page(fleet), "order_book.js", code, updates)
    assert took == [False, True, True, False]
    assert best == {"bids": [[9, 2, 2]], "asks": [[10.5, 4, 4], [11, 3, 7]]}


@pytest.mark.parametrize(
    ("value", "digits"), [(61_700, 0), (61_700.5, 1), (0.3345, 4), (1.234e-5, 8), (1e-7, 7), (1e21, 0)]
)
def test_decimals_are_those_of_the_number_itself(
    fleet: DashboardFleet, open_page: OpenPage, value: float, digits: int
) -> None:
    assert run(open_page(fleet), "ticks.js", "(own, value) => own.decimals(value)", value) == digits
