"""A long run under mixed load, and whether memory, descriptors and waits stay flat in it.

The first tenth is warm-up. Of the rest the first and the last third are compared: medians of memory and descriptors,
the usual p99 of a probe that asks like one good client.
"""

import collections
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shared.testing.process import ServiceProcess
from tests.faults.load import GoodClients, Request
from tests.faults.scale import SCALE
from tests.faults.watching import descriptors, percentile, rss_mb

# 30 min at full length; `make test` runs long enough to see every load work, not to judge what grows slowly.
LENGTH_S = 1800 * SCALE if SCALE > 0.04 else 8.0
JUDGED_FROM_S = 60.0
SAMPLES = 200
SLICES = 10
# SQLite's page caches (2 MB for each of its connections) and the allocator's arenas fill up at their own pace. At
# 1,000 requests a second a leak of 20 bytes in each would grow by 20 MB between the two thirds of a full run.
MAX_GROWTH_MB = 15.0
MAX_MORE_DESCRIPTORS = 5  # a pool that opens one more connection; 30 minutes of leaks are thousands
MAX_SLOWER = 1.5
GRAIN_S = 0.02  # a p99 below is the scheduler's: clients and service share the machine


class Load(NamedTuple):
    """One kind of traffic. `step(service, number)` is run again and again, every `every_s` seconds at most often."""

    name: str
    step: Callable[[ServiceProcess, int], None]
    every_s: float
    threads: int = 1


class Sample(NamedTuple):
    """What was read off the process at a moment."""

    at: float
    memory_mb: float
    descriptors: int


class Soak:
    """`run()` loads the service for `LENGTH_S`; `judge()` asserts."""

    def __init__(self, service: ServiceProcess, loads: Sequence[Load], probe: list[Request]) -> None:
        self._service, self._loads = service, loads
        self._probe = GoodClients(service.port, probe, clients=1)
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self.steps: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self._begun = 0.0

    def run(self) -> None:
        """Until the length is over, or a load fails."""
        workers = [threading.Thread(target=self._work, args=(one,)) for one in self._loads for _ in range(one.threads)]
        self._begun = time.monotonic()
        for worker in workers:
            worker.start()
        with self._probe:
            while time.monotonic() - self._begun < LENGTH_S and not self.failures:
                pid = self._service.pid
                self._samples.append(Sample(time.monotonic(), rss_mb(pid), descriptors(pid)))
                self._stop.wait(LENGTH_S / SAMPLES)
        self._stop.set()
        for worker in workers:
            worker.join(60)

    def _work(self, load: Load) -> None:
        due = time.monotonic()
        for number in itertools.count():
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            due = max(due + load.every_s, time.monotonic() - 1)  # a hiccup isn't made up for by a burst
            try:
                load.step(self._service, number)
            except Exception as error:  # noqa: BLE001  # the experiment reports what a client met, whatever it is
                self.failures.append(f"{load.name}: {error!r}"[:500])
                return
            self.steps[load.name] += 1

    def judge(self) -> None:
        """Print the figures and assert that they are flat."""
        assert not self.failures, self.failures
        (early, late), (early_p99, late_p99) = self._thirds()
        memory = [statistics.median(sample.memory_mb for sample in part) for part in (early, late)]
        files = [statistics.median(sample.descriptors for sample in part) for part in (early, late)]
        print(
            f"\nR21 {self._service.folder.name}, {LENGTH_S:.0f} s: {dict(self.steps)}; first and last third: "
            f"RSS {memory[0]:.1f} → {memory[1]:.1f} MB, descriptors {files[0]:.0f} → {files[1]:.0f}, "
            f"p99 {early_p99 * 1e3:.1f} → {late_p99 * 1e3:.1f} ms; probe: {dict(self._probe.outcomes)}"
        )
        assert list(self._probe.outcomes) == ["200"], self._probe.outcomes
        assert set(self.steps) == {load.name for load in self._loads}
        if LENGTH_S >= JUDGED_FROM_S:
            assert memory[1] - memory[0] <= MAX_GROWTH_MB
            assert files[1] - files[0] <= MAX_MORE_DESCRIPTORS
            assert late_p99 <= MAX_SLOWER * max(early_p99, GRAIN_S)

    def _thirds(self) -> tuple[list[list[Sample]], list[float]]:
        warm = self._begun + LENGTH_S / 10
        third = (LENGTH_S - LENGTH_S / 10) / 3
        spans = [(warm, warm + third), (warm + 2 * third, warm + 3 * third + 1)]
        parts = [[one for one in self._samples if since <= one.at < until] for since, until in spans]
        return parts, [self._p99(since, until) for since, until in spans]

    def _p99(self, since: float, until: float) -> float:
        """The median of the p99s of ten slices: a burst of the machine's other users is no trend of the service."""
        edges = [since + (until - since) * n / SLICES for n in range(SLICES + 1)]
        slices = [self._probe.waits_s(*span) for span in itertools.pairwise(edges)]
        return statistics.median(percentile(waits, 0.99) for waits in slices if waits)
