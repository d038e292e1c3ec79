"""A real Docker engine for one test run, with network, folders and socket of its own; the machine's stay as they are.

It has no way out, so it pulls nothing: the images that the Dockerfiles and compose ask for are stand-ins, and pip
inside a build finds the packages on a small server beside the engine.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from shared.fleet import ROOT
from shared.testing.net import wait_until
from tests.containers import stand_ins

BRIDGE = "172.17.0.1"  # where the engine's own network reaches its host
PORT = 8099
START_S = 30
PROGRAMS = ("dockerd", "docker", "containerd", "runc", "debootstrap", "unshare", "nsenter", "ip", "curl")


def why_not() -> str:
    """What keeps an engine from running here; "" for nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "an engine of the test's own needs Linux and root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return (
        ""
        if (Path(sys.prefix) / "bin" / "docker-compose").exists()
        else "docker-compose has no binary for this machine"
    )


def _path() -> str:
    return f"{sys.prefix}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"


class Engine:
    """Use with `with`. `run` runs a program where the engine's ports are; leaving it ends and removes everything."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.env = {"PATH": _path(), "HOME": str(self.folder), "PYTHON": sys.executable, "LANG": "C.UTF-8"}
        # Without buildx the engine's classic builder builds, and what it builds at a time, its cache mixes up.
        self.env["COMPOSE_PARALLEL_LIMIT"] = "1"
        self.env["DOCKER_HOST"] = f"unix://{self.folder}/docker.sock"

    def __enter__(self) -> Self:
        try:
            self._start()
            self._make_images()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        places = f"--data-root={self.folder}/data --exec-root={self.folder}/exec --pidfile={self.folder}/pid"
        network = "--iptables=false --ip6tables=false --ip-forward=false --ip-masq=false"
        daemon = f"ip link set lo up && exec dockerd {places} {network} -H {self.env['DOCKER_HOST']}"
        with (self.folder / "log").open("wb") as log:
            command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", daemon]
            self._processes.append(subprocess.Popen(command, env=self.env, stdout=log, stderr=log))
        ready = ["docker", "info"]
        wait_until(
            lambda: self.run(*ready, check=False).returncode == 0, START_S, what=f"dockerd, see {self.folder}/log"
        )

    def _make_images(self) -> None:
        serve = [sys.executable, "-m", "http.server", str(PORT), "--bind", BRIDGE, "-d", str(stand_ins.wheels())]
        with (self.folder / "wheels.log").open("wb") as log:
            self._processes.append(subprocess.Popen(self._inside(serve), env=self.env, stdout=log, stderr=log))
        python = next(
            line.split()[1]
            for line in (ROOT / "Dockerfile.template").read_text().splitlines()
            if line.startswith("FROM")
        )
        services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        settings = [f"ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=http://{BRIDGE}:{PORT}/ PIP_TRUSTED_HOST={BRIDGE}"]
        self._import(stand_ins.python_image(), python, *settings, 'CMD ["python"]')
        for name in ("redis", "door"):
            self._import(stand_ins.servers_image(), services[name]["image"], "WORKDIR /data")
        path = "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/lib/postgresql/15/bin"
        database = services["timescaledb"]["image"]
        self._import(
            stand_ins.servers_image(), database, path, 'ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["postgres"]'
        )

    def _import(self, tar: Path, name: str, *changes: str) -> None:
        words = [word for change in changes for word in ("-c", change)]
        self.run("docker", "import", *words, str(tar), name)

    def _inside(self, command: list[str]) -> list[str]:
        return ["nsenter", "-t", str(self._processes[0].pid), "-n", *command]

    def run(
        self, *command: str, cwd: Path = ROOT, check: bool = True, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in the engine's network, up to ten minutes. With `check`, CalledProcessError when it fails."""
        return subprocess.run(
            self._inside(list(command)), cwd=cwd, env=self.env | env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=600, check=check,
        )  # fmt: skip

    def hold_port(self, port: int) -> "subprocess.Popen[bytes]":
        """A stranger that listens on a port of the engine's machine until it is killed."""
        held = subprocess.Popen(self._inside([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]))
        self._processes.append(held)
        return held

    def close(self) -> None:
        """End the engine, its containers and helpers, and remove its files."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
