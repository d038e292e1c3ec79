"""The simulator's wire beside Node: `python -m benchmarks simulator_wire`.

Both servers run in the same minutes, in turn, and send the same frames or bytes; what is compared is the processor time
that each needed (Linux: /proc). Ours makes the market as well, Node sends what is ready. The peers are installed on
first use (benchmarks/peers); without npm their rows are left out, and a line says so.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import requests
import websocket

from benchmarks.report import Row
from benchmarks.services import rss_mb
from benchmarks.wire_clients import Listeners, cpu_seconds, fetch
from shared.testing.fakes import FakeClock
from shared.testing.process import ServiceProcess

sys.path.insert(0, str(Path(__file__).parent.parent / "market-simulator"))  # its folder is no package

# the path comes first
from market_simulator.market import SymbolMarket
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.sim_clock import SimClock
from market_simulator.symbols import GENERATED
from market_simulator.wire.hub import TICK_S, Form, Hub
from market_simulator.wire.streams import parse_stream

PEERS = Path(__file__).parent / "peers"
ROUNDS, MEASURED_S, SETTLED_S = 3, 5.0, 1.0
SOCKETS = 100
HELD = 1000
TICK_MS = 10
STREAMS = "/stream?streams=" + "/".join(
    f"{symbol}@{kind}" for symbol in ("btcusdt", "ethusdt") for kind in ("bookTicker", "trade", "depth@100ms")
)
PATHS = {
    "depth": "/api/v3/depth?symbol=BTCUSDT&limit=100",
    "klines": "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=500",
}
CALLS = 600
GENERATED_SYMBOLS, GENERATED_S = 300, 10


def measure() -> list[Row]:
    """All rows of this file."""
    _raise_file_limit()
    has_peers = _install_peers()
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as simulator:
        rows = _sockets(simulator, has_peers) + _rest(simulator, has_peers) + _held(simulator)
    return rows + _many_symbols()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


def _install_peers() -> bool:
    if (PEERS / "node_modules" / "ws").exists() and (PEERS / "node_modules" / "fastify").exists():
        return True
    npm = shutil.which("npm")
    done = npm and subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=PEERS, capture_output=True, check=False)
    if not done or done.returncode:
        sys.stderr.write("(no npm or no registry: rows beside Node are left out) ")
        return False
    return True


@contextmanager
def _peer(kind: str, data: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A Node server and its port."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(data, file)
        file.flush()
        process = subprocess.Popen(
            ["node", "servers.js", kind, file.name], cwd=PEERS, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()
            process.wait()


def _recorded_ticks(url: str) -> list[list[str]]:
    """What one socket gets in MEASURED_S, by ticks of 10 ms, each frame in the one it came in."""
    ticks: list[list[str]] = [[] for _ in range(int(MEASURED_S * 1000 / TICK_MS))]
    ws = websocket.create_connection(url, timeout=10)
    begun = time.monotonic()
    while (tick := int((time.monotonic() - begun) * 1000 / TICK_MS)) < len(ticks):
        ticks[tick].append(str(ws.recv()))
    ws.close()
    return ticks


def _sockets(simulator: ServiceProcess, has_peers: bool) -> list[Row]:
    url = simulator.ws_url + STREAMS
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_frames_per_cpu(simulator.pid, url, lambda: _frames_sent(simulator)))
        if has_peers:
            with _peer("ws", {"ticks": _recorded_ticks(url), "tick_ms": TICK_MS}) as (node, port):
                theirs.append(_frames_per_cpu(node.pid, f"ws://127.0.0.1:{port}/", lambda: _node_sent(node)))
    what = f"simulator: frames sent per CPU-second, {SOCKETS} sockets"
    return _beside(what, "Node ws", "k", ours, theirs, "≥ 0.8 ×")


def _frames_sent(simulator: ServiceProcess) -> int:
    return int(requests.get(simulator.base_url + "/stats", timeout=10).json()["data"]["frames_sent"])


def _node_sent(node: "subprocess.Popen[str]") -> int:
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write("?\n")
    node.stdin.flush()
    return int(node.stdout.readline())


def _frames_per_cpu(pid: int, url: str, sent: Callable[[], int]) -> float:
    """Thousands of frames for each second of processor time."""
    listeners = Listeners(url, SOCKETS)
    try:
        time.sleep(SETTLED_S)
        frames, cpu = sent(), cpu_seconds(pid)
        time.sleep(MEASURED_S)
        return (sent() - frames) / (cpu_seconds(pid) - cpu) / 1000
    finally:
        listeners.close()


def _rest(simulator: ServiceProcess, has_peers: bool) -> list[Row]:
    port = int(simulator.base_url.rpartition(":")[2])
    rows: list[Row] = []
    for name, path in PATHS.items():
        body = fetch(port, path, 1).decode()
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(_calls_per_cpu(simulator.pid, port, path))
            if has_peers:
                with _peer("fastify", {path.partition("?")[0]: body}) as (node, peer_port):
                    fetch(peer_port, path, CALLS)  # Node compiles what runs often
                    theirs.append(_calls_per_cpu(node.pid, peer_port, path))
        what = f"simulator: REST {name} ({len(body) / 1000:.0f} kB) per CPU-second"
        rows += _beside(what, "Fastify, ready bytes", "", ours, theirs, "≥ 0.5 ×")
    return rows


def _calls_per_cpu(pid: int, port: int, path: str) -> float:
    cpu = cpu_seconds(pid)
    fetch(port, path, CALLS)
    return CALLS / max(cpu_seconds(pid) - cpu, 0.01)


def _beside(what: str, peer: str, unit: str, ours: list[float], theirs: list[float], aim: str) -> list[Row]:
    rows = [Row(what, statistics.median(ours), f"{unit} ({min(ours):.3g}…{max(ours):.3g})", "")]
    if theirs:
        rows.append(Row(f"the same by {peer}", statistics.median(theirs), unit, ""))
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        rows.append(Row("ratio", ratio, "×", aim))
    return rows


def _held(simulator: ServiceProcess) -> list[Row]:
    before = rss_mb(simulator.pid)
    listeners = Listeners(simulator.ws_url + "/ws/btcusdt@trade", HELD)
    try:
        time.sleep(SETTLED_S)
        cpu = cpu_seconds(simulator.pid)
        time.sleep(MEASURED_S)
        share = (cpu_seconds(simulator.pid) - cpu) / MEASURED_S * 100
        return [
            Row("simulator: connections held, each with btcusdt@trade", HELD - listeners.closed, "", f"{HELD}"),
            Row("with them: processor", share, "% of a core", ""),
            Row("with them: memory more", rss_mb(simulator.pid) - before, "MB", ""),
        ]
    finally:
        listeners.close()


def _many_symbols() -> list[Row]:
    """The hub alone, in this process: 300 generated symbols and one listener to all."""
    markets: dict[str, SymbolMarket] = {}
    for number in range(GENERATED_SYMBOLS):
        info, profile = GENERATED[number % len(GENERATED)]
        named = replace(info, symbol=f"S{number}{info.quote}", base=f"S{number}")
        markets[named.symbol] = GeneratedMarket(named, profile, 1)
    clock, sink = FakeClock(datetime(2026, 5, 1, 12, tzinfo=UTC)), _Sink()
    hub = Hub(markets, SimClock(clock))
    for symbol in markets:
        for kind in ("ticker", "trade", "depth@100ms"):
            name = f"{symbol.lower()}@{kind}"
            hub.add(sink, parse_stream(name), Form(name, True, 1))
    hub.tick()
    used, frames = time.process_time(), sink.frames
    for _ in range(int(GENERATED_S / TICK_S)):
        clock.advance(TICK_S)
        hub.tick()
    used = time.process_time() - used
    what = f"simulator: {GENERATED_SYMBOLS} symbols × ticker + trade + depth@100ms"
    return [
        Row(what, used / GENERATED_S, "CPU-seconds a second", "< 1"),
        Row("frames of theirs", (sink.frames - frames) / GENERATED_S, "a second", ""),
    ]


class _Sink:
    """A listener that only counts."""

    frames = 0

    def send_data(self, frame: bytes) -> None:  # noqa: ARG002  # what a receiver takes
        self.frames += 1
