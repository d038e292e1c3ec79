"""R15: whatever is sent, no 5xx, no HTML, every error in the contract's shape, the service alive, its memory flat."""

import collections
import itertools
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from shared.testing.process import ServiceProcess
from tests.faults.conftest import NAMES
from tests.faults.garbage import BadRequest, Operation, bad_bytes, bad_requests, operations
from tests.faults.scale import scaled
from tests.faults.watching import rss_mb

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.timeout(1800)]

CALLERS = 8
WARM_UP = 1000
MAX_GROWTH_MB = 25
PASSED_ON = (f"/api/{name}{page}" for name in NAMES for page in ("", "/", "/docs"))
PAGES = {"/", "/docs", "/api/docs", *PASSED_ON}  # for people
# Below these another protocol is spoken, with errors of its own: the exchange's, and Engine.IO's.
OTHER_PROTOCOLS = {
    "market-simulator": ("/api", "/fapi", "/dapi", "/futures"),
    "websocket-streaming": ("/socket.io",),
    "auth-gateway": (
        *(f"/api/market-simulator/{name}" for name in ("api", "fapi", "dapi", "futures")),
        "/api/websocket-streaming/socket.io",
    ),
}


def calls_of(running: ServiceProcess) -> list[Operation]:
    known = operations(running.get("/openapi.json"))
    if running.folder.name == "market-simulator":
        known += [
            Operation("GET", "/api/v3/klines", ["symbol", "interval", "limit", "startTime"], []),
            Operation("GET", "/api/v3/depth", ["symbol", "limit"], []),
        ]
    return known


def complaint(name: str, path: str, status: int, headers: dict[str, str], body: bytes) -> str | None:
    """What is wrong with an answer of the service of that name, if anything."""
    kind = headers.get("content-type", "")
    if status >= 500:
        return "5xx"
    if "x-request-id" not in headers:
        return "no request id"
    if path.startswith(OTHER_PROTOCOLS.get(name, ())):
        return None
    if status >= 400 and body:
        try:
            document = json.loads(body)
            error = document["error"]
            assert document["success"] is False
            assert set(error) == {"code", "message", "details"}
            assert all(set(detail) == {"field", "message"} for detail in error["details"])
        except (ValueError, KeyError, TypeError, AssertionError):
            return "an error that is not in the contract's shape"
        return None if kind == "application/json" else f"an error as {kind}"
    if "html" in kind and body and path.partition("?")[0] not in PAGES:
        return "HTML"
    return None


def send(name: str, pool: urllib3.HTTPConnectionPool, bad: BadRequest) -> tuple[int, str | None]:
    answer = pool.request(bad.method, bad.path, body=bad.body, headers=bad.headers, redirect=False)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status, complaint(name, bad.path, answer.status, headers, answer.data)


def test_malformed_requests_by_a_client_library(running: ServiceProcess) -> None:
    name = running.folder.name
    pool = urllib3.HTTPConnectionPool("127.0.0.1", running.port, maxsize=CALLERS, timeout=30, retries=False)
    count = scaled(80_000, at_least=2000)
    requests = bad_requests(calls_of(running), count, seed=15)
    statuses: collections.Counter[int] = collections.Counter()
    complaints: list[str] = []
    rss_warm = 0.0
    with ThreadPoolExecutor(CALLERS) as callers:
        for batch_number in itertools.count():
            batch = list(itertools.islice(requests, WARM_UP))
            if not batch:
                break
            for bad, (status, wrong) in zip(batch, callers.map(lambda bad: send(name, pool, bad), batch), strict=True):
                statuses[status] += 1
                complaints += [f"{wrong}: {status} for {bad}"[:500]] if wrong else []
            rss_warm = rss_warm if batch_number else rss_mb(running.pid)
    growth = rss_mb(running.pid) - rss_warm
    print(f"\nR15 {running.folder.name}: {count} requests, {dict(sorted(statuses.items()))}, RSS {growth:+.1f} MB")
    assert complaints == []
    assert growth < MAX_GROWTH_MB
    assert running.get("/health/live") == {"status": "alive"}
    assert "Traceback" not in running.log


def exchange(port: int, data: bytes) -> bytes:
    """Send these bytes, then all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        answer = b""
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while chunk := link.recv(65_536):
                answer += chunk
        except ConnectionError:  # closed while we were still sending: the service's right, as long as it lives
            return answer
        return answer


def first_answer_complaint(name: str, data: bytes, answer: bytes) -> str | None:
    if not answer:
        return None  # an unfinished request is closed without a word
    head, _, rest = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    if not status_line.startswith("HTTP/1."):
        return "no HTTP"
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    bodiless = data.lstrip().startswith(b"HEAD")  # what follows is the answer to the rest of the bytes
    length = 0 if bodiless else int(headers.get("content-length", len(rest)))
    unknown_path = "/docs" if "html" in headers.get("content-type", "") and b"<!doctype html>" in rest else "/unknown"
    return complaint(name, unknown_path, int(status_line.split()[1]), headers, rest[:length])


def test_malformed_bytes_over_bare_sockets(running: ServiceProcess) -> None:
    name, count = running.folder.name, scaled(20_000, at_least=500)
    complaints: list[str] = []
    outcomes: collections.Counter[bytes] = collections.Counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        sent = list(bad_bytes(calls_of(running), count, seed=16))
        list(callers.map(lambda data: exchange(running.port, data), sent[:WARM_UP]))
        rss_warm = rss_mb(running.pid)
        for data, answer in zip(sent, callers.map(lambda data: exchange(running.port, data), sent), strict=True):
            # Damage makes /api of many paths, and there the simulator answers as the exchange does.
            exempt = name == "market-simulator" and b"api" in data
            wrong = None if exempt else first_answer_complaint(name, data, answer)
            outcomes[answer[9:12]] += 1
            complaints += [f"{wrong}: {answer[:200]!r} for {data[:300]!r}"] if wrong else []
    growth = rss_mb(running.pid) - rss_warm
    print(f"\nR15 {running.folder.name}: {count} damaged requests, answers {dict(outcomes)}, RSS {growth:+.1f} MB")
    assert complaints == []
    assert growth < MAX_GROWTH_MB
    assert running.get("/health/live") == {"status": "alive"}
    assert "Traceback" not in running.log
