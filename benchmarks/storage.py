"""Saving signals, each answered after its commit, beside peers in the same run: `python -m benchmarks.storage`.

Interleaved rounds, one server at a time. Limits and access log off, audit chain and keys on. A peer that can't be
installed is left out, visibly. The client takes a part of the machine, from all alike.
"""

import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.load import Result, drive, save_request
from benchmarks.report import Row, show
from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import PostgresServer

ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = (64, 256)  # the usual stack gets 64 alone: with 256 it only waits for its pool
PEERS = Path(__file__).parent / "peers"
OURS = {"RATE_LIMIT_ENABLED": "false", "ACCESS_LOG": "false"}
Start = Callable[[], AbstractContextManager[int]]


def measure() -> list[Row]:
    """One row a server and number of connections: answers of 200 a second, the median of the rounds."""
    with PostgresServer() as postgres, tempfile.TemporaryDirectory() as folder:
        servers = _servers(postgres, Path(folder))
        rates: dict[tuple[str, int], list[Result]] = {}
        for _ in range(ROUNDS):
            for name, start in servers.items():
                with start() as port:
                    for connections in CONNECTIONS if "Flask" not in name else CONNECTIONS[:1]:
                        rates.setdefault((name, connections), []).append(_run(port, connections))
    return [row for (name, connections), results in rates.items() for row in _rows(name, connections, results, rates)]


def _servers(postgres: PostgresServer, folder: Path) -> dict[str, Start]:
    url = postgres.create_database()
    usual = [sys.executable, str(PEERS / "flask_sqlalchemy.py")]
    servers: dict[str, Start] = {
        "ours, SQLite": lambda: _ours({}),
        "Flask + SQLAlchemy, SQLite": lambda: _peer([*usual, "{port}", f"sqlite:///{folder}/peer.sqlite3"]),
        "ours, PostgreSQL": lambda: _ours({"DATABASE_URL": url}),
        "Flask + SQLAlchemy, PostgreSQL": lambda: _peer([*usual, "{port}", postgres.create_database()]),
    }
    script = _install_fastify(folder)
    if script is not None:
        servers["Fastify + pg"] = lambda: _peer(["node", str(script), "{port}", url])
    return servers


def _install_fastify(folder: Path) -> Path | None:
    target = folder / "fastify"
    shutil.copytree(PEERS / "fastify", target)
    done = subprocess.run(["npm", "install", "--silent", "--no-audit"], cwd=target, capture_output=True, check=False)
    if done.returncode:
        sys.stderr.write("Fastify + pg is left out: npm could not install it\n")
        return None
    return target / "server.js"


@contextlib.contextmanager
def _ours(env: dict[str, str]) -> Iterator[int]:
    with ServiceProcess("database-service", OURS | env) as service:
        yield service.port


@contextlib.contextmanager
def _peer(command: list[str]) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([part.format(port=port) for part in command])
    try:
        wait_until(lambda: _answers(port), 20, what=command[1])
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return drive(port, lambda n: save_request(port, n), 1, 0.01).statuses[200] > 0
    return False


def _run(port: int, connections: int) -> Result:
    return drive(port, lambda n: save_request(port, n), connections, SECONDS)


def _rows(
    name: str, connections: int, results: list[Result], rates: dict[tuple[str, int], list[Result]]
) -> list[Row]:
    rate = statistics.median(result.per_second for result in results)
    aims = []
    if name.startswith("ours"):
        for (peer, count), others in rates.items():
            if count in {connections, 64 if "Flask" in peer else connections} and not peer.startswith("ours"):
                ratio = rate / statistics.median(result.per_second for result in others)
                aims.append(f"{ratio:.1f} × {peer}")
    p99 = statistics.median(result.percentile(99) for result in results) * 1000
    return [Row(f"save, {name}, {connections} connections (p99 {p99:.0f} ms)", rate, "/s", "; ".join(aims) or "peer")]


if __name__ == "__main__":
    show(measure())
