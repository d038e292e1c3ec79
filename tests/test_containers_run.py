"""The images built, the fleet started, broken and undone on a real engine: `make containers`, some five minutes.

What it cannot see, since nothing is pulled: the images of Python, Redis, TimescaleDB, nginx, Prometheus, Alertmanager
and Grafana themselves. Debian's packages stand in for the first four; the last three don't run.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared.fleet import ROOT, read_fleet
from shared.testing.net import wait_until
from tests.containers.engine import Engine, why_not

WHY_NOT = "takes minutes: `make containers` runs it" if not os.environ.get("CONTAINERS") else why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]

FLEET = read_fleet()
NAMES = [service.name for service in FLEET.services]
CANARY = "canary-7Qx@/é$x"
FORM = "canary-7Qx"
SECRETS = {
    "DB_PASSWORD": CANARY,
    "GRAFANA_PASSWORD": CANARY,
    "SENTRY_DSN": f"http://{FORM}@127.0.0.1:1/1",
    "FLEET_SECRET": f"{CANARY}-of-thirty-two-bytes-and-more",
}
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}
DEPLOYED = re.compile(r"^  (\S+) +(\S+)$", re.M)


class Clone:
    """A copy of this checkout, as git has it, and an engine to deploy it on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.folder = engine.folder / "clone"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in files.rstrip("\0").split("\0"):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)

    def deploy(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.engine.run("deploy/deploy.sh", *words, cwd=self.folder, check=False)

    def compose(self, *words: str) -> str:
        return self.engine.run("docker-compose", *words, cwd=self.folder).stdout

    def ids(self) -> dict[str, str]:
        """The running containers' ids by service."""
        rows = map(json.loads, self.compose("ps", "--format", "json").splitlines())
        return {row["Service"]: row["ID"] for row in rows}

    def inspect(self, service: str) -> dict[str, Any]:
        container = self.compose("ps", "-aq", service).strip()
        found: dict[str, Any] = json.loads(self.engine.run("docker", "inspect", container).stdout)[0]
        return found

    def inside(self, service: str, command: str) -> "subprocess.CompletedProcess[str]":
        words = ["docker-compose", "exec", "-T", service, "sh", "-c", command]
        return self.engine.run(*words, cwd=self.folder, check=False)

    def call(self, service: str, path: str, body: object = None) -> Any:
        data = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        url = f"http://127.0.0.1:{FLEET.service(service).port}{path}"
        return json.loads(self.engine.run("curl", "-sS", "-m", "20", *data, url).stdout)

    def states(self) -> dict[str, str]:
        """What each service says of itself."""
        return {name: self.call(name, "/health")["status"] for name in NAMES}

    def break_(self, service: str) -> str:
        """Make its program end at once; returns what it was."""
        program = self.folder / service / "app.py"
        whole = program.read_text()
        program.write_text('raise SystemExit("broken on purpose")\n')
        return whole


@pytest.fixture(scope="module")
def empty() -> Iterator[Clone]:
    """An engine on which nothing was deployed yet."""
    with Engine() as engine:
        yield Clone(engine)


@pytest.fixture(scope="module")
def clone(empty: Clone) -> Iterator[Clone]:
    """The fleet, deployed without a root .env; nobody has to know an order of the tests but `empty`'s."""
    begun = time.monotonic()
    done = empty.deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\nbuilt and started in {time.monotonic() - begun:.0f} s\n{done.stdout}")
    yield empty
    empty.compose("down", "--volumes")


def test_a_first_deployment_that_fails_leaves_nothing_behind(empty: Clone) -> None:
    whole = empty.break_("market-simulator")
    done = empty.deploy()
    (empty.folder / "market-simulator" / "app.py").write_text(whole)
    assert done.returncode == 1
    assert re.match(
        r"market-simulator .*\. Undone: nothing of it runs, as before; the data stays\.$", done.stderr, re.M
    )
    assert "broken on purpose" in done.stderr
    assert empty.ids() == {}
    assert "trading-fleet/" not in empty.engine.run("docker", "images").stdout


def test_a_port_that_is_taken_is_named_before_anything_is_built(empty: Clone) -> None:
    stranger = empty.engine.hold_port(5020)
    try:
        empty.engine.run("sh", "-c", "until curl -s 127.0.0.1:5020 >/dev/null; do sleep 0.1; done")
        done = empty.deploy()
    finally:
        stranger.kill()
        stranger.wait()
    assert done.returncode == 1
    assert done.stderr.startswith("Taken by another program: port 5020 (database-service).")
    assert len(done.stderr.splitlines()) == 1
    assert "Building" not in done.stdout


def test_deploy_starts_every_service_and_prints_where_it_is(clone: Clone) -> None:
    done = clone.deploy()
    assert done.returncode == 0, done.stderr
    own = {service.name: f"http://127.0.0.1:{service.port}" for service in FLEET.services}
    assert dict(DEPLOYED.findall(done.stdout)) == own | {"redis": "127.0.0.1:6379", "timescaledb": "127.0.0.1:5432"}
    wait_until(lambda: clone.states() == dict.fromkeys(NAMES, "healthy"), 30, what="all have found their stores")
    assert clone.call("websocket-streaming", "/price/BTCUSDT")["data"]["venue"] == "simulator"


def test_a_second_deployment_of_the_same_touches_no_container(clone: Clone) -> None:
    before = clone.ids()
    assert clone.deploy().returncode == 0
    assert clone.ids() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_service_runs_unprivileged_on_a_read_only_disk_within_its_memory(clone: Clone, name: str) -> None:
    host = clone.inspect(name)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["Memory"] == FLEET.service(name).max_memory_mb * 1024 * 1024
    assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} == {"127.0.0.1"}
    assert clone.inside(name, "id -u; id -g").stdout.split() == ["10001", "10001"]
    for place in ("/app/x", "/venv/x", "/x", "/secrets/x"):
        assert clone.inside(name, f"touch {place}").returncode, place
    assert clone.inside(name, "touch /data/x && rm /data/x").returncode == 0
    status = clone.inside(name, "grep -E 'CapEff|NoNewPrivs' /proc/1/status").stdout.split()
    assert status == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_stores_answer_on_loopback_only(clone: Clone) -> None:
    for name in ("redis", "timescaledb"):
        ports = clone.inspect(name)["HostConfig"]["PortBindings"].values()
        assert {port["HostIp"] for bindings in ports for port in bindings} == {"127.0.0.1"}


