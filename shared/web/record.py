"""What is kept of each request: its log line and its counters; and of a bug, the report."""

import logging
from typing import TYPE_CHECKING

from shared import tracing
from shared.config import Settings
from shared.errors import FleetError
from shared.logger import FleetLogger
from shared.metrics import MetricsCollector
from shared.sentry_integration import capture_exception
from shared.web.request_counts import RequestCounts, Series, shown_counts

if TYPE_CHECKING:
    from shared.otlp import SpanExporter

QUIET = ("/health", "/metrics")  # asked every few seconds by machines; no log line each
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Recorder:
    """Writes a service's access log and request metrics, whichever way a request came in."""

    def __init__(self, service: str, settings: Settings, log: FleetLogger, metrics: MetricsCollector):
        self._service, self._log = service, log
        self._counts = shown_counts() if metrics.enabled else RequestCounts()
        self.writes = settings.ACCESS_LOG and log.isEnabledFor(logging.INFO)  # a line a request
        self._series: dict[tuple[str, str, int], Series] = {}  # as many as there are
        self.spans = _exporter(service, settings)
        self.quiet: set[str] = set()  # route templates whose successes leave no log line

    def request(self, method: str, route: str, path: str, status: int, seconds: float) -> None:
        """One request was answered. `route` is the template, `path` what was asked."""
        series = self._series.get((method, route, status)) or self._new_series(method, route, status)
        series.add(seconds)
        if self.spans is not None and (trace := tracing.current.get()) is not None and trace.sampled:
            self.spans.add(trace, method, route, path, status, seconds)
        if self.writes and not path.startswith(QUIET) and (status >= 400 or route not in self.quiet):
            self._log.info("%s %s %d %.1f ms", method[:16], path[:200], status, seconds * 1000)

    def _new_series(self, method: str, route: str, status: int) -> Series:
        # A made-up method as a label would be unbounded; so would it be as a key here.
        method = method if method in METHODS else "other"
        series = self._counts.series((self._service, method, route), status)
        self._series[method, route, status] = series
        return series

    def bug(self, method: str, path: str, error: BaseException) -> FleetError:
        """Report what nobody expected; the error to answer with."""
        # Reported before it is logged: the SDK makes a report of the log line too and keeps the first of the two.
        capture_exception(error, context={"method": method, "path": path})
        self._log.exception("unexpected error on %s %s", method, path)
        return FleetError("an unexpected error; the log holds it under this request's id")


def _exporter(service: str, settings: Settings) -> "SpanExporter | None":
    """What sends spans to a collector; nothing of it is loaded where none is configured."""
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT is None:
        return None
    from shared.otlp import SpanExporter

    return SpanExporter(service, settings, settings.OTEL_EXPORTER_OTLP_ENDPOINT)
