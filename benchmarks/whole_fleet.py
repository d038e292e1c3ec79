"""The whole fleet, as `make up` starts it under PM2 (all installed already): `python -m benchmarks.whole_fleet`."""

import statistics
import sys
import time

from benchmarks.report import Row, show
from shared.testing.private_fleet import PrivateFleet

ROUNDS = 3


def measure() -> list[Row]:
    """From `make up` to the last service ready, PM2's own start included; then `make up` with nothing to do."""
    first, again = [], []
    for _ in range(ROUNDS):
        with PrivateFleet(FLEET_PYTHON="") as fleet:
            first.append(_seconds(fleet))
            again.append(_seconds(fleet))
    return [
        Row("whole fleet: `make up` to ready", statistics.median(first), "s", ""),
        Row("whole fleet: `make up` when it runs", statistics.median(again), "s", ""),
    ]


def _seconds(fleet: PrivateFleet) -> float:
    begun = time.perf_counter()
    done = fleet.run("make", "up")
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begun


if __name__ == "__main__":
    show(measure())
