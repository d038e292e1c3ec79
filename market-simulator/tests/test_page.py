"""The page for people: its files, what it may load, and that it asks for nothing that isn't there."""

import re
from typing import Any

import pytest

from shared.testing.net import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.api]


def test_the_page_and_its_files_are_served_and_nothing_from_elsewhere(simulator: Any) -> None:
    page = simulator.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    local = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert {"/page.css", "/page.js"} <= set(local)
    assert all(simulator.get(path).status_code == 200 for path in local)
    assert "//" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert not re.search(r"<(script|style)>|\son\w+=|\sstyle=", page.text), "the policy would refuse it"


def test_the_script_finds_every_element_it_names(simulator: Any) -> None:
    page, script = simulator.get("/").text, simulator.get("/page.js").text
    named = set(re.findall(r'\$\("([\w-]+)"\)', script))
    assert len(named) > 10
    assert named <= set(re.findall(r'id="([\w-]+)"', page))


def test_status_tells_what_is_served_to_whom(simulator: Any) -> None:
    socket = simulator.socket("/stream?streams=btcusdt@trade/ethusdt@depth")
    socket.receive()
    status = simulator.status()
    mine = status["newest_sockets"][0]
    assert mine["newest_streams"] == ["ethusdt@depth", "btcusdt@trade"]
    assert mine["streams"] == 2
    assert mine["address"] == "127.0.0.1"
    assert mine["frames_sent"] > 0
    last = simulator.api("trades", symbol="BTCUSDT", limit=1)[0]
    assert float(status["symbols"]["BTCUSDT"]["price"]) == pytest.approx(float(last["price"]), rel=0.01)


def test_what_the_page_asks_every_second_leaves_no_log_line_unless_it_fails(simulator: Any) -> None:
    for path in ("/sim/status", "/sim/sessions", "/s/nosuch/sim/status", "/sim/scenarios"):
        simulator.get(path)
    wait_until(lambda: "GET /sim/scenarios 200" in simulator.process.log, what="the last call's line")
    log = simulator.process.log
    assert "GET /s/nosuch/sim/status 404" in log
    assert "/sim/status 200" not in log
    assert "/sim/sessions 200" not in log
