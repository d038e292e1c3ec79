"""The page and its files as they are served: types, policy, caching, compression, and relative addresses."""

import gzip
import re

import pytest

from shared.testing.process import ServiceProcess

from .conftest import DashboardFleet

pytestmark = [pytest.mark.integration, pytest.mark.api]


def local(page: str) -> list[str]:
    """Every file that index.html names."""
    return re.findall(r'(?:src|href)="([^"#]+)"', page)


def test_the_page_and_all_its_files_are_served_and_nothing_from_elsewhere(fleet: DashboardFleet) -> None:
    page = fleet.ask("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-cache"
    files = [name for name in local(page.data.decode()) if "://" not in name]
    assert len([name for name in files if name.startswith("assets/")]) > 3
    for name in files:
        assert not name.startswith("/"), "behind a prefix it would be elsewhere"
        answer = fleet.ask(f"/{name}")
        assert answer.status == 200, name
        if name.startswith("assets/"):
            assert "immutable" in answer.headers["Cache-Control"]


def test_the_policy_allows_the_page_itself_and_the_stream_and_no_inline_code(fleet: DashboardFleet) -> None:
    answer = fleet.ask("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    stream = f"127.0.0.1:{fleet.streaming.port}"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"].split() == ["'self'", f"http://{stream}", f"ws://{stream}"]
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    page = answer.data.decode()
    assert not re.search(r"<(script|style)>|\son\w+=|\sstyle=", page), "the policy would refuse it"


def test_an_unchanged_page_is_304_and_compressed_for_those_who_can(fleet: DashboardFleet) -> None:
    plain = fleet.ask("/", headers={"Accept-Encoding": "identity"})
    packed = fleet.ask("/", headers={"Accept-Encoding": "gzip"}, decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data)
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = fleet.ask("/", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (again.status, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/nosuch/js/main.js", "/assets/../app.py", "/assets/%2e%2e/%2e%2e/app.py"])
def test_no_other_file_is_served(fleet: DashboardFleet, path: str) -> None:
    assert fleet.ask(path).status == 404


def test_the_page_learns_what_it_needs_to_know_first(fleet: DashboardFleet) -> None:
    data = fleet.ask("/api/page").json()["data"]
    assert data["venue"] == "simulator"
    assert data["symbols"] == ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT"]
    assert data["market_known"] is True
    assert data["stream"] == {"url": f"http://127.0.0.1:{fleet.streaming.port}", "path": "/socket.io"}
    assert data["links"] == "ports"
    assert [service["name"] for service in data["services"]][-1] == "dashboard"
    assert "on paper only" in data["note"]


def test_through_the_door_the_page_has_its_paths_and_needs_no_port(fleet: DashboardFleet) -> None:
    through = {"X-Fleet-Door": "1"}
    data = fleet.ask("/api/page", headers=through).json()["data"]
    assert (data["links"], data["stream"]) == ("door", {"url": "", "path": "/socket.io"})
    assert "connect-src 'self';" in fleet.ask("/", headers=through).headers["Content-Security-Policy"]


def test_the_stream_is_where_the_setting_says(fleet: DashboardFleet) -> None:
    with ServiceProcess("dashboard", {"STREAM_PUBLIC_URL": "https://live.example/prices/"}) as elsewhere:
        stream = elsewhere.get("/api/page")["data"]["stream"]
    assert stream == {"url": "https://live.example", "path": "/prices/socket.io"}
