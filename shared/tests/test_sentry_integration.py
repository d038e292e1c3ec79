"""Error reports: none and no error without a DSN or the SDK; with both, the request's id arrives and no secret does."""

import gzip
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.integration

BY_HAND = """
from shared.sentry_integration import capture_exception, init_sentry, set_user
print(init_sentry("my-service", environment="production"))
set_user("7")
capture_exception(RuntimeError("wrong"), context={"operation": "database_query"})
set_user(None)
"""

A_SERVICE = """
from shared.config import Settings
from shared.service import create_service
service = create_service("database-service", Settings.read(), import_name="shared")

@service.route("POST", "/break", summary="break")
def broken():
    my_local = "canary-local"
    raise RuntimeError("the password canary-1 was refused")

answer = service.app.test_client().post("/break?token=canary-query", headers={
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Host": "localhost", "X-Request-ID": "trace-7", "Authorization": "canary-header", "Cookie": "s=canary-cookie",
    "X-Key-Of-Mine": "canary-own-header",
}, json={"private": "canary-body"})
print(answer.status_code, answer.get_data(as_text=True))
import sentry_sdk
sentry_sdk.flush(10)
"""


class Collector(ThreadingHTTPServer):
    """Stands in for Sentry: keeps every event that is sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.envelopes: list[bytes] = []

    @property
    def dsn(self) -> str:
        return f"http://0123456789abcdef@127.0.0.1:{self.server_address[1]}/1"

    @property
    def events(self) -> list[dict[str, object]]:
        """The error events; an envelope is a header line, then an item's header and the item, a line each."""
        found = []
        for envelope in self.envelopes:
            lines = envelope.split(b"\n")
            for header, item in itertools.pairwise(lines):
                if header.startswith(b"{") and json.loads(header).get("type") == "event":
                    found.append(json.loads(item))
        return found


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.envelopes.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def sentry() -> Iterator[Collector]:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


def run(program: str, **environ: str) -> str:
    """Run it in a process of its own (the SDK is global); its output, which must be free of tracebacks."""
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_without_a_dsn_nothing_happens_and_nothing_fails() -> None:
    assert run(BY_HAND) == "False\n"


def test_without_the_sdk_one_line_says_so_and_nothing_fails() -> None:
    output = run("import sys; sys.modules['sentry_sdk'] = None\n" + BY_HAND, SENTRY_DSN="http://k@127.0.0.1:1/1")
    assert "sentry_sdk is not installed: errors are not reported" in output
    assert output.endswith("False\n")


def test_a_wrong_dsn_is_one_line_that_does_not_show_it() -> None:
    output = run(BY_HAND, SENTRY_DSN="canary-that-is-no-dsn")
    assert "SENTRY_DSN is not a DSN: errors are not reported" in output
    assert "canary" not in output
    assert output.endswith("False\n")


def test_a_report_names_service_environment_and_context(sentry: Collector) -> None:
    assert run(BY_HAND + "import sentry_sdk; sentry_sdk.flush(10)", SENTRY_DSN=sentry.dsn) == "True\n"
    (event,) = sentry.events
    assert (event["environment"], event["server_name"]) == ("production", "my-service")
    assert event["tags"] == {"service": "my-service"}
    assert event["user"] == {"id": "7"}
    assert event["contexts"]["context"] == {"operation": "database_query"}  # type: ignore[index]  # parsed JSON


def test_a_dead_sentry_fails_nobody() -> None:
    assert run(BY_HAND, SENTRY_DSN="http://k@127.0.0.1:1/1").startswith("True\n")


def test_a_services_bug_is_reported_once_with_the_requests_id_and_nothing_private(sentry: Collector) -> None:
    output = run(
        A_SERVICE, SENTRY_DSN=sentry.dsn, DB_PASSWORD="canary-1", DATABASE_URL="postgresql://u:canary-2@h/d",
        SENTRY_RELEASE="1.2.3", SENTRY_ENVIRONMENT="staging",
    )  # fmt: skip
    (event,) = sentry.events
    assert event["tags"]["request_id"] == "trace-7"  # type: ignore[index]  # parsed JSON
    assert event["tags"]["service"] == "database-service"  # type: ignore[index]  # parsed JSON
    assert event["tags"]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"  # type: ignore[index]  # parsed JSON
    assert event["contexts"]["trace"]["parent_span_id"] == "b7ad6b7169203331"  # type: ignore[index]  # parsed JSON
    assert (event["release"], event["environment"]) == ("1.2.3", "staging")
    assert event["contexts"]["context"] == {"method": "POST", "path": "/break"}  # type: ignore[index]  # parsed JSON
    assert "RuntimeError" in json.dumps(event)
    assert "canary" not in json.dumps(sentry.events)
    assert "canary" not in output
    assert "500 {" in output


def test_a_sentry_that_hangs_holds_no_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:  # takes connections and never answers
        dsn = f"http://k@127.0.0.1:{hung.getsockname()[1]}/1"
        # Were a request to wait for it, the time-out of `run` would end the test.
        program = A_SERVICE.replace("sentry_sdk.flush(10)", "import os; print(flush=True); os._exit(0)")
        output = run(program, SENTRY_DSN=dsn)
    assert "500 {" in output
