"""The HTTP client against a real server: retries where they help, bounds that hold, errors of one tree."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from shared.errors import Unavailable
from shared.http_client import HttpClient
from shared.testing.fakes import FakeClock
from shared.testing.http_server import HttpServer, Reply
from shared.testing.net import free_port

pytestmark = pytest.mark.integration


def in_turn(*replies: Reply | None) -> HttpServer:
    """A server that gives these replies one after the other, the last for ever."""
    left = list(replies)
    return HttpServer(lambda _handler: left.pop(0) if len(left) > 1 else left[0])


def client(server: HttpServer, **options: object) -> tuple[HttpClient, FakeClock]:
    clock = FakeClock()
    return HttpClient(server.url, clock=clock, **options), clock  # type: ignore[arg-type]  # options vary per test


OK: Reply = (200, {"X-Thing": "1"}, b'{"a":1}')


def test_a_good_answer_comes_with_headers_and_json() -> None:
    with in_turn(OK) as server:
        http, _ = client(server)
        answer = http.get("/path", {"symbol": "BTCUSDT", "limit": 5, "none": None, "q": "ü &"})
        assert (answer.status, answer.headers["x-thing"], answer.json()) == (200, "1", {"a": 1})
        assert server.asked == ["/path?symbol=BTCUSDT&limit=5&q=%C3%BC+%26"]
        http.close()


def test_compressed_answers_are_unpacked() -> None:
    with in_turn((200, {"Content-Encoding": "gzip"}, gzip.compress(b"[1]"))) as server:
        assert client(server)[0].get("/").json() == [1]


@pytest.mark.parametrize("fault", [(500, {}, b""), (503, {}, b"<html>"), None])
def test_a_passing_fault_is_retried_with_a_random_wait(fault: Reply | None) -> None:
    with in_turn(fault, fault, OK) as server:
        http, clock = client(server)
        start = clock.monotonic()
        assert http.get("/").status == 200
        assert len(server.asked) == 3
        assert 0 < clock.monotonic() - start <= 0.5 + 1.0


def test_a_lasting_fault_is_unavailable_after_the_retries() -> None:
    with in_turn((502, {}, b"")) as server:
        http, _ = client(server, retries=3)
        with pytest.raises(Unavailable, match="502"):
            http.get("/")
        assert len(server.asked) == 4


def test_retry_after_is_waited_for_exactly() -> None:
    clock_start = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
    with in_turn(
        (503, {"Retry-After": "3"}, b""),
        (503, {"Retry-After": format_datetime(clock_start + timedelta(seconds=7), usegmt=True)}, b""),
        OK,
    ) as server:
        clock = FakeClock(clock_start)
        assert HttpClient(server.url, clock=clock).get("/").status == 200
        assert clock.now() == clock_start + timedelta(seconds=7)


def test_a_long_retry_after_is_left_to_the_caller() -> None:
    with in_turn((503, {"Retry-After": "60"}, b"")) as server:
        http, clock = client(server)
        start = clock.monotonic()
        with pytest.raises(Unavailable) as caught:
            http.get("/")
        assert caught.value.retry_after_s == 60
        assert clock.monotonic() == start
        assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "retry_after_s"), [(404, None), (429, 7), (400, None)])
def test_refusals_come_back_and_are_never_retried(status: int, retry_after_s: float | None) -> None:
    with in_turn((status, {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}, b"{}")) as server:
        answer = client(server)[0].get("/")
        assert (answer.status, answer.retry_after_s) == (status, retry_after_s)
        assert len(server.asked) == 1


def test_redirects_are_not_followed() -> None:
    with in_turn((302, {"Location": "/elsewhere"}, b"")) as server:
        assert client(server)[0].get("/").status == 302
        assert server.asked == ["/"]


@pytest.mark.parametrize("body", [b"x" * 2000, gzip.compress(b"x" * 2000, mtime=0)])
def test_an_answer_over_the_bound_is_refused_packed_or_not(body: bytes) -> None:
    headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    with in_turn((200, headers, body)) as server:
        http, _ = client(server, max_bytes=1000, retries=0)
        with pytest.raises(Unavailable):
            http.get("/")


def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> Reply | None:
        handler.send_response_only(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b"x")
                time.sleep(0.02)  # the server's pace; the test waits for the client's time-out
        except OSError:
            pass
        return None

    with HttpServer(trickle) as server:
        http, _ = client(server, timeout_s=0.3, retries=0)
        with pytest.raises(Unavailable):
            http.get("/")


def test_an_answer_cut_short_is_an_error_and_not_half_a_body() -> None:
    def cut(handler: BaseHTTPRequestHandler) -> Reply | None:
        handler.send_response_only(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        return None

    with HttpServer(cut) as server, pytest.raises(Unavailable):
        client(server, retries=0)[0].get("/")


def test_nobody_there_is_unavailable_and_names_the_host_without_login() -> None:
    port = free_port()
    http = HttpClient(f"http://user:hunter2@127.0.0.1:{port}", retries=0)
    with pytest.raises(Unavailable) as caught:
        http.get("/")
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_page_instead_of_json_is_unavailable() -> None:
    with in_turn((200, {}, b"<html>portal</html>")) as server, pytest.raises(Unavailable, match="not JSON"):
        client(server)[0].get("/").json()


def test_send_makes_one_attempt_and_hands_any_answer_over() -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    def respond(handler: BaseHTTPRequestHandler) -> Reply:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        seen.append((handler.command, handler.headers["X-Request-ID"], body))
        return 503, {"Retry-After": "7"}, b"{}"

    with HttpServer(respond) as server:
        http, clock = client(server)
        start = clock.monotonic()
        answer = http.send("POST", "/path?a=%2F", body=b'{"a":1}', headers={"X-Request-ID": "r-1"})
        assert (answer.status, answer.body, answer.retry_after_s) == (503, b"{}", 7.0)
        http.send("DELETE", "/path/1")
        assert seen == [("POST", "r-1", b'{"a":1}'), ("DELETE", None, b"")]
        assert server.asked == ["/path?a=%2F", "/path/1"]
        assert clock.monotonic() == start, "no wait, since no retry"


@pytest.mark.parametrize("options", [{"timeout_s": 0.2}, {"max_bytes": 10}], ids=["too slow", "too large"])
def test_send_is_bounded(options: dict[str, float]) -> None:
    def respond(handler: BaseHTTPRequestHandler) -> Reply:
        if "timeout_s" in options:
            time.sleep(0.5)
        return 200, {}, b"x" * 100

    with HttpServer(respond) as server, pytest.raises(Unavailable):
        client(server, **options)[0].send("GET", "/")


def test_a_stream_comes_in_pieces_of_bounded_size() -> None:
    with in_turn((200, {"Content-Type": "text/csv"}, b"x" * 1_000_000)) as server:
        closed: list[bool] = []
        found = client(server, max_bytes=10)[0].stream("/", on_close=lambda: closed.append(True))
        assert (found.status, found.headers["content-type"]) == (200, "text/csv")
        pieces = list(found)
        assert sum(map(len, pieces)) == 1_000_000
        assert max(map(len, pieces)) <= 65_536
        found.close()
        assert closed == [True], "once"


def test_a_stream_that_nobody_reads_can_be_given_up() -> None:
    with in_turn((200, {}, b"x" * 1_000_000), OK) as server:
        closed: list[bool] = []
        http = client(server)[0]
        http.stream("/", on_close=lambda: closed.append(True)).close()
        assert closed == [True]
        assert http.send("GET", "/").status == 200


def test_a_stream_that_ends_early_says_so() -> None:
    def respond(handler: BaseHTTPRequestHandler) -> Reply:
        handler.close_connection = True
        return 200, {"Content-Length": "100"}, b"short"

    with HttpServer(respond) as server:
        found = client(server)[0].stream("/")
        with pytest.raises(Unavailable, match="ended early"):
            list(found)


def test_nobody_there_is_unavailable_for_a_stream_too() -> None:
    with pytest.raises(Unavailable):
        HttpClient(f"http://127.0.0.1:{free_port()}").stream("/")
