"""W3C Trace Context: read by the standard's rules, carried into log lines, and passed on with one's own span."""

import json
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from shared import tracing
from shared.config import Settings
from shared.http_client import HttpClient
from shared.service import create_service
from shared.testing.http_server import HttpServer
from shared.web.lane import Lane

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.unit
@pytest.mark.parametrize("header", [GIVEN, f"cc-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what.comes.later"])
def test_a_caller_s_trace_goes_on_below_its_span(header: str) -> None:
    trace = tracing.continued(header, "vendor=a")
    assert trace is not None
    assert (trace.trace_id, trace.parent_id, trace.sampled, trace.state) == (TRACE, PARENT, True, "vendor=a")
    assert trace.span_id not in (PARENT, "0" * 16)
    assert trace.headers() == {"traceparent": f"00-{TRACE}-{trace.span_id}-01", "tracestate": "vendor=a"}


@pytest.mark.unit
@pytest.mark.parametrize(
    "header",
    [
        "", "nonsense", GIVEN.upper(), GIVEN[:-1], GIVEN + "0", GIVEN + "-more", f"{GIVEN},{GIVEN}", GIVEN + "\n",
        "ff" + GIVEN[2:], f"cc-{TRACE}-{PARENT}-01.what", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01",
    ],
)  # fmt: skip
def test_a_malformed_header_is_as_none(header: str) -> None:
    assert tracing.continued(header) is None


@pytest.mark.unit
def test_a_state_that_is_too_long_is_dropped_and_the_trace_goes_on() -> None:
    trace = tracing.continued(GIVEN, "a=" + "b" * 600)
    assert trace is not None
    assert trace.state == ""


@pytest.mark.unit
def test_flags_that_nobody_has_defined_are_not_passed_on() -> None:
    trace = tracing.continued(f"00-{TRACE}-{PARENT}-ff")
    assert trace is not None
    assert trace.flags == 3


@pytest.mark.integration
def test_a_request_to_another_server_carries_it() -> None:
    seen: list[str | None] = []

    def respond(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        seen.append(handler.headers.get("traceparent"))
        return 200, {}, b"{}"

    trace = tracing.continued(GIVEN)
    with HttpServer(respond) as server:
        client = HttpClient(server.url)
        client.get("/")
        token = tracing.enter(trace)
        client.get("/")
        tracing.leave(token)
        client.close()
    assert trace is not None
    assert seen == [None, trace.headers()["traceparent"]]


@pytest.mark.integration
@pytest.mark.parametrize("way", ["lane", "flask"])
@pytest.mark.parametrize(("log_format", "shape"), [("json", r'"trace_id": "(\w+)", "span_id": "\w{16}"'),
                                                   ("text", r"trace_id=(\w+) span_id=\w{16}")])  # fmt: skip
def test_log_lines_name_the_trace_on_both_ways(
    way: str, log_format: str, shape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shared.logger._handler", None)  # a handler that writes to this test's output
    service = create_service("database-service", Settings.read({"LOG_FORMAT": log_format}, tmp_path),
                             import_name="shared")  # fmt: skip

    @service.route("GET", "/ask", summary="Ask", hot=True)
    def ask() -> dict[str, int]:
        return {"x": 1}

    capsys.readouterr()
    if way == "lane":
        lane, sent = Lane(service), []
        asked = lane.recognise(f"GET /ask HTTP/1.1\r\nHost: localhost\r\nTraceparent: {GIVEN}\r\n\r\n".encode())
        assert asked is not None
        lane.answer(asked, b"", "127.0.0.1", lambda head, body: sent.append((head, body)))
        assert json.loads(sent[0][1]) == {"success": True, "x": 1}
    else:
        service.app.test_client().get("/ask", headers={"Host": "localhost", "traceparent": GIVEN})
    assert re.findall(shape, capsys.readouterr().out) == [TRACE]
    assert tracing.current.get() is None


@pytest.mark.unit
def test_the_lane_keeps_no_request_that_carries_a_trace(tmp_path: Path) -> None:
    service = create_service("database-service", Settings.read({}, tmp_path), import_name="shared")
    service.route("GET", "/ask", summary="Ask", hot=True)(dict)
    lane = Lane(service)
    for bad in (GIVEN, "nonsense"):
        assert lane.recognise(f"GET /ask HTTP/1.1\r\nHost: localhost\r\ntraceparent: {bad}\r\n\r\n".encode())
    assert not lane._again
    assert not any(b"traceparent" in line for line in lane._lines)
