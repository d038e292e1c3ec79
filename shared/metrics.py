"""Counters, gauges and histograms for Prometheus, made on first use and kept in the process's default registry.

Without prometheus_client installed, or with `enabled=False`, every call does nothing. A metric keeps the label names of
its first use; label values are bounded: past `MAX_SERIES` combinations further ones are counted as "other".
"""

import functools
import re
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary


def _import_prometheus() -> Any:
    """The optional package, or None: without it there is nothing to scrape."""
    try:
        import prometheus_client
    except ImportError:
        return None
    return prometheus_client


prometheus_client = _import_prometheus()

P = ParamSpec("P")
R = TypeVar("R")

MAX_SERIES = 1000
# Seconds; from a cache hit to a slow dependency.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# One metric a name and registry in the whole process: several collectors (modules, tests) share it.
_metrics: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
_lock = threading.Lock()


class MetricsCollector:
    """Collects a module's metrics. `name` tells whose they are; `registry` (tests) stands for the process's own."""

    def __init__(self, name: str, enabled: bool = True, registry: Any = None):
        self.name = name
        self.enabled = enabled and prometheus_client is not None
        self._registry = registry
        self._help: dict[str, str] = {}
        self._totals: dict[tuple[str, ...], float] = {}  # as shown last; as many as there are series
        self._known: dict[tuple[str, ...], Any] = {}  # series by kind, name and labels; at most as many as there are

    def describe(self, name: str, text: str) -> None:
        """The sentence that stands beside the metric when scraped; to be called before its first use."""
        self._help[name] = text

    def increment_counter(self, name: str, value: float = 1, **labels: str) -> None:
        """Count. Raises ValueError when a metric is used with other labels or as another kind than before."""
        if self.enabled:
            self._series("Counter", name, labels).inc(value)

    def set_gauge(self, name: str, value: float, **labels: str) -> None:
        """Show the present value."""
        if self.enabled:
            self._series("Gauge", name, labels).set(value)

    def set_total(self, name: str, total: float, **labels: str) -> None:
        """Show a count that is kept elsewhere and only grows, as a counter (`…_total`)."""
        if self.enabled:
            asked = (name, *labels, *labels.values())
            self._series("Counter", name, labels).inc(max(0.0, total - self._totals.get(asked, 0.0)))
            self._totals[asked] = total

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add to a histogram, in seconds by convention (`…_seconds`)."""
        if self.enabled:
            self._series("Histogram", name, labels).observe(value)

    def _series(self, kind: str, name: str, labels: dict[str, str]) -> Any:
        asked = (kind, name, *labels, *labels.values())
        if asked in self._known:
            return self._known[asked]
        registry = self._registry or prometheus_client.REGISTRY
        metric = _metrics.get(registry, {}).get(name) or self._make(kind, name, labels, registry)
        if type(metric).__name__ != kind:
            raise ValueError(f"metric {name} is a {type(metric).__name__}, not a {kind}")
        if not labels:
            return metric
        if tuple(sorted(labels)) != metric._labelnames:
            raise ValueError(f"metric {name} has the labels {metric._labelnames}, not {tuple(sorted(labels))}")
        values = tuple(str(labels[label]) for label in metric._labelnames)
        if values not in metric._metrics and len(metric._metrics) >= MAX_SERIES:
            return metric.labels(*("other",) * len(values))
        series = self._known[asked] = metric.labels(*values)
        return series

    def _make(self, kind: str, name: str, labels: dict[str, str], registry: Any) -> Any:
        with _lock:
            known = _metrics.setdefault(registry, {})
            if name in known:
                return known[name]
            extra = {"buckets": BUCKETS} if kind == "Histogram" else {}
            text = self._help.get(name, name.replace("_", " "))
            maker = getattr(prometheus_client, kind)
            known[name] = maker(name, text, tuple(sorted(labels)), registry=registry, **extra)
            return known[name]


def track_time(collector: MetricsCollector | str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: how long each call takes, as histogram `<function>_seconds`, or under the name given."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if isinstance(collector, str):
            owner, name = MetricsCollector(collector), re.sub(r"\W", "_", collector)
        else:
            owner, name = collector, function.__name__
        name = name if name.endswith("_seconds") else f"{name}_seconds"

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                owner.observe(name, time.perf_counter() - start)

        return timed

    return decorate


def scrape(registry: Any = None) -> tuple[bytes, str]:
    """What /metrics answers: the text and its content type."""
    if prometheus_client is None:
        return b"# prometheus_client is not installed\n", "text/plain; charset=utf-8"
    text: bytes = prometheus_client.generate_latest(registry or prometheus_client.REGISTRY)
    return text, prometheus_client.CONTENT_TYPE_LATEST
