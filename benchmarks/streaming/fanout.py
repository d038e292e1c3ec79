"""From the exchange's frame to many clients: sustained rate, messages per CPU-second, latency, memory."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Row
from benchmarks.services import rss_mb
from benchmarks.streaming.rig import Crowd, Exchange
from benchmarks.streaming.servers import Running, build_c, c_sender, node, node_is_there, ours

FEW = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT"]
MANY = [f"S{number}USDT" for number in range(100)]
EACH = 5  # of MANY
WARM_RATE, WARM_S = 50.0, 1.0
STEP, STEP_S, DRAIN_S = 1.4, 2.0, 0.5
LATE_S = 0.5  # a server whose p99 is over this has fallen behind
LADDER = {("ours", 200): 2000.0, ("node", 200): 150.0, ("ours", 1000): 500.0, ("node", 1000): 25.0}
HIGHEST = 50_000.0  # what the rig itself can send and read
HELD = 1000
MUST = {200: 10, 1000: 20}  # times Node's sustained rate, by the number of clients

Start = Callable[[Exchange, int], AbstractContextManager[Running]]


@dataclass(slots=True)
class Figures:
    """Of one server, by what was measured; a value a round."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, value: float) -> None:
        """Remember."""
        self.values.setdefault(what, []).append(value)

    def median(self, what: str) -> float | None:
        """Over the rounds; None when it wasn't measured."""
        return statistics.median(self.values[what]) if what in self.values else None


class Bench:
    """Measures all servers in turn, round by round."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.figures: dict[str, Figures] = {}

    def run(self) -> list[Row]:
        """All rows."""
        with tempfile.TemporaryDirectory() as folder:
            servers = all_servers(build_c(Path(folder)))
            self.figures = {name: Figures() for name in servers}
            for number in range(self._rounds):
                for measure in (self._alone, self._idle, self._sustained, self._late, self._spread, self._memory):
                    for name, start in servers.items():
                        _say(f"round {number + 1}/{self._rounds}, {measure.__name__[1:]}, {name}")
                        measure(name, start)
        return self._rows()

    def _alone(self, name: str, start: Start) -> None:
        """200 clients, updates so far apart that each goes out by itself."""
        with self.crowd(name, start, 200, FEW) as (server, crowd):
            figures = run_at(server, crowd, 100, 4.0)
            self.figures[name].note("alone", figures.per_cpu_s)

    def _idle(self, name: str, start: Start) -> None:
        """10 clients at 200 updates a second."""
        if name != "C":
            with self.crowd(name, start, 10, FEW) as (server, crowd):
                self.figures[name].note("idle", run_at(server, crowd, 200, 3.0).percentile(50))

    def _sustained(self, name: str, start: Start) -> None:
        """The highest rate at which all clients get all updates in time."""
        if name == "C":
            return
        for clients in (200, 1000):
            with self.crowd(name, start, clients, FEW) as (server, crowd):
                rate, best, tries = LADDER[name, clients], None, 0
                while rate < HIGHEST and tries < 2:  # a second try, since other work may have had the processor
                    figures = run_at(server, crowd, rate, STEP_S)
                    if figures.complete and figures.percentile(99) < LATE_S:
                        best, rate, tries = figures, rate * STEP, 0
                    else:
                        tries += 1
                        _settle(crowd)
                if best is not None:
                    self.figures[name].note(f"sustained {clients}", best.rate)
                    self.figures[name].note(f"per CPU-s {clients}", best.per_cpu_s)

    def _late(self, name: str, start: Start) -> None:
        """Ours alone, at the multiple of Node's sustained rate that it must reach."""
        for clients, multiple in MUST.items():
            node_ = self.figures["node"].median(f"sustained {clients}") if "node" in self.figures else None
            if name == "ours" and node_ is not None:
                with self.crowd(name, start, clients, FEW) as (server, crowd):
                    figures = run_at(server, crowd, multiple * node_, STEP_S)
                    self.figures[name].note(f"p50 {clients}", figures.percentile(50))
                    self.figures[name].note(f"p99 {clients}", figures.percentile(99))

    def _spread(self, name: str, start: Start) -> None:
        """1,000 clients, each with 5 of 100 symbols."""
        if name != "C":
            with self.crowd(name, start, 1000, MANY) as (server, crowd):
                crowd.expects(EACH / len(MANY))
                self.figures[name].note("spread", run_at(server, crowd, 5000, 4.0).per_cpu_s)

    def _memory(self, name: str, start: Start) -> None:
        """Connections that are subscribed and get a little."""
        if name == "C":
            return
        with (
            Exchange(FEW) as exchange,
            start(exchange, 0) as server,
            Crowd(exchange, server.port, 20, lambda _: FEW) as first,
        ):
            first.run(WARM_RATE, WARM_S)
            before = rss_mb(server.pid)
            with Crowd(exchange, server.port, HELD, lambda _: FEW) as crowd:
                crowd.run(WARM_RATE, WARM_S)
                self.figures[name].note("memory", (rss_mb(server.pid) - before) * 1024 / HELD)

    @contextmanager
    def crowd(self, name: str, start: Start, clients: int, symbols: list[str]) -> Iterator[tuple[Running, Crowd]]:
        """A server with its clients, who have had a few updates."""
        def subscribed(number: int) -> list[str]:
            return symbols if symbols is FEW else [MANY[(number * 7 + n * 13) % len(MANY)] for n in range(EACH)]

        with (
            Exchange(symbols) as exchange,
            start(exchange, clients) as server,
            Crowd(exchange, server.port, clients, None if name == "C" else subscribed) as crowd,
        ):
            exchange.wait_for_listener()
            crowd.run(WARM_RATE, WARM_S)
            yield server, crowd

    def _rows(self) -> list[Row]:
        ours_ = self.figures["ours"]
        rows = []
        for what, key, unit, must, aim in (
            ("200 clients, same symbols: sustained", "sustained 200", "updates/s", 10, 15),
            ("1,000 clients, same symbols: sustained", "sustained 1000", "updates/s", 20, 40),
            ("1,000 clients, 5 of 100 symbols each: messages", "spread", "k per CPU-s", 3, 5),
            ("200 clients, no joining: messages", "alone", "k per CPU-s", 1.2, 1.5),
        ):
            if (figure := ours_.median(key)) is not None:
                rows.append(Row(what, figure, unit, self._beside(key, figure, must, aim)))
                rows += [
                    Row(f"… {name}", peer, unit, "")
                    for name, found in self.figures.items()
                    if name != "ours" and (peer := found.median(key)) is not None
                ]
        for clients, multiple in MUST.items():
            p50, p99 = (ours_.median(f"{which} {clients}") for which in ("p50", "p99"))
            if p50 is not None and p99 is not None:
                bound = "≤ 50 ms, aim 25" if clients == 1000 else ""
                what = f"{clients:,} clients at {multiple} × Node's sustained rate"
                rows.append(Row(f"{what}: p50", p50 * 1000, "ms", ""))
                rows.append(Row(f"{what}: p99", p99 * 1000, "ms", bound))
            for name, found in self.figures.items():
                if (figure := found.median(f"per CPU-s {clients}")) is not None:
                    rows.append(Row(f"{clients:,} clients, sustained: messages, {name}", figure, "k per CPU-s", ""))
        for what, key, unit_, scale in (
            ("idle: exchange → client at 200 updates/s, 10 clients, p50", "idle", "ms", 1000.0),
            ("memory a connection", "memory", "KB", 1.0),
        ):
            aims = {"idle": "≤ Node + 1 ms; aim: below Node", "memory": "≤ 60 KB; aim: Node's"}
            for name, found in self.figures.items():
                if (value := found.median(key)) is not None:
                    own = name == "ours"
                    rows.append(Row(what if own else f"… {name}", value * scale, unit_, aims[key] if own else ""))
        return rows

    def _beside(self, key: str, figure: float, must: float, aim: float) -> str:
        node_, c = (self.figures[name].median(key) if name in self.figures else None for name in ("node", "C"))
        said = f"≥ {must:g} × Node, aim {aim:g} ×"
        if node_:
            said += f": {figure / node_:.1f} ×, {'met' if figure >= must * node_ else 'missed'}"
        if c:
            said += f"; {figure / c:.0%} of C (≥ 80 %)"
        return said


