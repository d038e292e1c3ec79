"""What is measured, each started as its users start it: our service, and the peers of benchmarks/peers.

The peers' packages are installed once, at the versions pinned there: Node's beside their package.json, Python's in an
environment of their own under var/bench. A peer that can't be installed is left out, and its lines say so.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.load import drive, save_request
from benchmarks.peers_python import KEPT, python_with
from benchmarks.report import say
from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess

PEERS = Path(__file__).parent.parent / "peers"
OURS = {"RATE_LIMIT_ENABLED": "false", "ACCESS_LOG": "false"}
Start = Callable[[], AbstractContextManager[int]]


def ours(**env: str) -> ServiceProcess:
    """Our service: limits and access log off, keys and audit chain on as always. SQLite unless DATABASE_URL is given.

    It runs in the environment of the measuring program, which has pyarrow.
    """
    return ServiceProcess("database-service", OURS | env)


@contextlib.contextmanager
def our_port(**env: str) -> Iterator[int]:
    """The same, as the port that it listens on."""
    with ours(**env) as service:
        yield service.port


def python_peer(file: str, url: str) -> Start | None:
    """A Python server of benchmarks/peers on this database; None if its packages can't be installed."""
    python = python_with(PEERS / "requirements.txt")
    return (lambda: _running([str(python), str(PEERS / file), "{port}", url])) if python else None


def node_peer(file: str, url: str) -> Start | None:
    """A Node server of benchmarks/peers on this database; None without Node, npm or its packages."""
    return (lambda: _running(["node", str(PEERS / file), "{port}", url])) if _node_packages() else None


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[int]:
    port = free_port()
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{Path(command[1]).stem}.log").open("wb") as log:
        words = [part.format(port=port) for part in command]
        process = subprocess.Popen(words, cwd=PEERS, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _saves(port), 20, what=command[1])
        if process.poll() is not None:
            raise RuntimeError(f"{command[1]} ended with {process.returncode}; its log is in {KEPT}")
        yield port
    finally:
        process.kill()
        process.wait()


def _saves(port: int) -> bool:
    with contextlib.suppress(OSError):
        return drive(port, lambda number: save_request(port, number), 1, 0.01).statuses[200] > 0
    return False


def _node_packages() -> bool:
    """Those of benchmarks/peers/package-lock.json, installed unless they are."""
    held, wanted = PEERS / "node_modules" / ".package-lock.json", PEERS / "package-lock.json"
    if held.exists() and held.stat().st_mtime >= wanted.stat().st_mtime:
        return True
    if shutil.which("npm") is None:
        say("Node peers are left out: there is no npm")
        return False
    say("installing the Node peers …")
    return _done(["npm", "ci", "--no-audit", "--no-fund"], "Node peers are left out: npm could not install them")


def _done(command: list[str], otherwise: str) -> bool:
    done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"{otherwise}:\n{(done.stderr or done.stdout).strip()[-500:]}")
    return done.returncode == 0
