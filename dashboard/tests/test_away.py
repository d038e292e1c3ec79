"""Services go away and come back: their own calls are 503, the others' go on, and what was last seen is told as old."""

import os
import signal
import time
from http.server import BaseHTTPRequestHandler

import pytest
import urllib3

from shared.fleet import read_fleet
from shared.testing.http_server import HttpServer, Reply
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

from .conftest import DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.api]

PRICE = "/api/websocket-streaming/price/BTCUSDT"
HISTORY = "/api/database-service/signals/history"
OTHERS = [service.name for service in read_fleet().services if service.name != "dashboard"]
NOBODY = "http://127.0.0.1:9"  # the port of "discard", which nobody serves
EXPORT = "/api/database-service/signals/export?format=csv"
STATUS = "/api/market-simulator/sim/status"


def test_a_killed_service_is_503_the_others_go_on_and_it_comes_back(own_fleet: DashboardFleet) -> None:
    assert own_fleet.state("database-service")["state"] == "ready"
    own_fleet.database.kill()
    away = own_fleet.ask(HISTORY)
    assert away.status == 503
    assert away.json()["error"]["code"] == "unavailable"
    assert away.json()["error"]["message"].startswith("database-service is away")
    assert int(away.headers["Retry-After"]) >= 1
    assert own_fleet.ask(PRICE).status == own_fleet.ask(STATUS).status == own_fleet.ask("/").status == 200
    wait_until(lambda: own_fleet.state("database-service")["state"] == "down", what="it is seen to be down")
    row = own_fleet.state("database-service")
    assert "does not answer" in row["detail"]
    assert row["last_seen"] is not None
    assert row["health"]["service"] == "Database Service", "what was last seen stays"
    assert row["rates"] is None
    wait_until(lambda: own_fleet.dashboard.get("/health")["status"] == "degraded", what="health says so")
    assert own_fleet.state("websocket-streaming")["state"] == "ready"
    own_fleet.database.start()
    assert own_fleet.ask(HISTORY).status == 200
    wait_until(lambda: own_fleet.state("database-service")["state"] == "ready", what="it is seen to be back")


def test_a_hung_service_holds_only_its_own_calls_and_not_for_long(own_fleet: DashboardFleet) -> None:
    os.kill(own_fleet.streaming.pid, signal.SIGSTOP)
    begun = time.monotonic()
    hung = own_fleet.ask(PRICE, timeout=30)
    assert hung.status == 503
    assert time.monotonic() - begun < 15
    assert own_fleet.ask(HISTORY).status == 200
    wait_until(lambda: own_fleet.state("websocket-streaming")["state"] == "down", what="it is seen to be down")
    page = own_fleet.ask("/api/page").json()["data"]
    assert page["market_known"] is False
    assert own_fleet.state("database-service")["state"] == "ready"
    os.kill(own_fleet.streaming.pid, signal.SIGCONT)
    wait_until(lambda: own_fleet.ask(PRICE).status == 200, what="it answers again")


def test_the_dashboard_starts_and_serves_its_page_without_anybody_else() -> None:
    with ServiceProcess("dashboard", {"SERVICE_URLS": ",".join(f"{name}={NOBODY}" for name in OTHERS)}) as alone:
        page = alone.get("/api/page")["data"]
        assert (page["venue"], page["symbols"], page["market_known"]) == (None, [], False)
        rows = alone.get("/api/fleet")["data"]["services"]
        assert {row["name"]: (row["state"], row["last_seen"]) for row in rows[:-1]} == dict.fromkeys(
            OTHERS, ("down", None)
        )
        wait_until(lambda: alone.get("/health")["status"] == "degraded", what="degraded, and saying so")
        assert alone.stop() == 0
        assert "Traceback" not in alone.log


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"Content-Type": "text/html"}, b"<html>another program</html>"),
        (302, {"Location": "http://127.0.0.1:1/", "Content-Type": "text/html"}, b""),
        None,
    ],
    ids=["a page", "a redirect", "a cut connection"],
)
def test_a_stranger_at_a_services_address_is_503_in_the_contracts_shape(reply: Reply | None) -> None:
    with (
        HttpServer(lambda _handler: reply) as stranger,
        ServiceProcess("dashboard", {"SERVICE_URLS": f"database-service={stranger.url}"}) as dashboard,
    ):
        answer = urllib3.request("GET", dashboard.base_url + HISTORY, retries=False, redirect=False)
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()["error"]["message"].startswith("database-service is away")
        assert urllib3.request("GET", dashboard.base_url + EXPORT, retries=False, redirect=False).status == 503
        rows = dashboard.get("/api/fleet")["data"]["services"]
        assert next(row for row in rows if row["name"] == "database-service")["state"] == "down"
        assert "Traceback" not in dashboard.log


def test_an_answer_over_the_bound_is_503_and_an_export_that_ends_early_is_cut_off() -> None:
    def respond(handler: BaseHTTPRequestHandler) -> Reply:
        if "export" in handler.path:
            handler.close_connection = True
            return 200, {"Content-Type": "text/csv; charset=utf-8", "Content-Length": "1000"}, b"signal_id\n"
        return 200, {"Content-Type": "application/json"}, b" " * 17_000_000

    with (
        HttpServer(respond) as database,
        ServiceProcess("dashboard", {"SERVICE_URLS": f"database-service={database.url}"}) as dashboard,
    ):
        assert urllib3.request("GET", dashboard.base_url + HISTORY, retries=False).status == 503
        with pytest.raises(urllib3.exceptions.ProtocolError):
            urllib3.request("GET", dashboard.base_url + EXPORT, retries=False, timeout=60)
        wait_until(lambda: "an export was cut short" in dashboard.log, what="the log says so")
        assert "Traceback" not in dashboard.log
