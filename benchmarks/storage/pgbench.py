"""pgbench's own rate of inserting one signal a transaction into our table: what PostgreSQL gives without a service."""

import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from math import nan
from tempfile import NamedTemporaryFile
from typing import Any

from benchmarks.storage.client import Load
from benchmarks.storage.rows import Pattern, connect, make
from shared.testing.servers import PostgresServer, ServerMissing, find_program

CLIENTS, THREADS = 64, 2
SET = "\\set n random(0, 49)\n"
OWN = {  # what differs from signal to signal; the rest is as in the pattern
    "id": "nextval('pgbench_numbers')",
    "signal_id": "'S' || :n || 'USDT:' || currval('pgbench_numbers')",
    "symbol": "'S' || :n || 'USDT'",
    "timestamp": "clock_timestamp()",
}


def pgbench(postgres: PostgresServer) -> Callable[[int, int], Load] | None:
    """A run of it on a database of its own, always with 64 clients, whatever number of connections is asked for.

    None where it isn't installed: not every package of PostgreSQL brings it.
    """
    try:
        program = find_program("pgbench")
    except ServerMissing:
        return None
    url = postgres.create_database()
    pattern = make(url)
    with closing(connect(url)) as link, link, link.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE pgbench_numbers START 1000 CACHE 100")
        statement = _insert(cursor, pattern)

    def run(_connections: int, seconds: int) -> Load:
        with NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(SET + statement)
            script.flush()
            return _run(program, url, script.name, seconds)

    return run


def _insert(cursor: Any, pattern: Pattern) -> str:
    row = pattern.tables["signals"]
    values = [OWN.get(name) or _literal(cursor, value) for name, value in row.items()]
    return f"INSERT INTO signals ({', '.join(row)}) VALUES ({', '.join(values)});\n"


def _literal(cursor: Any, value: Any) -> str:
    """A value in SQL. pgbench takes whatever follows a colon for a variable of its own, even inside a text."""
    if isinstance(value, str):
        return "E'" + value.replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a") + "'"
    text: str = cursor.mogrify("%s", [value]).decode()
    return text


def _run(program: str, url: str, script: str, seconds: int) -> Load:
    words = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(THREADS), "-T", str(seconds), "-f", script]
    done = subprocess.run([program, *words, url], capture_output=True, text=True, check=True, timeout=seconds + 60)
    rate = float(re.findall(r"tps = ([0-9.]+)", done.stdout)[0])
    return Load(1.0, {200: round(rate)}, nan, nan, 0)  # its latencies would have to be logged one by one
