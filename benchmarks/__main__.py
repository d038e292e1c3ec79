"""`python -m benchmarks`: every measurement, one table. `make bench` adds the start of the whole fleet."""

import sys
import time

from benchmarks import services, simulator, small_things
from benchmarks.report import Row, show


def main() -> None:
    """Run them all; each says that it runs, since it takes a while."""
    rows: list[Row] = []
    for module in (small_things, simulator, services):
        begun = time.perf_counter()
        sys.stderr.write(f"measuring {module.__name__} … ")
        sys.stderr.flush()
        rows += module.measure()
        sys.stderr.write(f"{time.perf_counter() - begun:.0f} s\n")
    show(rows)


if __name__ == "__main__":
    main()
