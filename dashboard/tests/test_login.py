"""A fleet that asks for a login: the page's cookie, and everything that goes to the gateway in its name."""

import http.cookies
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import socketio
import urllib3
import websocket

from shared.testing.net import wait_until
from trading_dashboard.allowed import CALLS

from .conftest import CLOSED, PASSWORD, DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.api]
HISTORY = "/api/database-service/signals/history"
SCENARIO = "/api/market-simulator/sim/scenario"
SOCKET = "/api/websocket-streaming/socket.io"
LOGIN = {"username": "ada", "password": PASSWORD}


class Browser:
    """Keeps the cookies that the dashboard gives it, and names the page's origin with what it writes."""

    def __init__(self, fleet: DashboardFleet) -> None:
        self.fleet, self.cookies = fleet, http.cookies.SimpleCookie()

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        own = {"Origin": self.fleet.dashboard.base_url} if method != "GET" else {}
        given = own | {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"Cookie": self.cookie} if self.cookie else {}
        answer = self.fleet.ask(path, method, headers=given, **({} if body is None else {"json": body}))
        for line in answer.headers.getlist("Set-Cookie"):
            self.cookies.load(line)
        return answer

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items() if morsel.value)

    def log_in(self, username: str = "ada") -> "Browser":
        answer = self.ask("/api/session", "POST", {"username": username, "password": PASSWORD})
        assert answer.status == 200, answer.data
        return self


@pytest.fixture(scope="module")
def ada(closed_fleet: DashboardFleet) -> Browser:
    return Browser(closed_fleet).log_in()