def test_a_deployment_that_fails_brings_the_fleet_of_before_back(clone: Clone) -> None:
    saved = clone.call("database-service", "/signals/save", SIGNAL)
    assert saved["success"], saved
    before, images = clone.ids(), clone.engine.run("docker", "images", "-q", "trading-fleet/*").stdout
    whole = clone.break_("websocket-streaming")
    done = clone.deploy()
    (clone.folder / "websocket-streaming" / "app.py").write_text(whole)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith("Undone: the fleet runs as before.")
    after = clone.ids()
    assert {name for name in NAMES if after[name] == before[name]} == set(NAMES) - {"websocket-streaming"}
    assert clone.engine.run("docker", "images", "-q", "trading-fleet/*").stdout == images
    assert clone.call("websocket-streaming", "/price/BTCUSDT")["success"]
    assert clone.call("database-service", "/signals/history")["data"]["count"] >= 1


def test_the_door_leads_to_everything_and_opens_to_others_only_with_logins(clone: Clone) -> None:
    done = clone.deploy("--no-build", "--door")
    assert done.returncode == 0, done.stdout + done.stderr
    door = "http://127.0.0.1"
    assert json.loads(clone.engine.run("curl", "-sS", f"{door}/api/health").stdout)["success"]
    assert "<title>" in clone.engine.run("curl", "-sSL", door).stdout
    polled = clone.engine.run("curl", "-sS", f"{door}/socket.io/?EIO=4&transport=polling").stdout
    assert polled.startswith('0{"sid"')
    assert clone.compose("logs", "--no-log-prefix", "door").count('"path":"/socket.io/","status":200') == 1
    words = ["docker-compose", "--profile", "door", "up", "-d", "--no-build", "door"]
    clone.engine.run(*words, cwd=clone.folder, DOOR_HOST="0.0.0.0")
    wait_until(lambda: "set AUTH_REQUIRED=true" in clone.compose("logs", "door"), 20, what="the refusal")
    clone.compose("rm", "--stop", "--force", "door")


def test_each_service_ends_well_when_it_is_told_to(clone: Clone) -> None:
    clone.compose("stop", *NAMES)
    codes = {name: clone.inspect(name)["State"]["ExitCode"] for name in NAMES}
    clone.compose("up", "-d", "--no-build")
    assert codes == dict.fromkeys(NAMES, 0)


def test_the_images_are_small_and_carry_their_own_packages_only(clone: Clone) -> None:
    base = size(clone, re.findall(r"^FROM (\S+)$", (ROOT / "Dockerfile.template").read_text(), re.M)[-1])
    for name in NAMES:
        own = size(clone, f"trading-fleet/{name}:{FLEET.version}") - base
        print(f"\n{name}: {own:.0f} MB on top of its base image")
        assert own < 150
    assert clone.inside("websocket-streaming", "python -c 'import sqlalchemy'").returncode


def size(clone: Clone, image: str) -> float:
    return int(clone.engine.run("docker", "image", "inspect", "-f", "{{.Size}}", image).stdout) / 1e6


def test_no_secret_of_the_root_env_stands_in_an_image_or_a_container(clone: Clone) -> None:
    clone.compose("down", "--volumes")  # the first start decides the databases' password
    env = clone.folder / ".env"
    env.write_text("".join(f"{name}='{value}'\n" for name, value in SECRETS.items()))
    try:
        done = clone.deploy()
        assert done.returncode == 0, done.stdout + done.stderr
        looked = [done.stdout, clone.compose("logs"), clone.compose("config", "--no-interpolate")]
        for name in clone.compose("ps", "-a", "--services").split():
            looked.append(json.dumps(clone.inspect(name), ensure_ascii=False))
        for name in NAMES:
            image = f"trading-fleet/{name}:{FLEET.version}"
            looked += [clone.engine.run("docker", "history", "--no-trunc", image).stdout]
            looked += [clone.engine.run("docker", "image", "inspect", image).stdout]
            assert clone.inside(name, "cat /secrets/sentry_dsn").stdout == SECRETS["SENTRY_DSN"]
            files = clone.inside(name, f"grep -rl {FORM} /app /venv /data /tmp; find /app -name '.env*'").stdout
            assert files == ""
        assert not [text for text in looked if FORM in text]
        assert clone.inside("database-service", "cat /secrets/db_password").stdout == CANARY
        assert clone.call("database-service", "/signals/save", SIGNAL)["success"]
    finally:
        env.unlink()
