"""`python -m benchmarks.streaming [PART …]`: issue 5's figures beside their peers, in a few minutes; parts by name."""

import argparse
import importlib
import resource
import sys

from benchmarks.report import Row, show

PARTS = ("ingest", "book", "price", "fanout")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.streaming", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=2, help="of every server in turn (2)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    rows: list[Row] = []
    for part in arguments.parts or PARTS:
        sys.stderr.write(f"measuring {part}\n")
        rows += importlib.import_module(f"benchmarks.streaming.{part}").measure(arguments.rounds)
    show(rows)


if __name__ == "__main__":
    main()