def error(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


def test_without_a_login_the_page_comes_and_nothing_else_does(closed_fleet: DashboardFleet) -> None:
    stranger = Browser(closed_fleet)
    assert stranger.ask("/").status == 200
    paths = [call.own_path.replace("<symbol>", "BTCUSDT") for call in CALLS if call.method == "GET"]
    for path in ("/api/page", "/api/fleet", *paths):
        assert error(stranger.ask(path)) == (401, "unauthorized"), path
    assert error(stranger.ask(SCENARIO, "POST", {"name": "pump"})) == (401, "unauthorized")
    assert error(stranger.ask(f"{SCENARIO}/pump-1", "DELETE")) == (401, "unauthorized")
    for held in ("nonsense", "tfr_nonsense", "a" * 5000, "<>"):
        assert error(stranger.ask("/api/page", Cookie=f"{cookie_name(closed_fleet)}={held}")) == (401, "unauthorized")


def cookie_name(fleet: DashboardFleet) -> str:
    return f"dashboard-{fleet.dashboard.port}"


def test_a_login_gives_a_cookie_that_no_script_and_no_other_site_can_use(closed_fleet: DashboardFleet) -> None:
    browser = Browser(closed_fleet)
    answer = browser.ask("/api/session", "POST", LOGIN)
    assert answer.json() == {"success": True}, "no token goes to the page"
    cookie = browser.cookies[cookie_name(closed_fleet)]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", "")
    by_https = Browser(closed_fleet)
    by_https.ask("/api/session", "POST", LOGIN, X_Forwarded_Proto="https")
    assert by_https.cookies[cookie_name(closed_fleet)]["secure"] is True


def test_who_is_logged_in_sees_everything_through_the_gateway(closed_fleet: DashboardFleet, ada: Browser) -> None:
    page = ada.ask("/api/page").json()["data"]
    assert page["login"] == {"role": "trader", "writes": True}
    assert page["stream"] == {"url": "", "path": SOCKET[1:]}
    assert (page["venue"], page["market_known"]) == ("simulator", True)
    assert all(row["state"] == "ready" for row in ada.ask("/api/fleet").json()["data"]["services"])
    assert ada.ask(HISTORY).status == 200
    assert ada.ask("/api/websocket-streaming/price/BTCUSDT").json()["data"]["symbol"] == "BTCUSDT"
    exported = ada.ask("/api/database-service/signals/export?format=csv")
    assert exported.headers["Content-Type"].startswith("text/csv")
    assert error(ada.ask("/api/websocket-streaming/price/NOSUCH")) == (404, "not_found")
    assert closed_fleet.dashboard.get("/health")["dependencies"]["auth-gateway"]["status"] == "healthy"


def test_a_wrong_password_and_a_wrong_form_are_refused_as_by_the_gateway(closed_fleet: DashboardFleet) -> None:
    browser = Browser(closed_fleet)
    wrong = browser.ask("/api/session", "POST", LOGIN | {"password": "wrong"})
    assert error(wrong) == (401, "unauthorized")
    assert wrong.json()["error"]["message"] == "the name or the password is wrong"
    for body in ({"username": "ada"}, LOGIN | {"password": "a" * 257}, LOGIN | {"username": ""}, LOGIN | {"x": 1}):
        refused = browser.ask("/api/session", "POST", body)
        assert error(refused) == (422, "validation_error")
    assert not browser.cookies
    assert PASSWORD not in closed_fleet.dashboard.log + closed_fleet.gateway.log


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://evil.example", "null"])
def test_no_other_page_logs_anybody_in_or_out_or_opens_the_stream(
    closed_fleet: DashboardFleet, ada: Browser, origin: str
) -> None:
    assert error(ada.ask("/api/session", "POST", LOGIN, Origin=origin)) == (403, "forbidden")
    assert error(ada.ask("/api/session", "DELETE", Origin=origin)) == (403, "forbidden")
    assert error(ada.ask(SCENARIO, "POST", {"name": "pump"}, Origin=origin)) == (403, "forbidden")
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        connect(closed_fleet, ada.cookie, origin)
    assert ada.ask("/api/page").status == 200


def connect(fleet: DashboardFleet, cookie: str, origin: str) -> websocket.WebSocket:
    address = f"{fleet.dashboard.ws_url}{SOCKET}/?EIO=4&transport=websocket"
    return websocket.create_connection(address, timeout=10, cookie=cookie, origin=origin)


def test_prices_come_live_with_the_cookie_and_not_without(closed_fleet: DashboardFleet, ada: Browser) -> None:
    got: list[dict[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("price_update", got.append)
    client.connect(
        closed_fleet.dashboard.base_url, headers={"Cookie": ada.cookie}, socketio_path=SOCKET, transports=["websocket"]
    )
    try:
        client.emit("subscribe", {"symbols": ["BTCUSDT"]})
        wait_until(lambda: len(got) >= 3)
    finally:
        client.disconnect()
    for cookie in ("", f"{cookie_name(closed_fleet)}=tfr_nonsense"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            connect(closed_fleet, cookie, closed_fleet.dashboard.base_url)


def test_a_trader_begins_and_ends_a_scenario_and_a_reader_is_told_why_not(
    closed_fleet: DashboardFleet, ada: Browser
) -> None:
    wish = {"name": "pump", "symbol": "ETHUSDT", "duration_s": 600}
    begun = ada.ask(SCENARIO, "POST", wish)
    assert begun.status == 200, begun.data
    running = f"{SCENARIO}/{begun.json()['data']['id']}"
    reader = Browser(closed_fleet).log_in("rob")
    assert reader.ask("/api/page").json()["data"]["login"] == {"role": "reader", "writes": False}
    assert reader.ask(HISTORY).status == 200
    for refused in (reader.ask(SCENARIO, "POST", wish), reader.ask(running, "DELETE")):
        assert error(refused) == (403, "forbidden")
        assert "which your role does not give" in refused.json()["error"]["message"]
    assert ada.ask(running, "DELETE").status == 200


def test_a_logout_ends_the_session_everywhere_and_takes_the_cookie_back(closed_fleet: DashboardFleet) -> None:
    browser = Browser(closed_fleet).log_in()
    copied = browser.cookie
    assert browser.ask("/api/session", "DELETE").status == 200
    assert browser.cookie == ""
    for path in ("/api/page", "/api/fleet", HISTORY):
        assert error(Browser(closed_fleet).ask(path, Cookie=copied)) == (401, "unauthorized"), path
    assert browser.ask("/api/session", "DELETE").status == 200, "twice does no harm"


def test_a_session_that_was_ended_elsewhere_is_over_here_at_once(closed_fleet: DashboardFleet) -> None:
    closed_fleet.account("eve")
    browser, other = Browser(closed_fleet).log_in("eve"), closed_fleet.gateway.base_url
    login = urllib3.request("POST", f"{other}/auth/login", json=LOGIN | {"username": "eve"}).json()["data"]
    bearer = {"Authorization": f"Bearer {login['access_token']}"}
    change = {"old_password": PASSWORD, "new_password": "another horse's battery"}
    assert urllib3.request("POST", f"{other}/auth/password", json=change, headers=bearer).status == 200
    for path in (HISTORY, "/api/page", "/api/fleet", "/api/database-service/signals/export?format=csv"):
        assert error(browser.ask(path)) == (401, "unauthorized"), path


def test_tabs_that_renew_at_once_share_one_exchange_and_a_late_one_gets_what_followed(
    own_closed_fleet: DashboardFleet,
) -> None:
    fleet, browser = own_closed_fleet, Browser(own_closed_fleet).log_in()
    first = browser.cookie
    fleet.dashboard.restart()  # it has no access token now, as when one has ended
    paths = [HISTORY, "/api/page", "/api/fleet", "/api/database-service/signals/export?format=csv"] * 4
    with ThreadPoolExecutor(8) as tabs:
        answers = list(tabs.map(lambda path: Browser(fleet).ask(path, Cookie=first), paths))
    assert {answer.status for answer in answers} == {200}
    given = {answer.headers["Set-Cookie"] for answer in answers}
    assert len(given) == 1
    assert Browser(fleet).ask(HISTORY, Cookie=first).headers["Set-Cookie"] in given
    assert "refresh_reused" not in audit(fleet)


def test_a_token_that_the_gateway_takes_no_more_is_renewed_and_the_call_made_again(
    own_closed_fleet: DashboardFleet,
) -> None:
    fleet, browser = own_closed_fleet, Browser(own_closed_fleet).log_in()
    first = browser.cookie
    fleet.gateway.env["AUTH_SECRET"] = "another secret that signs access tokens from now on"
    fleet.gateway.restart()
    assert browser.ask("/api/database-service/signals/export?format=csv").status == 200
    assert browser.ask(HISTORY).status == 200
    assert browser.cookie != first


def test_without_the_gateway_the_page_is_told_so_and_still_sees_which_service_is_away(
    own_closed_fleet: DashboardFleet,
) -> None:
    fleet, browser = own_closed_fleet, Browser(own_closed_fleet).log_in()
    fleet.gateway.kill()
    for path in ("/api/page", HISTORY):
        answer = browser.ask(path)
        assert error(answer) == (503, "unavailable")
        assert answer.json()["error"]["message"].startswith("auth-gateway is away")
    assert error(browser.ask("/api/session", "POST", LOGIN)) == (503, "unavailable")
    wait_until(lambda: states(browser)["auth-gateway"] == "down", what="the fleet panel says so")
    assert states(browser)["database-service"] == "ready"
    assert error(Browser(fleet).ask("/api/fleet")) == (401, "unauthorized")
    fleet.gateway.start()
    assert browser.ask(HISTORY).status == 200
    fleet.gateway.kill()
    assert error(browser.ask("/api/session", "DELETE")) == (503, "unavailable")
    assert browser.cookie == "", "the browser forgets its login all the same"


def test_logins_are_counted_for_each_client_and_not_for_the_dashboard() -> None:
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_AUTH_LOGIN": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    with DashboardFleet(**CLOSED, **limits) as fleet:
        statuses = {
            client: [
                Browser(fleet).ask("/api/session", "POST", LOGIN, X_Forwarded_For=client).status for _ in range(3)
            ]
            for client in ("192.0.2.1", "192.0.2.2")
        }
    assert list(statuses.values()) == [[401, 401, 429], [401, 401, 429]]


def states(browser: Browser) -> dict[str, str]:
    return {row["name"]: row["state"] for row in browser.ask("/api/fleet").json()["data"]["services"]}


def audit(fleet: DashboardFleet) -> list[str]:
    """What happened at the gateway, in its own words."""
    fleet.account("root", "admin")
    login = urllib3.request("POST", f"{fleet.gateway.base_url}/auth/login", json=LOGIN | {"username": "root"}).json()
    bearer = {"Authorization": f"Bearer {login['data']['access_token']}"}
    entries = urllib3.request("GET", f"{fleet.gateway.base_url}/auth/audit", headers=bearer).json()["data"]
    return [entry["event"]["action"] for entry in entries]
