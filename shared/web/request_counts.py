"""How many requests were answered and how long they took, by service, method, route template and status.

Kept in plain memory and shown when Prometheus asks. prometheus_client's own counters take a lock at each change, and
the three of a request cost 10 µs under gevent; this costs 0.7. One thread, gevent's, counts.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

from shared.metrics import BUCKETS, prometheus_client

Labels = tuple[str, str, str]  # service, method, route


class Series:
    """Requests of one route, method and status."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)  # how many took up to each bound and over the one before it

    def add(self, seconds: float) -> None:
        """One was answered."""
        self.count += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1


class RequestCounts:
    """All series of a process, as a collector of prometheus_client's. As many as callers name: templates only."""

    def __init__(self) -> None:
        self._series: dict[Labels, dict[str, Series]] = {}

    def series(self, labels: Labels, status: int) -> Series:
        """The series of these labels: to be kept, since finding it costs as much as counting."""
        return self._series.setdefault(labels, {}).setdefault(str(status), Series())

    def collect(self) -> Iterator[Any]:
        """What is shown."""
        families = prometheus_client.metrics_core
        names = ["service", "method", "route"]
        total = families.CounterMetricFamily(
            "http_requests_total", "Requests answered, by route template and status", labels=[*names, "status"]
        )
        errors = families.CounterMetricFamily(
            "http_errors_total", "Requests answered with a status of 400 and above", labels=[*names, "status"]
        )
        duration = families.HistogramMetricFamily(
            "http_request_duration_seconds", "Time from a request's arrival to its answer", labels=names
        )
        for labels, by_status in list(self._series.items()):
            for status, series in list(by_status.items()):
                total.add_metric([*labels, status], series.count)
                if int(status) >= 400:
                    errors.add_metric([*labels, status], series.count)
            duration.add_metric(labels, *_histogram(list(by_status.values())))
        yield from (total, errors, duration)


def _histogram(several: list[Series]) -> tuple[list[tuple[str, float]], float]:
    """Bounds with how many took at most so long, and the sum of all."""
    sums = accumulate(map(sum, zip(*(series.buckets for series in several), strict=True)))
    bounds = [*map(prometheus_client.utils.floatToGoString, BUCKETS), "+Inf"]
    return list(zip(bounds, sums, strict=True)), sum(series.seconds for series in several)


_of_registry: WeakKeyDictionary[Any, RequestCounts] = WeakKeyDictionary()


def shown_counts() -> RequestCounts:
    """The counts that the process's /metrics shows; all its services share them."""
    registry = prometheus_client.REGISTRY
    if registry not in _of_registry:
        registry.register(_of_registry.setdefault(registry, RequestCounts()))
    return _of_registry[registry]
