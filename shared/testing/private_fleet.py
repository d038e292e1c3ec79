"""The fleet as users run it, under PM2 and make, with a PM2, ports and files of its own."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.fleet import ROOT, read_fleet
from shared.testing.net import port_taken
from shared.testing.process import KEPT

PM2 = ROOT / "node_modules" / ".bin" / "pm2"


class PrivateFleet:
    """Nothing runs until `pm2("start", …)` or `run("make", "up")`; leaving it ends its PM2 and removes its files."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fleet-"))  # short: PM2's sockets live below it
        self.var_dir = self.folder / "var"
        self.offset = _free_offset()
        self.env = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "PM2_HOME": str(self.folder / "pm2"),
            "VAR_DIR": str(self.var_dir),
            "FLEET_PORT_OFFSET": str(self.offset),
            "FLEET_PYTHON": sys.executable,
            "ENV_FILES": "false",
            "MARKET": "simulator",
            "REDIS_ENABLED": "false",
            "LOG_FORMAT": "json",
            **settings,
        }

    def run(self, *command: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command at the root with the fleet's environment; its exit code is the caller's to check."""
        return subprocess.run(
            command, cwd=ROOT, env=self.env | settings, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def pm2(self, *words: str, **settings: str) -> str:
        """What PM2 answers; raises CalledProcessError when it fails."""
        done = self.run(str(PM2), *words, **settings)
        done.check_returncode()
        return done.stdout

    def apps(self) -> dict[str, dict[str, Any]]:
        """PM2's list by name."""
        last = self.pm2("jlist").strip().splitlines()[-1]
        return {app["name"]: app for app in json.loads(last)}

    def port(self, service: str) -> int:
        return read_fleet().service(service).port + self.offset

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.port(service)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            for log in sorted((self.var_dir / "logs").glob("*.log")):
                print(f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-3000:]}", file=sys.stderr)
        if (self.folder / "pm2" / "pm2.pid").exists():
            self.run(str(PM2), "kill")
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_offset() -> int:
    ports = [service.port for service in read_fleet().services]
    for _ in range(100):
        offset = random.randrange(10_000, 27_000)  # below 32,768, where any program's outgoing connection may sit
        if not any(port_taken(port + offset) for port in ports):
            return offset
    raise RuntimeError("no free ports for a private fleet")
