"""`python -m benchmarks.gateway`: what the one door costs, in about three minutes. `--only proxy,checks` for a part."""

import argparse
import importlib

from benchmarks.report import Row, say, show

PARTS = ("proxy", "checks", "logins", "crowd")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="of all servers in turn (3)")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}")
    rows: list[Row] = []
    for name in names:
        say(f"{name} …")
        rows += importlib.import_module(f"benchmarks.gateway.{name}").measure(chosen.rounds)
    show(rows)


if __name__ == "__main__":
    main()
