"""What a service's /metrics says of its work and size, and what two looks at it make of that per second."""

import re
from dataclasses import dataclass

ROUTE = re.compile(rb'route="([^"]*)"')
STATUS = re.compile(rb'status="([^"]*)"')
MACHINES = (b"/health", b"/metrics")  # asked by watchers such as we: no work of the service's


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one process, at one look: counters since its start, and its resident memory."""

    started_s: float
    requests: float
    refused: float  # answered 4xx
    failed: float  # answered 5xx
    memory_mb: float | None
    cpu_s: float | None


def read_figures(text: bytes) -> Figures:
    """From Prometheus' text format; what isn't there is 0 or None. Raises ValueError for what is no such text."""
    counts = {b"4": 0.0, b"5": 0.0}
    requests = started = 0.0
    memory: float | None = None
    cpu: float | None = None
    for line in text.splitlines():
        if line.startswith(b"http_requests_total{"):
            labels, _, value = line.rpartition(b" ")
            route, status = ROUTE.search(labels), STATUS.search(labels)
            if route and route[1].startswith(MACHINES):
                continue
            requests += float(value)
            if status and status[1][:1] in counts:
                counts[status[1][:1]] += float(value)
        elif line.startswith(b"process_resident_memory_bytes "):
            memory = float(line.rpartition(b" ")[2]) / 2**20
        elif line.startswith(b"process_start_time_seconds "):
            started = float(line.rpartition(b" ")[2])
        elif line.startswith(b"process_cpu_seconds_total "):
            cpu = float(line.rpartition(b" ")[2])
    return Figures(started, requests, counts[b"4"], counts[b"5"], memory, cpu)


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, over the `over_s` seconds between two looks; `cpu_pct` of one core."""

    over_s: float
    requests_per_s: float
    refused_per_s: float
    failed_per_s: float
    cpu_pct: float | None


def rates(before: Figures, after: Figures, over_s: float) -> Rates | None:
    """None where the two are no pair: another process answered, or no time went by."""
    if over_s <= 0 or before.started_s != after.started_s or after.requests < before.requests:
        return None
    cpu = None if before.cpu_s is None or after.cpu_s is None else round(100 * (after.cpu_s - before.cpu_s) / over_s, 2)
    return Rates(
        round(over_s, 3),
        round((after.requests - before.requests) / over_s, 3),
        round((after.refused - before.refused) / over_s, 3),
        round((after.failed - before.failed) / over_s, 3),
        cpu,
    )
