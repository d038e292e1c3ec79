"""A fleet that asks for a login, as people meet it: the form, the prices behind it, the way out, what goes wrong."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from playwright.sync_api import Page, expect

from shared.testing.net import free_port
from shared.testing.servers import NginxServer
from tools.door import Door

from ..conftest import PASSWORD, DashboardFleet
from .conftest import OpenPage
from .test_accessibility import WIDTHS, severe

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
BLOCKED = """window.WebSocket = class {
  constructor() { setTimeout(() => { this.onerror?.(new Event('error')); this.onclose?.(new Event('close')); }); }
  close() {}
};"""
PRICE = "#panel-prices tr[data-key=BTCUSDT] td"
SOON_MS = 20_000  # the page asks every few seconds whether its login still holds


def log_in(page: Page, name: str = "ada", password: str = PASSWORD) -> Page:
    page.get_by_label("Name or e-mail address").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    return page


def logged_in(page: Page, name: str = "ada") -> Page:
    expect(log_in(page, name).get_by_role("button", name="Log out")).to_be_visible()
    return page


def test_a_login_shows_prices_that_move_and_a_logout_hides_them(
    closed_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(closed_fleet)
    expect(page.get_by_label("Name or e-mail address")).to_be_focused()
    expect(page.locator("#panels")).to_be_hidden()
    log_in(page, password="wrong")
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    logged_in(page)
    expect(page.locator(".stream")).to_have_text("The stream is live")
    first = page.locator(PRICE).first.inner_text()
    expect(page.locator(PRICE).first).not_to_have_text(first)
    expect(page.locator("#panel-fleet .note")).to_have_text("Every service is ready.")
    expect(page.locator("#panel-simulator button", has_text="Start")).to_be_enabled()
    assert page.evaluate("document.cookie") == ""
    assert "tfr_" not in page.content() + page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    page.reload()
    expect(page.locator(".stream")).to_have_text("The stream is live")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("alert")).to_have_text("You are logged out.")
    expect(page.locator("#panels")).to_be_hidden()
    page.reload()
    expect(page.get_by_label("Password")).to_be_visible()
    logged_in(page)


def test_a_reader_watches_and_is_told_why_nothing_begins(closed_fleet: DashboardFleet, open_page: OpenPage) -> None:
    page = logged_in(open_page(closed_fleet), "rob@example.org")
    expect(page.locator(".where")).to_contain_text("Logged in as reader")
    expect(page.locator("#panel-simulator .note").last).to_contain_text("Your role, reader, watches")
    expect(page.locator("#panel-simulator button", has_text="Start")).to_be_disabled()


def test_what_ends_in_one_tab_ends_in_the_other_and_nothing_stays_on_the_screen(
    closed_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    first = logged_in(open_page(closed_fleet))
    second = first.context.new_page()
    second.goto(closed_fleet.dashboard.base_url + "/")
    expect(second.locator(".stream")).to_have_text("The stream is live")
    first.get_by_role("button", name="Log out").click()
    second.bring_to_front()
    expect(second.get_by_role("alert")).to_contain_text("Your session is over", timeout=SOON_MS)
    expect(second.locator("#panels")).to_be_hidden()
    logged_in(second)
    expect(second.locator(".stream")).to_have_text("The stream is live")


def test_without_the_gateway_the_page_says_so_and_goes_on_when_it_is_back(
    own_closed_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = logged_in(open_page(own_closed_fleet))
    own_closed_fleet.gateway.kill()
    expect(page.locator(".stream")).to_contain_text("The stream is lost")
    expect(page.locator("#panel-signals .fresh")).to_contain_text("auth-gateway is away")
    expect(page.locator("#panel-fleet .note")).to_contain_text("Auth Gateway is down.")
    page.reload()
    expect(page.locator("#bar")).to_contain_text("auth-gateway is away")
    own_closed_fleet.gateway.start()
    expect(page.locator(".stream")).to_have_text("The stream is live")
    password(own_closed_fleet)
    expect(page.get_by_role("alert")).to_contain_text("Your session is over", timeout=SOON_MS)


def password(fleet: DashboardFleet) -> None:
    """Change ada's elsewhere, which ends all her sessions."""
    base, login = fleet.gateway.base_url, {"username": "ada", "password": PASSWORD}
    token = urllib3.request("POST", f"{base}/auth/login", json=login).json()["data"]["access_token"]
    body = {"old_password": PASSWORD, "new_password": "another horse's battery"}
    changed = urllib3.request("POST", f"{base}/auth/password", json=body, headers={"Authorization": f"Bearer {token}"})
    assert changed.status == 200


def test_where_no_websocket_gets_through_the_page_says_so_and_shows_the_rest(
    closed_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(closed_fleet, open_at_once=False)
    page.add_init_script(BLOCKED)
    page.goto(closed_fleet.dashboard.base_url)
    logged_in(page)
    said = "Something on the way may block it (WebSocket, which a login needs)"
    expect(page.locator(".stream")).to_contain_text(said, timeout=60_000)  # two tries, and one question
    expect(page.locator("#panel-fleet .note")).to_have_text("Every service is ready.")


@pytest.fixture
def door(closed_fleet: DashboardFleet, tmp_path: Path) -> Iterator[str]:
    """Where nginx, as DOOR=true starts it, shows the dashboard by TLS."""
    certificate, key, port = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem"), free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-out", certificate, "-keyout", key], check=True, capture_output=True,
    )  # fmt: skip

    def configure(plain: int, folder: Path) -> str:
        streaming, gateway, dashboard = (
            urlsplit(process.base_url).netloc
            for process in (closed_fleet.streaming, closed_fleet.gateway, closed_fleet.dashboard)
        )
        listen, tls = [f"127.0.0.1:{plain}"], [f"127.0.0.1:{port}"]
        made = Door(
            str(folder), f"{folder}/log", [streaming], gateway=gateway, dashboard=dashboard,
            listen=listen, listen_tls=tls, certificate=certificate, key=key,
        )  # fmt: skip
        return made.configuration()

    with NginxServer(configure):
        yield f"https://127.0.0.1:{port}/dashboard/"


def test_behind_nginx_and_tls_it_is_the_same_below_its_prefix(
    door: str, closed_fleet: DashboardFleet, open_page: OpenPage
) -> None:
    page = open_page(closed_fleet, open_at_once=False, ignore_https_errors=True)
    page.goto(door)
    logged_in(page)
    expect(page.locator(".stream")).to_have_text("The stream is live")
    expect(page.locator("#panel-fleet .note")).to_have_text("Every service is ready.")
    docs = page.locator("#panel-fleet .service[data-key=database-service] a").get_attribute("href")
    assert docs == door.replace("dashboard/", "api/database-service/docs")
    cookies = [(one["name"], one["secure"], one["httpOnly"], one["sameSite"]) for one in page.context.cookies()]
    assert cookies == [(f"dashboard-{closed_fleet.dashboard.port}", True, True, "Strict")]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("alert")).to_have_text("You are logged out.")
    assert page.context.cookies() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_form_is_for_everybody(closed_fleet: DashboardFleet, open_page: OpenPage, width: str, scheme: str) -> None:
    across, down = WIDTHS[width]
    page = open_page(closed_fleet, width=across, height=down, color_scheme=scheme)
    log_in(page, password="wrong")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    assert severe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= across
