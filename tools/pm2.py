"""PM2 from node_modules, in the user's own PM2_HOME, and the apps that ecosystem.config.js describes."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.steps import ROOT, Failed, asked, output

PROGRAM = str(ROOT / "node_modules" / ".bin" / "pm2")
# PM2 means to restart an app that is stopped before it was ready, in 0.1 s and then later and later; only a second
# call within that time ends it. `pm2 stop` and then `pm2 delete` are too slow on a busy machine: one program does both.
STOP_AND_DELETE = """
const pm2 = require('pm2')
const call = (name, id) => new Promise((resolve) => pm2.Client.executeRemote(name, id, resolve))
pm2.connect(async (error) => {
  if (error) { console.error(error.message); process.exit(1) }
  await Promise.all(process.argv.slice(1).map(async (id) => {
    await call('stopProcessId', Number(id))
    await call('deleteProcessId', Number(id)) // an error: it is gone already; whoever asked looks again
  }))
  process.exit(0)
})
"""


@dataclass(frozen=True)
class App:
    """One service as ecosystem.config.js wants it."""

    name: str
    folder: Path
    port: int
    var_dir: Path
    logs: tuple[Path, Path]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Wanted:
    """What ecosystem.config.js says: apps in its order, how far their ports are moved, the page for a browser."""

    apps: list[App]
    port_offset: int
    page: str


@dataclass(frozen=True)
class Running:
    """One app as PM2 has it."""

    id: int
    name: str
    folder: Path
    status: str
    restarts: int
    started_s: float = 0.0  # since 1970
    port: int = 0  # 0: an app that is told none

    @property
    def ours(self) -> bool:
        """Does it belong to this clone?"""
        return ROOT in self.folder.parents


def environment() -> dict[str, str]:
    """For calls of PM2 and of the ecosystem file."""
    env = {**os.environ, "PM2_NO_INTERACTION": "true", "PM2_CONCURRENT_ACTIONS": "8", "FLEET_CHECKED": "true"}
    env.setdefault("FLEET_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
    return env


def home() -> Path:
    """PM2's folder: its process list and sockets."""
    return Path(os.environ.get("PM2_HOME") or Path.home() / ".pm2")


def wanted() -> Wanted:
    """What ecosystem.config.js wants in this shell. Raises Failed with what it says of a wrong setting."""
    script = "process.stdout.write(JSON.stringify(require('./ecosystem.config.js')))"
    done = asked(["node", "-e", script], environment())
    if done.returncode:
        raise Failed(done.stderr.strip() or "ecosystem.config.js can't be read; `node ecosystem.config.js` says why.")
    found = json.loads(done.stdout)
    return Wanted([_wanted(app) for app in found["apps"]], found["portOffset"], found["page"])


def _wanted(app: dict[str, Any]) -> App:
    logs = (Path(app["out_file"]), Path(app["error_file"]))
    return App(app["name"], Path(app["cwd"]), int(app["env"]["PORT"]), Path(app["env"]["VAR_DIR"]), logs)


def daemon_runs() -> bool:
    """Is a PM2 daemon there? Asking PM2 itself would start one."""
    try:
        os.kill(int((home() / "pm2.pid").read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def running() -> list[Running]:
    """All that PM2 has in its list, of any project."""
    if not daemon_runs():
        return []
    return [_running(app) for app in _json_line(output([PROGRAM, "jlist"], environment()))]


def _running(app: dict[str, Any]) -> Running:
    state = app["pm2_env"]
    folder, started_s = Path(state["pm_cwd"]).resolve(), state.get("pm_uptime", 0) / 1000
    port = str(state.get("PORT", ""))
    return Running(
        app["pm_id"], app["name"], folder, state["status"], state["restart_time"], started_s,
        int(port) if port.isdecimal() else 0,
    )  # fmt: skip


def _json_line(text: str) -> list[dict[str, Any]]:
    for line in reversed(text.splitlines()):  # PM2 prints warnings before it
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, list):
            return found
    raise Failed("PM2 gave no list of its apps.", text)


def start(names: Sequence[str]) -> "subprocess.Popen[str]":
    """Begin to start these apps; PM2_HOME is made private if it doesn't exist yet."""
    if not home().exists():
        home().mkdir(parents=True, mode=0o700)
    command = [PROGRAM, "start", "ecosystem.config.js", "--only", ",".join(names)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def delete(ids: Sequence[int]) -> None:
    """Stop these apps, gracefully, and take them off the list."""
    done = subprocess.run(
        ["node", "-e", STOP_AND_DELETE, *map(str, ids)], cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failed("PM2 could not stop the fleet.", done.stderr)


def kill_daemon() -> None:
    """End the daemon itself."""
    output([PROGRAM, "kill"], environment())
