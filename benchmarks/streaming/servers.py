"""The servers that are measured: ours, Node's socket.io as its documentation writes it, and the C sender."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.streaming.rig import Exchange
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

PEERS = Path(__file__).parent.parent / "peers" / "streaming"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    pid: int
    port: int

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used, all threads, to the microsecond (Linux: the process's own CPU clock)."""
        return time.clock_gettime((~self.pid << 3) | 2)


@contextlib.contextmanager
def ours(exchange: Exchange, **env: str) -> Iterator[Running]:
    """websocket-streaming, as it is started by users, with this exchange in Binance's place."""
    settings = {
        "MARKET": "binance", "BINANCE_REST_URL": exchange.rest_url, "BINANCE_WS_URL": exchange.ws_url,
        "RATE_LIMIT_ENABLED": "false", "LOG_LEVEL": "WARNING", **env,
    }  # fmt: skip
    with ServiceProcess("websocket-streaming", settings) as service:
        wait_until(lambda: exchange.listeners, what="the service at the exchange")
        yield Running(service.pid, service.port)


@contextlib.contextmanager
def node(exchange: Exchange) -> Iterator[Running]:
    """Node's socket.io."""
    with _process(["node", str(PEERS / "socketio.js"), str(exchange.port)]) as running:
        yield running


@contextlib.contextmanager
def c_sender(exchange: Exchange, program: Path, clients: int, how: str) -> Iterator[Running]:
    """The C sender. It reads upstream from when the last client has come."""
    try:
        with _process([str(program), str(exchange.raw_port), str(clients), how]) as running:
            yield running
    finally:
        exchange.forget_raw()


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[Running]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Running(process.pid, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


def node_is_there() -> bool:
    """Whether the pinned socket.io is installed, installing it at first; says so when it can't be."""
    if (PEERS / "node_modules" / "socket.io").exists():
        return True
    npm = shutil.which("npm")
    done = npm and subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=PEERS, capture_output=True, check=False)
    if done and not done.returncode:
        return True
    sys.stderr.write("npm can't install socket.io: the rows beside Node are left out\n")
    return False


def build_c(folder: Path) -> Path | None:
    """The C sender, compiled; None, said so, without a compiler."""
    program = folder / "fanout"
    compiler = shutil.which("gcc")
    if compiler and not subprocess.run([compiler, "-O2", "-o", program, PEERS / "fanout.c"], check=False).returncode:
        return program
    sys.stderr.write("no gcc: the rows beside C are left out\n")
    return None
