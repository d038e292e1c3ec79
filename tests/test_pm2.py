"""PM2 by hand, as the README shows it: start, one only, crash, stop, restart, save."""

import json
import os
import platform
import signal
import urllib.request
from collections.abc import Iterator

import pytest

from shared.testing.net import port_taken, wait_until
from shared.testing.private_fleet import PM2, PrivateFleet

pytestmark = [pytest.mark.integration, pytest.mark.slow]
NAME = "database-service"
CANARY = "canary-5f1d"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not PM2.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("PM2 is not installed: npm ci")
        pytest.skip("needs PM2: npm ci")


@pytest.fixture
def fleet() -> Iterator[PrivateFleet]:
    with PrivateFleet() as fleet:
        yield fleet


def start(fleet: PrivateFleet, **settings: str) -> None:
    fleet.pm2("start", "ecosystem.config.js", "--only", NAME, **settings)


def ready(fleet: PrivateFleet) -> bool:
    try:
        with urllib.request.urlopen(f"{fleet.url(NAME)}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_start_returns_when_the_one_service_is_ready(fleet: PrivateFleet) -> None:
    start(fleet)
    assert ready(fleet)
    assert list(fleet.apps()) == [NAME]
    assert (fleet.var_dir / "logs" / f"{NAME}.out.log").stat().st_size > 0


def test_a_killed_service_is_back_by_itself(fleet: PrivateFleet) -> None:
    start(fleet)
    before = fleet.apps()[NAME]["pid"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: fleet.apps()[NAME]["pid"] not in {0, before} and ready(fleet), 20, what="restarted")
    assert fleet.apps()[NAME]["pm2_env"]["restart_time"] == 1


def test_stop_lets_it_end_by_itself_and_frees_the_port(fleet: PrivateFleet) -> None:
    start(fleet)
    fleet.pm2("stop", NAME)
    state = fleet.apps()[NAME]["pm2_env"]
    assert (state["status"], state["exit_code"]) == ("stopped", 0)
    assert not port_taken(fleet.port(NAME))
    assert "stopping" in (fleet.var_dir / "logs" / f"{NAME}.out.log").read_text()


def test_a_restart_by_the_file_takes_new_settings(fleet: PrivateFleet) -> None:
    start(fleet)
    fleet.pm2("restart", "ecosystem.config.js", "--only", NAME, LOG_LEVEL="WARNING")
    assert fleet.apps()[NAME]["pm2_env"]["LOG_LEVEL"] == "WARNING"
    wait_until(lambda: ready(fleet), 20, what="ready again")


def test_save_writes_no_secret_of_the_shell(fleet: PrivateFleet) -> None:
    start(fleet, SENTRY_DSN=f"https://{CANARY}@localhost/1", SHELL_TOKEN=CANARY)
    fleet.pm2("restart", "ecosystem.config.js", SHELL_TOKEN=CANARY)
    fleet.pm2("save", SHELL_TOKEN=CANARY)
    dump = (fleet.folder / "pm2" / "dump.pm2").read_text()
    assert NAME in {app["name"] for app in json.loads(dump)}
    assert CANARY not in dump


@pytest.mark.skipif(platform.system() != "Linux", reason="only Linux tells a process that its parent died")
def test_a_killed_pm2_leaves_no_service_on_its_port(fleet: PrivateFleet) -> None:
    start(fleet)
    os.kill(int((fleet.folder / "pm2" / "pm2.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not port_taken(fleet.port(NAME)), 15, what="the port is free")
