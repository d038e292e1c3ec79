"""Saving, each answered after its commit: SQLite and PostgreSQL, beside the usual stacks and pgbench's own rate."""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from math import isnan
from pathlib import Path

from benchmarks.report import say
from benchmarks.storage.client import Load, failures, save
from benchmarks.storage.filled import Filled
from benchmarks.storage.pgbench import pgbench
from benchmarks.storage.servers import Start, node_peer, our_port, python_peer
from benchmarks.storage.table import Line, Must
from shared.testing.servers import PostgresServer

ROUNDS, SECONDS, WARM_S = 3, 2, 1
CONNECTIONS = (64, 256)
SQLITE, POSTGRES, PGBENCH = "SQLite FULL", "PostgreSQL", "pgbench, 64 clients"
FLASK_SQLITE, FLASK_POSTGRES = "Flask + SQLAlchemy, SQLite", "Flask + SQLAlchemy, PostgreSQL"
FASTIFY, FASTAPI = "Fastify + pg", "FastAPI + asyncpg"
PAIRS = (  # ours, the peer, and what is asked
    (SQLITE, FLASK_SQLITE, Must(5)),
    (SQLITE, FASTIFY, Must(2, 2.5)),
    (POSTGRES, FASTIFY, Must(2)),
    (POSTGRES, FASTAPI, Must(4)),
    (POSTGRES, FLASK_POSTGRES, None),
    (POSTGRES, PGBENCH, Must(None, 1)),
)
Run = Callable[[int, int], Load]  # so many connections, so many seconds


def measure(filled: Filled) -> Iterator[Line]:
    """A line for each pair and number of connections: the medians of interleaved rounds, all servers running."""
    loads: dict[tuple[str, int], list[Load]] = {}
    with contextlib.ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        runs = _runs(running, _servers(filled.server, Path(folder)))
        if (rate := pgbench(filled.server)) is not None:
            runs[PGBENCH] = rate
        for number in range(ROUNDS):
            say(f"save: round {number + 1} of {ROUNDS}")
            for connections in CONNECTIONS:
                for name, run in runs.items():
                    loads.setdefault((name, connections), []).append(run(connections, SECONDS))
    for connections in CONNECTIONS:
        for ours, peer, must in PAIRS:
            what = f"save, {ours}, {connections} connections"
            yield _line(what, loads[ours, connections], peer, loads.get((peer, connections), []), must)


def _servers(postgres: PostgresServer, folder: Path) -> dict[str, Start]:
    """All that can be installed."""
    url, peers_url = postgres.create_database(), postgres.create_database()
    servers = {
        SQLITE: our_port,
        FLASK_SQLITE: python_peer("flask_sqlalchemy.py", f"sqlite:///{folder}/peer.sqlite3"),
        FASTIFY: node_peer("fastify_pg.js", peers_url),
        POSTGRES: partial(our_port, DATABASE_URL=url),
        FASTAPI: python_peer("fastapi_asyncpg.py", peers_url),
        FLASK_POSTGRES: python_peer("flask_sqlalchemy.py", peers_url),
    }
    return {name: start for name, start in servers.items() if start is not None}


def _runs(running: contextlib.ExitStack, servers: dict[str, Start]) -> dict[str, Run]:
    """Start and warm them up; they run until `running` ends, so that no figure holds a start."""
    runs: dict[str, Run] = {}
    for name, start in servers.items():
        say(f"starting {name}")
        runs[name] = partial(save, running.enter_context(start()))
        runs[name](CONNECTIONS[0], WARM_S)
    return runs


def _line(what: str, ours: list[Load], peer: str, theirs: list[Load], must: Must | None) -> Line:
    if not theirs:
        return Line(what, _figure(ours), f"{peer}: left out, it is not installed", failed=failures(ours))
    ratio = _rate(ours) / _rate(theirs)
    failed = failures(ours) + (f"; {peer}: {lost}" if (lost := failures(theirs)) else "")
    return Line(what, _figure(ours), f"{peer}: {_figure(theirs)}", ratio, must, failed)


def _rate(loads: list[Load]) -> float:
    return statistics.median(load.per_second for load in loads) or 1e-9  # a peer that answered nothing at all


def _figure(loads: list[Load]) -> str:
    p99_ms = statistics.median(load.p99_ms for load in loads)
    return f"{_rate(loads):,.0f}/s" + ("" if isnan(p99_ms) else f", p99 {p99_ms:.0f} ms")
