"""The server under every service: what is no proper HTTP is refused in the contract's shape, and nothing waits forever.

These speak to a scratch service in a process of its own, mostly over a bare socket, as no client library would.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from shared.port_holder import port_holder
from shared.testing.contract import ServiceContract
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.api]

SCRATCH = Path(__file__).parent / "data" / "scratch_service"
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def running() -> Iterator[ServiceProcess]:
    with ServiceProcess(SCRATCH) as process:
        yield process


@pytest.fixture(scope="module")
def base_url(running: ServiceProcess) -> str:
    return running.base_url


class TestContract(ServiceContract):
    name, title = "database-service", "Scratch"


def talk(port: int, request: bytes, timeout_s: float = 20.0, *, half_close: bool = False) -> bytes:
    """Send these bytes and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as link:
        link.sendall(request)
        if half_close:
            link.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := link.recv(65_536):
            answer += chunk
        return answer


def post(headers: bytes, body: bytes = b"", path: bytes = b"/echo") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + headers + b"\r\n" + body


def assert_refused(answer: bytes, status: int, code: str) -> None:
    """One whole answer in the contract's shape, with a request id, and the connection ended."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 %d [A-Z][A-Za-z -]+\r\n" % status, head)
    assert re.search(rb"(?i)\r\nX-Request-ID: [0-9a-f]{32}", head)
    assert re.search(rb"(?i)\r\nContent-Type: application/json", head)
    document = json.loads(body)
    assert (document["success"], document["error"]["code"]) == (False, code)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS to a plain port
        b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/x.y\r\n" + HOST + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Big: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-One: 1\r\n" * 200 + b"\r\n",
        b"GET /health/live HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
        post(b"Content-Length: abc\r\n"),
        post(b"Content-Length: -5\r\n"),
        post(b"Content-Length: +7\r\n", b'{"x":1}'),
        post(b"Content-Length: 0_7\r\n", b'{"x":1}'),
        post(b"Content-Length: 7\r\nContent-Length: 3\r\n", b'{"x":1}'),
        post(b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", b'7\r\n{"x":1}\r\n0\r\n\r\n'),
        post(b"Transfer-Encoding: gzip, chunked\r\n", b'7\r\n{"x":1}\r\n0\r\n\r\n'),
        post(b"Transfer-Encoding: chunked\r\n", b"zz\r\n"),
        post(b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFFF\r\n"),
    ],
    ids=lambda request_bytes: str(request_bytes[-40:]),
)
def test_what_is_no_proper_http_is_refused_and_the_connection_ended(
    running: ServiceProcess, request_bytes: bytes
) -> None:
    assert_refused(talk(running.port, request_bytes, half_close=True), 400, "malformed")


def test_a_body_cut_short_is_refused_even_if_it_reads_as_json(running: ServiceProcess) -> None:
    answer = talk(running.port, post(b"Content-Length: 20\r\n", b'{"x":1}'), half_close=True)
    assert_refused(answer, 400, "malformed")


def test_a_body_declared_over_the_servers_bound_is_413_at_once(running: ServiceProcess) -> None:
    assert_refused(talk(running.port, post(b"Content-Length: 99999999\r\n"), half_close=True), 413, "too_large")


def test_a_client_that_sends_too_much_still_reads_its_413(base_url: str) -> None:
    for size in (1_000_001, 12_000_000):
        answer = urllib3.request(
            "POST", f"{base_url}/echo", body=b" " * size, headers={"Content-Type": "application/json"}, retries=False
        )
        assert (answer.status, answer.json()["error"]["code"]) == (413, "too_large")


def test_chunks_are_bounded_like_any_body(running: ServiceProcess) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = talk(running.port, post(b"Transfer-Encoding: chunked\r\n", chunk * 11), half_close=True)
    assert_refused(answer, 413, "too_large")


def test_a_chunked_body_is_read(running: ServiceProcess) -> None:
    chunks = b'3\r\n{"x\r\n4;ext=1\r\n":1}\r\n0\r\nTrailer: x\r\n\r\n'
    answer = talk(running.port, post(b"Transfer-Encoding: chunked\r\nConnection: close\r\n", chunks))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{"success":true,"x":1.0}')


def test_a_client_that_asks_first_is_told_to_continue(running: ServiceProcess) -> None:
    headers = b"Content-Length: 7\r\nExpect: 100-continue\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as link:
        link.sendall(post(headers))
        assert link.recv(100).startswith(b"HTTP/1.1 100 Continue")
        link.sendall(b'{"x":1}')
        assert b"200 OK" in link.recv(1000)


def test_a_connection_is_kept_for_further_requests(running: ServiceProcess) -> None:
    get = b"GET /health/live HTTP/1.1\r\n" + HOST
    answers = talk(running.port, (get + b"\r\n") * 3 + get + b"Connection: close\r\n\r\n")
    assert answers.count(b"HTTP/1.1 200 OK") == 4


def test_the_answer_to_head_ends_with_its_headers_though_get_is_sent_in_pieces(running: ServiceProcess) -> None:
    last = b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answers = talk(running.port, b"HEAD /large HTTP/1.1\r\n" + HOST + b"\r\n" + last)
    _, _, rest = answers.partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 OK")


def test_a_connection_that_is_not_kept_says_so(running: ServiceProcess) -> None:
    for asked in (b"HTTP/1.1\r\nConnection: close\r\n", b"HTTP/1.0\r\n"):
        answer = talk(running.port, b"GET /health/live " + asked + HOST + b"\r\n")
        assert b"\r\nConnection: close\r\n" in answer


def test_an_upgrade_to_something_else_escapes_no_bound(running: ServiceProcess) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    headers = b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n"
    assert_refused(talk(running.port, post(headers, chunk * 11), half_close=True), 413, "too_large")


def test_a_websocket_is_opened_beside_flask(running: ServiceProcess) -> None:
    answer = talk(running.port, b"GET /stream/you HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n", half_close=True)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"hello you" in answer


def test_a_wish_to_upgrade_to_something_else_is_answered_as_if_it_were_none(running: ServiceProcess) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as link:
        link.sendall(b"GET /health/live HTTP/1.1\r\nConnection: upgrade\r\n" + HOST + b"\r\n")
        assert b"200 OK" in link.recv(1000)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (b"/stream/you", b"Host: evil.example\r\n", 403, "forbidden"),
        (b"/stream/you", HOST + b"Origin: https://evil.example\r\n", 403, "forbidden"),
        (b"/no/stream", HOST, 404, "not_found"),
        (b"/echo", HOST, 404, "not_found"),
    ],
)
def test_a_websocket_that_may_not_open_is_refused(
    running: ServiceProcess, path: bytes, headers: bytes, status: int, code: str
) -> None:
    answer = talk(running.port, b"GET " + path + b" HTTP/1.1\r\n" + headers + UPGRADE + b"\r\n", half_close=True)
    assert_refused(answer, status, code)


def test_a_bug_is_500_in_the_contracts_shape_and_shows_nothing_of_itself(running: ServiceProcess) -> None:
    answer = urllib3.request("GET", f"{running.base_url}/bug", headers={"X-Request-ID": "bug-1"})
    assert (answer.status, answer.json()["error"]["code"]) == (500, "internal_error")
    assert b"canary" not in answer.data
    assert b"Traceback" not in answer.data
    wait_until(lambda: "canary-in-the-error" in running.log, what="the log holds the error")
    (line,) = [json.loads(line) for line in running.log.splitlines() if "canary-in-the-error" in line]
    assert line["request_id"] == "bug-1"


def test_malformed_requests_leave_one_short_line_and_no_traceback(running: ServiceProcess) -> None:
    talk(running.port, b"GET / HTTP/1.1\r\n" + HOST + b"X-One: 1\r\n" * 200 + b"\r\n", half_close=True)
    wait_until(lambda: "refused a request from 127.0.0.1: HTTPException" in running.log, what="the log line")
    assert "X-One" not in running.log
    assert all(line.startswith("{") for line in running.log.splitlines())


@pytest.fixture(scope="module")
def hurried() -> Iterator[ServiceProcess]:
    """The same service with a bound on half-sent requests that a test can wait for."""
    with ServiceProcess(SCRATCH, {"SCRATCH_REQUEST_S": "0.5"}) as process:
        yield process


class TestHalfSent:
    @pytest.mark.parametrize(
        "half", [b"G", b"GET /health/live HTTP/1.1\r\nHost: loc", post(b"Content-Length: 7\r\n", b"{"),
                 post(b"Transfer-Encoding: chunked\r\n", b"7\r\n{")],
        ids=["request line", "headers", "body", "chunks"],
    )  # fmt: skip
    def test_a_half_sent_request_is_closed_within_its_bound(self, hurried: ServiceProcess, half: bytes) -> None:
        assert talk(hurried.port, half) == b""

    def test_one_sent_byte_by_byte_is_closed_too(self, hurried: ServiceProcess) -> None:
        with socket.create_connection(("127.0.0.1", hurried.port), timeout=20) as link:
            link.settimeout(0.05)
            closed = threading.Event()

            def drip() -> bool:
                try:
                    link.sendall(b"a")
                    closed_now = link.recv(1) == b""
                except TimeoutError:
                    return False
                except OSError:
                    closed_now = True
                if closed_now:
                    closed.set()
                return closed.is_set()

            link.sendall(b"GET /")
            wait_until(drip, what="the dripping client is closed")

    def test_a_slow_answer_is_not_cut_by_it(self, hurried: ServiceProcess) -> None:
        body = b'{"x":1,"sleep_s":1.2}'
        headers = b"Content-Length: %d\r\nConnection: close\r\n" % len(body)
        assert b"200 OK" in talk(hurried.port, post(headers, body))

    def test_the_bound_itself_is_within_the_contracts_ten_seconds(self) -> None:
        source = (Path(__file__).parents[1] / "web" / "ride.py").read_text()
        (bound,) = re.findall(r"^REQUEST_S = ([\d.]+)", source, re.MULTILINE)
        assert float(bound) <= 10


class TestStop:
    def test_what_is_in_flight_is_answered_then_hooks_run_in_reverse_and_it_exits_0(self) -> None:
        with ServiceProcess(SCRATCH) as process:
            pool = urllib3.PoolManager(maxsize=200, retries=False, timeout=20)
            statuses: list[int] = []

            def call() -> None:  # 4 s: the first must not be answered before the last has come
                answer = pool.request("POST", f"{process.base_url}/echo", json={"x": 1, "sleep_s": 4.0})
                statuses.append(answer.status)

            callers = [threading.Thread(target=call) for _ in range(200)]
            for caller in callers:
                caller.start()
            wait_until(lambda: process.get("/stats")["data"]["waiting"] == 200, what="200 in flight")
            assert process.stop() == 0
            for caller in callers:
                caller.join(20)
            assert statuses == [200] * 200
            log = process.log
            assert "stopping: 200 requests in flight" in log
            assert log.index("last hook, run first") < log.index("first hook, run last") < log.index("Scratch stopped")

    def test_hooks_run_though_one_answer_never_ends(self) -> None:
        with ServiceProcess(SCRATCH, {"SCRATCH_STOP_S": "1.5"}) as process:
            body = b'{"x": 1, "sleep_s": 60}'
            head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            head += "Content-Type: application/json\r\n\r\n"
            with socket.create_connection(("127.0.0.1", process.port)) as link:
                link.sendall(head.encode() + body)
                wait_until(lambda: process.get("/stats")["data"]["waiting"] == 1, what="one in flight")
                assert process.stop() == 0
            assert "first hook, run last" in process.log

    def test_readiness_says_no_before_the_listener_closes(self) -> None:
        with ServiceProcess(SCRATCH, {"DRAIN_SECONDS": "5"}) as process:
            pool = urllib3.PoolManager(retries=False, timeout=20)
            stopper = threading.Thread(target=process.stop)
            stopper.start()

            def draining() -> bool:
                answer = pool.request("GET", f"{process.base_url}/health/ready")
                return (answer.status, answer.json()) == (503, {"status": "draining"})

            wait_until(draining, what="draining")
            assert pool.request("GET", f"{process.base_url}/health/live").status == 200
            stopper.join(20)
            assert process.exit_code == 0

    def test_a_port_that_is_taken_is_one_line_and_exit_code_1(self, running: ServiceProcess) -> None:
        with ServiceProcess(SCRATCH, {"PORT": str(running.port)}).start(wait=False) as second:
            wait_until(lambda: not second.running, 20, what="the second service gives up")
            (line,) = [line for line in second.log.splitlines() if not line.startswith("{")]
            assert line == (
                f"Port {running.port} on 127.0.0.1 is taken by {port_holder(running.port)}. "
                "Stop that program, or set PORT to a free one."
            )
            assert second.stop() == 1

    def test_a_wrong_setting_is_one_line_and_exit_code_1(self) -> None:
        with ServiceProcess(SCRATCH, {"LOG_LEVEL": "loud"}).start(wait=False) as service:
            wait_until(lambda: not service.running, 20, what="the service gives up")
            assert service.log.startswith("Wrong setting: LOG_LEVEL=")
            assert len(service.log.splitlines()) == 1
            assert service.stop() == 1
