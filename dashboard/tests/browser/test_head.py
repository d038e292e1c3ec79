"""The page's head: what is looked at, whether it comes in, and how it looks."""

import pytest
from playwright.sync_api import Page, Route, expect

from ..conftest import DashboardFleet
from .conftest import OpenPage, loaded
from .test_market_panels import run

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_it_says_where_prices_come_from_and_that_they_come(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    expect(page.locator(".venue")).to_have_text("Prices from simulator")
    expect(page.locator(".stream")).to_have_text("The stream is live")
    expect(page.locator("header")).to_contain_text("Educational, on paper only")
    assert page.locator(".failed").count() == 0, "no panel failed"


def test_a_lost_stream_is_said_at_once_and_so_is_its_return(own_fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(own_fleet)
    expect(page.locator(".stream")).to_have_text("The stream is live")
    own_fleet.streaming.kill()
    expect(page.locator(".stream")).to_contain_text("The stream is lost")
    own_fleet.streaming.start()
    expect(page.locator(".stream")).to_have_text("The stream is live")


def test_what_was_chosen_is_in_the_address_and_outlives_a_reload(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    page.locator("#bar input[name=symbol]").fill("ethusdt")
    page.locator("#bar input[name=symbol]").press("Enter")
    page.locator("#bar select[name=interval]").select_option("5m")
    expect(page).to_have_url(f"{stored.dashboard.base_url}/#symbol=ETHUSDT&market=spot&interval=5m")
    page.goto(stored.dashboard.base_url + "/")
    expect(page.locator("#bar input[name=symbol]")).to_have_value("ETHUSDT")
    page.goto(stored.dashboard.base_url + "/#symbol=SOLUSDT&interval=nonsense&theme=dark")
    expect(page.locator("#bar input[name=symbol]")).to_have_value("SOLUSDT")
    expect(page.locator("#bar select[name=interval]")).to_have_value("5m")


def test_the_search_finds_every_symbol_that_the_exchange_lists(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)
    expect(page.locator(".stream")).to_have_text("The stream is live")
    default, listed = (stored.streaming.get(path)["data"] for path in ("/symbols", "/symbols/listed"))
    other = next(name for name in listed["symbols"] if name not in default["default_symbols"])
    field = page.locator("#bar").get_by_role("combobox", name="Symbol")
    options = page.get_by_role("listbox", name="Symbols").get_by_role("option")
    field.click()
    expect(options).to_have_count(min(50, len(listed["symbols"])))
    assert options.all_inner_texts()[:5] == default["default_symbols"]
    field.press("Escape")
    expect(options.first).to_be_hidden()
    field.fill(other[:-1].lower())
    expect(options.first).to_have_text(other)
    expect(field).to_have_attribute("aria-activedescendant", str(options.first.get_attribute("id")))
    field.press("Enter")
    expect(page.locator("#panel-chart .note")).to_have_text(f"{other}, 1m")
    field.press("ArrowDown")
    options.get_by_text("SOLUSDT", exact=True).click()
    expect(field).to_have_value("SOLUSDT")
    expect(page.locator("#panel-chart .note")).to_have_text("SOLUSDT, 1m")


def test_what_is_meant_by_few_letters_stands_first(stored: DashboardFleet, open_page: OpenPage) -> None:
    names = sorted(["BTCUSDT", "ETHBTC", "BTCEUR", "BTC", "ADAUSDT", "1000SATSUSDT"])
    code = "(own, ...given) => own.matching(...given)"
    page = open_page(stored)
    found = run(page, "listings.js", code, names, ["BTCUSDT", "NOTHERE"], "BTC")
    assert found == ["BTC", "BTCUSDT", "BTCEUR", "ETHBTC"]
    assert run(page, "listings.js", code, names, ["BTCUSDT"], "")[:2] == ["BTCUSDT", "1000SATSUSDT"]


def test_the_theme_follows_the_system_until_one_is_chosen(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored, color_scheme="dark")
    dark = background(page)
    page.locator("#bar select[name=theme]").select_option("light")
    light = background(page)
    assert light != dark
    page.reload()
    assert background(page) == light, "before any module ran"
    expect(page.locator("#bar select[name=theme]")).to_have_value("light")
    page.locator("#bar select[name=theme]").select_option("system")
    assert background(page) == dark


def test_a_panel_that_fails_says_so_and_takes_no_other_along(stored: DashboardFleet, open_page: OpenPage) -> None:
    page = open_page(stored)

    def broken(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body="export function mount() { throw new Error('broken'); }")

    page.route("**/panels/depth.js", broken)
    page.reload()
    expect(page.locator("#panel-depth .failed")).to_contain_text("This panel failed: broken")
    loaded(page)
