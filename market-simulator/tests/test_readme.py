"""The README's curl lines are run as they stand, against a simulator of their own, so that they can't rot."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.api]

README = Path(__file__).parents[1] / "README.md"
LINES = [line for line in README.read_text("utf-8").splitlines() if line.startswith("curl ")]
SESSION, REPLAY = "1f2e3d4c", "replay"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as process:
        yield process.base_url


@pytest.fixture
def session(base_url: str) -> Iterator[str]:
    """A session with one order that is filled and one that rests."""
    body = {"symbols": ["BTCUSDT", "ADAUSDT"], "limits": False}
    id = str(requests.post(f"{base_url}/sim/session", json=body, timeout=10).json()["data"]["id"])
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "quantity": "0.5", "price": "90000.00"}
    for one in ({**order, "price": "30000.00"}, order):
        assert requests.post(f"{base_url}/s/{id}/sim/order", json=one, timeout=10).status_code == 200
    yield id
    requests.delete(f"{base_url}/sim/session/{id}", timeout=10)


def run(line: str, base_url: str, session: str) -> requests.Response:
    """One curl line as a request."""
    words = shlex.split(line.replace(SESSION, session))[1:]
    options = {words[place]: words[place + 1] for place in range(len(words) - 1) if words[place].startswith("-")}
    address = next(word for word in words if word.startswith("localhost:5035"))
    url = base_url + address.removeprefix("localhost:5035")
    body = json.loads(options["-d"]) if "-d" in options else None
    return requests.request(options.get("-X", "GET"), url, json=body, timeout=10)


def of_scenario(line: str) -> bool:
    return bool(re.search(r"sim/scenario( |/)", line))


@pytest.mark.parametrize("line", [line for line in LINES if "-X POST" in line and of_scenario(line)])
def test_a_scenario_begins_and_can_be_ended(base_url: str, session: str, line: str) -> None:
    answer = run(line, base_url, session)
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()["data"]
    if begun["running"]:
        url = re.sub(r"/sim/scenario.*", "/sim/scenario", answer.url)
        assert requests.delete(f"{url}/{begun['id']}", timeout=10).status_code == 200


@pytest.mark.parametrize("line", [line for line in LINES if not of_scenario(line) and REPLAY not in line])
def test_a_call_succeeds(base_url: str, session: str, line: str) -> None:
    answer = run(line, base_url, session)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("line", [line for line in LINES if REPLAY in line])
def test_a_call_about_replays_says_what_is_missing(base_url: str, session: str, line: str) -> None:
    answer = run(line, base_url, session)
    assert answer.status_code == 404, answer.text
    assert "SIM_REPLAY_DIR" in answer.text


def test_the_readme_names_every_scenario(base_url: str) -> None:
    menu = {entry["name"] for entry in requests.get(f"{base_url}/sim/scenarios", timeout=10).json()["data"]}
    shown = {match[1] for line in LINES if (match := re.search(r'sim/scenario .*"name":"(\w+)"', line))}
    assert shown == menu
