"""`python -m benchmarks.streaming`: the stream's figures beside their peers, in about eight minutes.
`--only ingest,fanout` for a part of them."""

import argparse
import importlib
import resource
import sys

from benchmarks.report import Row, show

PARTS = ("ingest", "book", "price", "fanout")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=2, help="of all servers in turn (2)")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    rows: list[Row] = []
    for name in names:
        sys.stderr.write(f"measuring {name}\n")
        rows += importlib.import_module(f"benchmarks.streaming.{name}").measure(chosen.rounds)
    show(rows)


if __name__ == "__main__":
    main()
