"""What it costs to find out who calls, by access token and by API key, in the process."""

import json
import subprocess
import sys

from benchmarks.report import Row, say
from shared.fleet import ROOT
from shared.testing.servers import PostgresServer, RedisServer, ServerMissing

AIM_US = 150
FEW = (10, 10)  # accounts and keys
Figures = dict[str, list[float]]  # the median and the p99 in microseconds, by what was done


def measure(rounds: int) -> list[Row]:
    """The embedded file, and PostgreSQL with Redis; the best of so many runs: other work on the machine only adds."""
    rows = _rows("SQLite", [in_process(*FEW) for _ in range(rounds)])
    try:
        with RedisServer() as redis, PostgresServer() as postgres:
            url = f"redis://127.0.0.1:{redis.port}"
            rows += _rows(
                "PostgreSQL, Redis", [in_process(*FEW, url, postgres.create_database()) for _ in range(rounds)]
            )
    except ServerMissing as missing:
        say(f"the checks with PostgreSQL and Redis are left out: {missing}")
    return rows


def in_process(accounts: int, keys: int, *servers: str) -> Figures:
    """One run with so many of both in the database."""
    command = [sys.executable, "-m", "benchmarks.gateway.in_process", str(accounts), str(keys), *servers]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: Figures = json.loads(done.stdout)
    return found


def best(runs: list[Figures], what: str) -> list[float]:
    """The least of all runs."""
    return [min(run[what][which] for run in runs) for which in (0, 1)]


def _rows(how: str, runs: list[Figures]) -> list[Row]:
    rows = []
    for what in runs[0]:
        if what == "login":
            continue
        median, p99 = best(runs, what)
        verdict = "met" if median <= AIM_US else "missed"
        rows.append(Row(f"check of a {what}, {how}: median", median, "µs", f"≤ {AIM_US}, {verdict}"))
        rows.append(Row(f"check of a {what}, {how}: p99", p99, "µs", ""))
    return rows
