"""`make up`, `status`, `down`: the newcomer's commands, on ports and with a PM2 of their own."""

import ast
import json
import os
import re
import socket
import stat
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.fleet import ROOT, read_fleet
from shared.testing.net import port_taken
from shared.testing.private_fleet import PM2, PrivateFleet
from tools import install
from tools.steps import Failed

SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}


@pytest.fixture
def fleet() -> Iterator[PrivateFleet]:
    # FLEET_PYTHON empty: the environment that `make up` makes is what runs
    with PrivateFleet(FLEET_PYTHON="") as fleet:
        yield fleet


def call(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(400)
class TestUp:

    def test_up_shows_the_fleet_and_again_does_no_harm(self, fleet: PrivateFleet) -> None:
        """…and data outlives down and up, while the verdict on the market does not outlive down."""
        up = fleet.run("make", "up")
        assert up.returncode == 0, up.stderr
        for service in read_fleet().services:
            assert re.search(rf"^{service.name} +{fleet.url(service.name)} +ready", up.stdout, re.M), up.stdout
        assert re.search(r"websocket-streaming .* simulator$", up.stdout, re.M)
        assert stat.S_IMODE((fleet.folder / "pm2").stat().st_mode) == 0o700
        tried = re.search(r"^Try: curl (\S+)$", up.stdout, re.M)
        assert tried
        assert call(f"http://{tried[1]}")["data"]["symbol"] == "BTCUSDT"
        shown = re.search(r"^Open in a browser: (http://localhost:\d+)/$", up.stdout, re.M)
        assert shown
        states = {row["name"]: row["state"] for row in call(f"{shown[1]}/api/fleet")["data"]["services"]}
        assert states == {service.name: "ready" for service in read_fleet().services}
        assert call(f"{fleet.url('database-service')}/signals/save", SIGNAL)["success"]

        pids = {name: app["pid"] for name, app in fleet.apps().items()}
        assert fleet.run("make", "up").returncode == 0
        assert {name: app["pid"] for name, app in fleet.apps().items()} == pids
        assert fleet.run("make", "status").returncode == 0

        (fleet.var_dir / "market.json").write_text('{"venue": "simulator"}')
        assert fleet.run("make", "down").returncode == 0
        assert not (fleet.var_dir / "market.json").exists()
        assert not any(port_taken(fleet.port(service.name)) for service in read_fleet().services)
        assert fleet.run("make", "status").returncode != 0

        assert fleet.run("make", "up").returncode == 0
        history = call(f"{fleet.url('database-service')}/signals/history?symbol=BTCUSDT")
        assert [row["price"] for row in history["data"]["signals"]] == [110000]

    @pytest.mark.usefixtures("nginx_program")
    def test_with_door_nginx_comes_up_too_and_its_wrong_setting_is_one_clear_line(self, fleet: PrivateFleet) -> None:
        door = {"DOOR": "true", "DOOR_PORT": "8080"}
        refused = fleet.run("make", "up", **door, DOOR_HOST="0.0.0.0")
        assert refused.returncode != 0
        assert "DOOR_HOST='0.0.0.0': others could reach a fleet that asks for no login" in refused.stderr
        assert "Nothing was started" in refused.stderr
        assert not (fleet.folder / "pm2").exists()
        up = fleet.run("make", "up", **door)
        assert up.returncode == 0, up.stderr
        url = f"http://127.0.0.1:{8080 + fleet.offset}"
        assert re.search(rf"^door +{url} +ready", up.stdout, re.M), up.stdout
        assert call(f"{url}/api/websocket-streaming/price/BTCUSDT")["data"]["symbol"] == "BTCUSDT"
        assert fleet.run("make", "down").returncode == 0  # though DOOR is not set any more
        assert not port_taken(8080 + fleet.offset)

    def test_up_starts_what_was_stopped_and_leaves_the_others_alone(self, fleet: PrivateFleet) -> None:
        assert fleet.run("make", "up").returncode == 0
        before = {name: app["pid"] for name, app in fleet.apps().items()}
        fleet.pm2("stop", "websocket-streaming")
        up = fleet.run("make", "up")
        assert up.returncode == 0, up.stderr
        after = {name: app["pid"] for name, app in fleet.apps().items()}
        assert {name for name in before if before[name] != after[name]} == {"websocket-streaming"}

    def test_a_taken_port_is_named_and_nothing_is_started(self, fleet: PrivateFleet) -> None:
        with socket.create_server(("127.0.0.1", fleet.port("database-service"))):
            up = fleet.run("make", "up")
        assert up.returncode != 0
        assert re.search(
            rf"port {fleet.port('database-service')} \(database-service\): .+ \(pid {os.getpid()}\)$", up.stderr, re.M
        )
        assert re.search(r"export FLEET_PORT_OFFSET=\d+, then make up\.$", up.stderr, re.M)
        assert not (fleet.folder / "pm2").exists()

    def test_apps_of_another_clone_are_refused_and_left_alone(self, fleet: PrivateFleet) -> None:
        clone = fleet.folder / "clone"
        clone.mkdir()
        (clone / "other.js").write_text("setInterval(() => {}, 1000)")
        fleet.pm2("start", str(clone / "other.js"), "--name", "database-service", "--cwd", str(clone))
        before = fleet.apps()["database-service"]["pid"]
        by_hand = fleet.run(str(PM2), "restart", "ecosystem.config.js", "--only", "database-service")
        assert by_hand.returncode != 0
        assert str(clone) in by_hand.stderr
        up = fleet.run("make", "up")
        assert up.returncode != 0
        assert str(clone) in up.stderr
        assert fleet.run("make", "down").returncode == 0
        assert fleet.apps()["database-service"]["pid"] == before

    def test_a_shell_without_the_first_ones_pm2_home_starts_no_second_fleet_over_its_data(
        self, fleet: PrivateFleet
    ) -> None:
        fleet.pm2("start", "ecosystem.config.js", "--only", "database-service", FLEET_PYTHON=sys.executable)
        before = fleet.apps()["database-service"]["pid"]
        elsewhere = {"PM2_HOME": str(fleet.folder / "second"), "FLEET_PORT_OFFSET": str(fleet.offset + 1)}
        try:
            make = [["make", word] for word in ("up", "down", "status", "logs")]
            for command in (*make, [str(PM2), "start", "ecosystem.config.js"]):
                refused = fleet.run(*command, **elsewhere)
                assert refused.returncode != 0
                how = f"export PM2_HOME={fleet.folder / 'pm2'} FLEET_PORT_OFFSET={fleet.offset}\n"
                assert how in refused.stderr, command
        finally:
            if (fleet.folder / "second" / "pm2.pid").exists():
                fleet.run(str(PM2), "kill", **elsewhere)
        assert fleet.apps()["database-service"]["pid"] == before
        assert fleet.run("make", "down").returncode == 0
        assert not (fleet.var_dir / "pm2-home").exists()

    def test_wrong_settings_stop_it_before_anything_starts(
        self, fleet: PrivateFleet
    ) -> None:
        up = fleet.run("make", "up", LOG_LEVEL="lots")
        assert up.returncode != 0
        assert "LOG_LEVEL='LOTS': must be 'DEBUG', 'INFO'" in up.stderr
        assert not (fleet.folder / "pm2").exists()

    def test_a_failed_start_shows_why(self, fleet: PrivateFleet) -> None:
        up = fleet.run("make", "up", SERVICE_HOST="not a host")
        assert up.returncode != 0
        assert "did not start" in up.stderr
        assert "not a host" in up.stderr
        assert fleet.run("make", "up").returncode == 0  # put right, it starts, though PM2 was about to try again


@pytest.mark.unit
def test_a_missing_node_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="Node 18 or newer is needed"):
        install.check_node()


@pytest.mark.unit
def test_an_old_node_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v16.20.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Failed, match=r"says v16\.20\.0"):
        install.check_node()


@pytest.mark.unit
def test_an_old_python_can_read_the_file_that_refuses_it() -> None:
    ast.parse((ROOT / "tools" / "fleet.py").read_text(), feature_version=(3, 6))


@pytest.mark.unit
def test_an_environment_is_made_once_and_again_when_its_lock_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: list[str] = []

    def step(title: str, command: list[str], hint: str = "") -> None:
        steps.append(title)
        if "venv" in command:
            (tmp_path / "venv" / "bin").mkdir(parents=True)
            (tmp_path / "venv" / "bin" / "python").symlink_to("/bin/true")

    monkeypatch.setattr(install, "step", step)
    lock = tmp_path / "lock"
    lock.write_text("one")
    install.python_environment(tmp_path / "venv", lock)
    assert steps[0] == "Making venv"
    steps.clear()
    install.python_environment(tmp_path / "venv", lock)
    assert steps == []
    lock.write_text("two")
    install.python_environment(tmp_path / "venv", lock)
    assert steps == ["Installing Python packages into venv", "Installing shared"]
