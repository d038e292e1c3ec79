"""The page in a real browser: what it shows once its script has run. Skipped where Chromium isn't installed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VIRTUAL_MS = 4000  # the browser's own time, in which the page asks several times

Open = Callable[[str], tuple[str, str]]


@pytest.fixture
def browser(tmp_path: Path) -> Open:
    """Opens an address: the document after its script ran, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")

    def show(url: str) -> tuple[str, str]:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to start otherwise
        ended = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--disable-gpu", "--enable-logging=stderr", *as_root,
                f"--user-data-dir={tmp_path}", f"--virtual-time-budget={VIRTUAL_MS}", "--dump-dom", url,
            ],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
        return ended.stdout, "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)

    return show


def part(document: str, id: str) -> str:
    """What stands in an element without children of its own kind."""
    found = re.search(rf'<(\w+)[^>]* id="{id}"[^>]*>(.*?)</\1>', document, re.DOTALL)
    assert found, id
    return found[2]


def test_the_page_shows_the_market_its_lies_and_its_sessions_and_no_markup_of_others(
    start_simulator: Any, browser: Open
) -> None:
    simulator = start_simulator()
    simulator.begin("flash_crash", symbol="ETHUSDT", duration_s=600)
    opened = requests.post(f"{simulator.base_url}/sim/session", json={"name": "<b id=evil>mine</b>"}, timeout=10)
    document, console = browser(simulator.base_url + "/")
    assert console == "", "nothing was refused by the page's own policy, and nothing failed"
    assert part(document, "state") == "", "loaded, and no error"
    offered = re.findall(r'value="([^"]*)"', part(document, "menu"))
    assert offered == [one["name"] for one in simulator.get("/sim/scenarios").json()["data"]]
    assert "ETHUSDT" in part(document, "running")
    for symbol in simulator.status()["symbols"]:
        assert f'data-key="spot {symbol}"' in part(document, "symbols")
    sessions = part(document, "sessions")
    assert opened.json()["data"]["id"] in sessions
    assert "&lt;b id=evil&gt;mine&lt;/b&gt;" in sessions
    assert 'id="evil"' not in document
