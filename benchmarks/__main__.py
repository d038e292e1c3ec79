"""`python -m benchmarks`: the quick measurements, one table; `python -m benchmarks NAME …`: those alone.

`make bench` adds the start of the whole fleet, storage, streaming, the gateway and the dashboard (`python -m
benchmarks.storage` and so on, which have options of their own). `simulator_wire` takes two minutes and installs its
peers, so it runs only when named.
"""

import importlib
import sys
import time

from benchmarks.report import Row, show

QUICK = ("small_things", "simulator", "services")
ALL = (*QUICK, "simulator_wire")


def main() -> None:
    """Run them; each says that it runs, since it takes a while."""
    names = sys.argv[1:] or QUICK
    if unknown := [name for name in names if name not in ALL]:
        sys.exit(f"No such measurement: {', '.join(unknown)}. There are: {', '.join(ALL)}")
    rows: list[Row] = []
    for name in names:
        begun = time.perf_counter()
        sys.stderr.write(f"measuring {name} … ")
        sys.stderr.flush()
        rows += importlib.import_module(f"benchmarks.{name}").measure()
        sys.stderr.write(f"{time.perf_counter() - begun:.0f} s\n")
    show(rows)


if __name__ == "__main__":
    main()
