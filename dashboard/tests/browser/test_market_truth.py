"""What the market's panels say when something is wrong, missing, late or unknown."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage
from .test_market_panels import run

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

MINUTE = 60
# A panel by itself, with a stream that the test feeds: `window.feed(event, data)`.
TRY = """async ({ mount }, name) => {
  const { store } = await import(new URL('store.js', document.querySelector('script[type=module]').src));
  const box = document.createElement('div');
  box.id = 'tried';
  document.body.prepend(box);
  const subscribe = (wish, feed) => ((window.feed = feed), () => {});
  const live = Object.assign(new EventTarget(), { state: 'live', subscribe });
  const listed = Object.assign(new EventTarget(), { symbols: ['BTCUSDT'] });
  mount(box, { live, store, listed });
}"""


def feed(page: Page, event: str, **data: Any) -> None:
    document = {"symbol": "BTCUSDT", "market": "spot"} | data
    page.evaluate("([event, data]) => window.feed(event, data)", [event, document])


def trade(ident: int, **more: Any) -> dict[str, Any]:
    return {"trade_id": ident, "price": 5.5, "quantity": 1, "side": "buy", "timestamp": "2026-01-01T00:00:00Z"} | more


def test_a_late_final_bar_takes_its_place_among_the_others(fleet: DashboardFleet, open_page: OpenPage) -> None:
    bars = [{"time": MINUTE * n, "close": n} for n in (1, 2, 4)]
    late = [{"time": MINUTE * n, "close": 9} for n in (2, 3, 0, 4, 5)]
    code = "(own, bars, late) => [late.map((one) => own.put(bars, one)), bars]"
    said, held = run(open_page(fleet), "bars.js", code, bars, late)
    assert said == ["within", "within", "", "last", "last"]
    assert [(one["time"] // MINUTE, one["close"]) for one in held] == [(1, 1), (2, 9), (3, 9), (4, 9), (5, 9)]


def test_the_tape_is_old_when_the_service_calls_it_stale_and_not_because_it_is_quiet(
    fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(fleet)
    run(page, "panels/tape.js", TRY, "tape")
    fresh = page.locator("#tried .fresh")
    feed(page, "trade", **trade(1))
    expect(fresh).to_contain_text("as of")
    feed(page, "status", channel="trades", stale=True)
    expect(fresh).to_contain_text("BTCUSDT is stale")
    feed(page, "status", channel="trades", stale=False)
    expect(fresh).not_to_contain_text("Old")
    feed(page, "trade", **trade(2, missed=3))
    expect(page.locator("#tried .note")).to_contain_text("3 trades are missing here")
    page.evaluate("Date.now = ((now) => () => now() + 600_000)(Date.now)")
    feed(page, "status", channel="trades", stale=False)  # has the line about its age written anew
    assert "Old" not in fresh.inner_text(), "ten quiet minutes"


def test_an_unknown_symbol_is_explained_in_every_panel_that_follows_it(
    fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(fleet)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "klines/NOSUCHCOIN" in request.url else None)
    page.locator("#bar input[name=symbol]").fill("NOSUCHCOIN")
    page.locator("#bar input[name=symbol]").press("Enter")
    for panel in ("chart", "depth", "tape"):
        said = "There is no symbol NOSUCHCOIN on the spot market."
        expect(page.locator(f"#panel-{panel} .fresh > span").first).to_have_text(said)
    expect(page.locator("#panel-prices tr[data-key=NOSUCHCOIN]")).to_contain_text("no such symbol")
    page.get_by_role("button", name="BTCUSDT").click()
    for panel in ("chart", "depth", "tape"):
        expect(page.locator(f"#panel-{panel} .fresh > span").first).to_contain_text("as of")
    assert len(asked) == 1


def test_a_subscriptions_error_is_no_answer_to_an_alert(fleet: DashboardFleet, open_page: OpenPage) -> None:
    code = "(own, fields) => fields.map((field) => own.isOfSubscription({ details: [{ field, message: 'X' }] }))"
    assert run(open_page(fleet), "live.js", code, ["symbols", "symbol", "token"]) == [True, False, False]


def test_futures_show_their_mark_price_and_funding(fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(fleet)
    expect(page.locator("#panel-prices th", has_text="Funding")).to_be_hidden()
    page.locator("#bar select[name=market]").select_option("futures")
    expect(page.locator("#panel-prices th", has_text="Funding")).to_be_visible()
    run(page, "panels/prices.js", TRY, "prices")
    figures = {"price": 100.5, "high": 101, "low": 99, "volume": 5, "changePercent": 0.5, "venue": "simulator"}
    cells = page.locator("#tried tr[data-key=BTCUSDT] td")
    expect(cells.filter(has_text="waiting")).to_have_count(1)
    feed(page, "price_update", **figures, market="futures", stale=False)
    expect(page.locator("#tried tr[data-key=BTCUSDT] td.futures")).to_have_text(["waiting", "waiting"])
    marked = {"mark_price": 100.26437125, "funding_rate": 0.0001, "market": "futures", "stale": False}
    feed(page, "price_update", **figures, **marked)
    expect(page.locator("#tried tr[data-key=BTCUSDT] td.futures")).to_have_text(["100.3", "0.0100 %"])
    feed(page, "price_update", **figures | {"price": 99.75}, **marked)
    expect(cells.first).to_have_text("↓ 99.75")