@dataclass(frozen=True, slots=True)
class Measured:
    """One run at one rate."""

    rate: float
    complete: bool
    per_cpu_s: float  # thousands of messages
    latencies: list[float]  # seconds, sorted

    def percentile(self, percent: float) -> float:
        """A latency in seconds."""
        if not self.latencies:
            return float("inf")
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


def run_at(server: Running, crowd: Crowd, rate: float, seconds: float) -> Measured:
    """Send at that rate for so long, and read."""
    crowd.reset()
    used = server.cpu_s
    crowd.run(rate, seconds, DRAIN_S)
    used = server.cpu_s - used
    return Measured(rate, crowd.is_complete, crowd.messages / max(used, 0.001) / 1000, sorted(crowd.latencies))


def _settle(crowd: Crowd) -> None:
    """Read until the server has sent what it is behind with, for 15 s at most."""
    end = time.monotonic() + 15
    while crowd.read(0.5) and time.monotonic() < end:
        pass


def all_servers(c_program: Path | None) -> dict[str, Start]:
    """By name, how each is started."""
    servers: dict[str, Start] = {"ours": lambda exchange, _: ours(exchange, DEFAULT_SYMBOLS=",".join(exchange.symbols))}
    if node_is_there():
        servers["node"] = lambda exchange, _: node(exchange)
    if c_program is not None:
        servers["C"] = lambda exchange, clients: c_sender(exchange, c_program, clients, "single")
    return servers


def _say(what: str) -> None:
    sys.stderr.write(f"  {what}\n")
    sys.stderr.flush()


def measure(rounds: int) -> list[Row]:
    """The rows of this file."""
    return Bench(rounds).run()
