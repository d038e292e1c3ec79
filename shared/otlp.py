"""Spans to an OpenTelemetry collector: OTLP over HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/).

Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set. Needs no package of OpenTelemetry's. A request only appends to a
bounded queue: a collector that is away, hung or slow costs requests nothing, and spans that find no room are counted.
"""

import threading
import time
from collections import deque
from typing import Any

import orjson
import urllib3

from shared.config import Settings
from shared.fleet import read_fleet
from shared.tracing import Trace

MAX_WAITING = 4096
MAX_SENT = 512  # spans in one request
EVERY_S = 1.0
TIMEOUT_S = 3.0
LAST_S = 1.0  # at a stop: what the collector has not taken by then is lost
SERVER, ERROR = 2, 2  # SPAN_KIND_SERVER, STATUS_CODE_ERROR


class SpanExporter:
    """Sends the spans of one service. Its thread begins with the first of them."""

    def __init__(self, service: str, settings: Settings, endpoint: str) -> None:
        self._url = endpoint + "/v1/traces"
        named: dict[str, str | int] = {
            "service.name": service,
            "service.version": settings.SENTRY_RELEASE or read_fleet().version,
            "deployment.environment.name": settings.SENTRY_ENVIRONMENT,
        }
        self._resource = {"attributes": _attributes(named)}
        self._headers = {"Content-Type": "application/json", **settings.otlp_headers()}
        self._waiting: deque[dict[str, Any]] = deque()
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=1)
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.sent = self.dropped = 0

    def add(self, trace: Trace, method: str, route: str, path: str, status: int, seconds: float) -> None:
        """A request was answered. Never blocks, never raises."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        end = time.time_ns()
        about: dict[str, str | int] = {
            "http.request.method": method[:16], "http.route": route, "url.path": path[:200],
            "http.response.status_code": status,
        }  # fmt: skip
        span = {
            "traceId": trace.trace_id, "spanId": trace.span_id, "parentSpanId": trace.parent_id or "",
            "traceState": trace.state, "flags": trace.flags, "name": f"{method[:16]} {route}", "kind": SERVER,
            "startTimeUnixNano": str(end - int(seconds * 1e9)), "endTimeUnixNano": str(end),
            "attributes": _attributes(about), "status": {"code": ERROR} if status >= 500 else {},
        }  # fmt: skip
        self._waiting.append(span)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Send what waits, within `LAST_S`."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(LAST_S)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._send_waiting()
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting:
            spans = [self._waiting.popleft() for _ in range(min(MAX_SENT, len(self._waiting)))]
            if not self._send(spans):
                self.dropped += len(spans)
                return

    def _send(self, spans: list[dict[str, Any]]) -> bool:
        scope = {"scope": {"name": "trading-fleet"}, "spans": spans}
        body = orjson.dumps({"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]})
        try:
            answer = self._pool.request(
                "POST", self._url, body=body, headers=self._headers, timeout=TIMEOUT_S, retries=False, redirect=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        self.sent += len(spans) if answer.status < 300 else 0
        return answer.status < 300


def _attributes(values: dict[str, str | int]) -> list[dict[str, Any]]:
    """OTLP's JSON form: 64-bit integers are strings."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
