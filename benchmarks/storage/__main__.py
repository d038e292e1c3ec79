"""`python -m benchmarks.storage`: the whole table in about ten minutes. `--only save,batch` for a part of it;
`--full` with ten million rows, which takes a while and 15 GB of disk."""

import argparse
import importlib
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import say
from benchmarks.storage.client import NAME
from benchmarks.storage.filled import Filled
from benchmarks.storage.table import Table
from shared.testing.servers import PostgresServer, ServerMissing

PARTS = ("save", "batch", "newest", "export", "single")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="query and export with 10 M rows")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}")
    try:
        _measure(names, chosen.full)
    except ServerMissing as missing:
        sys.exit(f"{missing}: `make dev` installs PostgreSQL where it may")


def _measure(names: list[str], full: bool) -> None:
    with PostgresServer() as postgres, TemporaryDirectory() as folder:
        postgres.execute("ALTER SYSTEM SET max_connections = 300")  # all servers' pools are open beside pgbench's 64
        postgres.restart()
        table, places = Table(NAME), Filled(postgres, Path(folder), full)
        for name in names:
            begun = time.perf_counter()
            say(f"{name} …")
            for line in importlib.import_module(f"benchmarks.storage.{name}").measure(places):
                table.add([line])
            say(f"{name}: {time.perf_counter() - begun:.0f} s")
        table.end()


if __name__ == "__main__":
    main()
