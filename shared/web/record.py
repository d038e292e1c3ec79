"""What is kept of each request: its log line and its counters; and of a bug, the report."""

from collections.abc import Callable

from shared.config import Settings
from shared.errors import FleetError
from shared.logger import FleetLogger
from shared.metrics import MetricsCollector
from shared.sentry_integration import capture_exception

QUIET = ("/health", "/metrics")  # asked every few seconds by machines; no log line each
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Recorder:
    """Writes a service's access log and request metrics, whichever way a request came in."""

    def __init__(self, service: str, settings: Settings, log: FleetLogger, metrics: MetricsCollector):
        self._service, self._log, self._metrics = service, log, metrics
        self.writes = settings.ACCESS_LOG  # a line a request
        self._counts: dict[tuple[str, str, int], Callable[[float], None]] = {}  # as many as there are series
        self.quiet: set[str] = set()  # route templates whose successes leave no log line
        metrics.describe("http_requests_total", "Requests answered, by route template and status")
        metrics.describe("http_errors_total", "Requests answered with a status of 400 and above")
        metrics.describe("http_request_duration_seconds", "Time from a request's arrival to its answer")

    def request(self, method: str, route: str, path: str, status: int, seconds: float) -> None:
        """One request was answered. `route` is the template, `path` what was asked."""
        asked = (method, route, status)
        count = self._counts.get(asked) or self._count(*asked)
        count(seconds)
        if self.writes and not path.startswith(QUIET) and (status >= 400 or route not in self.quiet):
            self._log.info("%s %s %d %.1f ms", method[:16], path[:200], status, seconds * 1000)

    def _count(self, method: str, route: str, status: int) -> Callable[[float], None]:
        """Who counts such requests: kept, since finding the series by their labels costs more than counting (5 µs)."""
        # A made-up method as a label would be unbounded; so would it be as a key here.
        method = method if method in METHODS else "other"
        labels = {"service": self._service, "method": method, "route": route}
        metrics, text = self._metrics, str(status)
        counted = [metrics.counter("http_requests_total", status=text, **labels)]
        if status >= 400:
            counted.append(metrics.counter("http_errors_total", status=text, **labels))
        observe = metrics.histogram("http_request_duration_seconds", **labels)

        def count(seconds: float) -> None:
            for add in counted:
                add(1)
            observe(seconds)

        self._counts[method, route, status] = count
        return count

    def bug(self, method: str, path: str, error: BaseException) -> FleetError:
        """Report what nobody expected; the error to answer with."""
        # Reported before it is logged: the SDK makes a report of the log line too and keeps the first of the two.
        capture_exception(error, context={"method": method, "path": path})
        self._log.exception("unexpected error on %s %s", method, path)
        return FleetError("an unexpected error; the log holds it under this request's id")
