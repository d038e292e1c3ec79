"""Spans reach a collector where one is configured; elsewhere nothing of it is loaded, and one that is away costs nothing."""  # noqa: E501

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared import otlp
from shared.config import Settings
from shared.service import Service, create_service
from shared.testing.net import wait_until

pytestmark = pytest.mark.integration
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NOT_LOADED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry", "shared.otlp")):
            raise AssertionError(f"{name} was imported")
sys.meta_path.insert(0, Blocker())
from shared.config import Settings
from shared.service import create_service
service = create_service("database-service", Settings.read(), import_name="shared")
print(service.app.test_client().get("/health/live", headers={"Host": "localhost"}).status_code)
"""


class Collector(ThreadingHTTPServer):
    """Stands in for an OpenTelemetry collector: keeps what is sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.got: list[tuple[str, dict[str, str], Any]] = []


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers.items()), document))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def service_for(port: int, folder: Path) -> Service:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b",
    }  # fmt: skip
    service = create_service("database-service", Settings.read(environ, folder), import_name="shared")

    @service.route("GET", "/ask/<name>", summary="Ask")
    def ask(name: str) -> dict[str, int]:
        raise RuntimeError(name)

    return service


def ask(service: Service, **headers: str) -> int:
    return service.app.test_client().get("/ask/x", headers={"Host": "localhost", **headers}).status_code


def test_a_span_arrives_with_service_route_status_and_parent(collector: Collector, tmp_path: Path) -> None:
    service = service_for(collector.server_address[1], tmp_path)
    assert ask(service, traceparent=f"00-{TRACE}-{PARENT}-01") == 500
    assert ask(service, traceparent=f"00-{TRACE}-{PARENT}-00") == 500  # whoever began this one wants it not recorded
    wait_until(lambda: bool(collector.got))
    service.stop()
    [(path, headers, document)] = collector.got
    assert (path, headers["api-key"]) == ("/v1/traces", "a b")
    [sent] = document["resourceSpans"]
    named = {item["key"]: item["value"]["stringValue"] for item in sent["resource"]["attributes"]}
    assert named["service.name"] == "database-service"
    [span] = sent["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["parentSpanId"], span["name"]) == (TRACE, PARENT, "GET /ask/<name>")
    assert (span["kind"], span["status"]) == (2, {"code": 2})
    about = {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}
    assert (about["http.route"], about["http.response.status_code"]) == ("/ask/<name>", "500")
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOT_LOADED], env={"ENV_FILES": "false"}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "200"), done.stderr


def test_a_collector_that_is_away_fails_nobody_and_what_waits_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "MAX_WAITING", 2)
    monkeypatch.setattr(otlp, "EVERY_S", 60.0)
    service = service_for(1, tmp_path)
    assert [ask(service) for _ in range(5)] == [500] * 5
    spans = service.recorder.spans
    assert spans is not None
    assert (len(spans._waiting), spans.dropped) == (2, 3)
    service.stop()
    assert (len(spans._waiting), spans.sent, spans.dropped) == (0, 0, 5)
