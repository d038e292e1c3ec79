"""The lane answers hot requests exactly as the normal way does, and leaves alone whatever isn't plain."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.config import Settings
from shared.service import Service, create_service
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.voucher import HEADER, Voucher, make_voucher
from shared.web.lane import MAX_AGAIN, MAX_AGAIN_BYTES, Lane
from shared.web.models import Body, Headers, Query
from shared.web.ride import MOST_TOGETHER

SCRATCH = Path(__file__).parent / "data" / "scratch_service"
JSON = b"Content-Type: application/json\r\n"
Answer = tuple[int, dict[str, str], bytes]


def request(headers: bytes = JSON, body: bytes = b'{"x":1}', host: bytes = b"localhost", length: str = "") -> bytes:
    size = (length or str(len(body))).encode()
    return b"POST /hot HTTP/1.1\r\nHost: " + host + b"\r\n" + headers + b"Content-Length: " + size + b"\r\n\r\n" + body


# --- what is recognised


@pytest.fixture
def lane() -> Lane:
    class Echo(Body):
        """A body."""

        x: float

    class Name(Headers):
        """A header."""

    service: Service = create_service("database-service", Settings.read({}, SCRATCH), import_name="shared")

    @service.route("POST", "/hot", summary="Hot", body=Echo, headers=Name, max_body=1000, hot=True)
    def hot(body: Echo, headers: Name) -> dict[str, float]:
        return {"x": body.x}

    @service.route("POST", "/cold", summary="Cold", body=Echo)
    def cold(body: Echo) -> dict[str, float]:
        return {"x": body.x}

    return Lane(service)


@pytest.mark.unit
@pytest.mark.parametrize(
    "plain",
    [
        request(),
        request(b"content-type:application/json\r\nUser-Agent: a/1 (b; c)\r\nAccept: */*\r\n"),
        request(b"Content-Type: application/json; charset=utf-8\r\nConnection: Keep-Alive\r\nX-Request-ID: a-1\r\n"),
        request(body=b"") + b"POST /hot HTTP/1.1\r\n",
        request(host=b"127.0.0.1:5020"),
        request(body=b"{")[:-1],  # the body is still to come
    ],
)
def test_a_plain_request_is_taken(lane: Lane, plain: bytes) -> None:
    taken = lane.recognise(plain)
    assert taken is not None
    assert taken.head_bytes == plain.find(b"\r\n\r\n") + 4


@pytest.mark.unit
@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"\r\n\r\n",
        request()[:60],
        request().replace(b"/hot", b"/cold"),
        request().replace(b"/hot", b"/hot?a=1"),
        request().replace(b"/hot", b"//hot"),
        request().replace(b"POST", b"PUT"),
        request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        request().replace(b"\r\n", b"\n"),
        request().replace(b"Host: localhost\r\n", b""),
        request(host=b"evil.example"),
        request(host=b""),
        request(b"Content-Type: text/plain\r\n"),
        request(b""),
        request(JSON + JSON),
        request(JSON + b"Host: localhost\r\n"),
        request(JSON + b"Content-Length: 7\r\n"),
        request(JSON + b"Transfer-Encoding: chunked\r\n"),
        request(JSON + b"Content-Encoding: gzip\r\n"),
        request(JSON + b"Expect: 100-continue\r\n"),
        request(JSON + b"Origin: http://localhost:3000\r\n"),
        request(JSON + b"X-Forwarded-For: 1.2.3.4\r\n"),
        request(JSON + b"Upgrade: websocket\r\n"),
        request(JSON + b"Connection: close\r\n"),
        request(JSON + b"X-Request-ID: <script>\r\n"),
        request(JSON + b"X-Request-ID: " + b"a" * 129 + b"\r\n"),
        request(JSON + b" folded: 1\r\n"),
        request(JSON + b"Accept : a\r\n"),
        request(JSON + b"Accept: a\x00b\r\n"),
        request(JSON + b"Accept: a\rb\r\n"),
        request(JSON + b"Accept: \xc3\xa9\r\n"),
        request(JSON + b"Accept\r\n"),
        request(length="1001"),
        request(length="+7"),
        request(length="7a"),
        request(length="999999999"),
        request(length="-1"),
    ],
    ids=lambda other: str(other[:110]),
)
def test_everything_else_goes_the_normal_way(lane: Lane, other: bytes) -> None:
    assert lane.recognise(other) is None


GET_HEADERS = b" HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"


@pytest.fixture
def gets() -> Lane:
    class Asked(Query):
        """A query."""

        a: str | None = None

    service: Service = create_service("database-service", Settings.read({}, SCRATCH), import_name="shared")

    @service.route("GET", "/all", summary="All", query=Asked, hot=True)
    def everything(query: Asked) -> dict[str, str | None]:
        return {"a": query.a}

    @service.route("GET", "/one/<name>", summary="One", hot=True)
    def one(name: str) -> dict[str, str]:
        return {"name": name}

    @service.route("GET", "/one/cold", summary="Cold")
    def cold() -> dict[str, str]:
        return {}

    return Lane(service)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("target", "query"),
    [
        (b"/all", {}),
        (b"/all?a=1&b=x:y.z~-_", {"a": "1", "b": "x:y.z~-_"}),
        (b"/all?a=&b=1", {"b": "1"}),
        (b"/one/BTC-USDT:2025.1~2", {}),
    ],
)
def test_a_plain_get_is_taken(gets: Lane, target: bytes, query: dict[str, str]) -> None:
    taken = gets.recognise(b"GET " + target + GET_HEADERS)
    assert taken is not None
    assert (taken.path, taken.query, taken.body_bytes) == (target.decode().partition("?")[0], query, 0)


@pytest.mark.unit
@pytest.mark.parametrize(
    "target",
    [
        b"/all/", b"//all", b"/all?", b"/all?a", b"/all?a=1&a=2", b"/all?a=%31", b"/all?a=1+1", b"/all?a=1=2",
        b"/all#a", b"/one/", b"/one/cold", b"/one/..", b"/one/a/b", b"/one/%41", b"/one/.", b"/none", b"/one/\xc3\xa9",
        b"/all?a=1&",
    ],
)  # fmt: skip
def test_every_other_get_goes_the_normal_way(gets: Lane, target: bytes) -> None:
    assert gets.recognise(b"GET " + target + GET_HEADERS) is None


@pytest.mark.unit
def test_the_very_same_get_is_known_again_and_one_with_an_id_or_more_behind_it_is_read_anew(gets: Lane) -> None:
    plain = b"GET /all?a=1" + GET_HEADERS
    first = gets.recognise(plain)
    assert gets.recognise(bytes(bytearray(plain))) is first
    with_id = plain.replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\n\r\n")
    assert gets.recognise(with_id) is not gets.recognise(with_id)
    both = gets.recognise(plain + plain)
    assert both is not None
    assert (both is first, both.head_bytes) == (False, len(plain))
    long = plain.replace(b"*/*", b"a" * MAX_AGAIN_BYTES)
    assert gets.recognise(long) is not gets.recognise(long)


@pytest.mark.unit
def test_so_many_different_requests_are_remembered_and_no_more(gets: Lane) -> None:
    for number in range(3 * MAX_AGAIN):
        assert gets.recognise(b"GET /all?a=%d" % number + GET_HEADERS) is not None
    assert len(gets._again) <= MAX_AGAIN


@pytest.mark.unit
def test_a_get_with_a_body_or_another_method_goes_the_normal_way(gets: Lane) -> None:
    assert gets.recognise(b"GET /all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n") is None
    assert gets.recognise(b"HEAD /all" + GET_HEADERS) is None
    assert gets.recognise(b"POST /all" + GET_HEADERS) is None


# --- through the gateway

SECRET = b"a secret of the fleet, long enough for it"
FORWARDED = b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"


def vouched(address: str = "192.0.2.7", service: str = "database-service", secret: bytes = SECRET) -> bytes:
    """The headers that the gateway sends along, by today's clock."""
    header = make_voucher(secret, service, Voucher(address, "an account", "trader"), time.time())
    return FORWARDED + f"{HEADER}: {header}\r\n".encode()


def lane_of(**settings: str) -> Lane:
    asked = Settings.read({"FLEET_SECRET": SECRET.decode(), **settings}, SCRATCH)
    service: Service = create_service("database-service", asked, import_name="shared")

    @service.route("GET", "/all", summary="All", hot=True)
    def everything() -> dict[str, str]:
        return {}

    return Lane(service)


def get(headers: bytes) -> bytes:
    return b"GET /all HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n"


@pytest.mark.unit
@pytest.mark.parametrize("required", ["false", "true"])
def test_a_request_with_a_voucher_is_taken_as_the_clients_whom_it_names(required: str) -> None:
    taken = lane_of(AUTH_REQUIRED=required).recognise(get(vouched()))
    assert taken is not None
    assert taken.client == "192.0.2.7"


@pytest.mark.unit
@pytest.mark.parametrize("required", ["false", "true"])
@pytest.mark.parametrize(
    "headers",
    [
        lambda: FORWARDED,
        lambda: vouched(secret=b"another secret of somebody, long enough"),
        lambda: vouched(service="dashboard"),
        lambda: vouched() + vouched("192.0.2.8").removeprefix(FORWARDED),
        lambda: vouched() + b"X-Fleet-Other: 1\r\n",
        lambda: FORWARDED + HEADER.encode() + b": .\r\n",
    ],
    ids=["none", "another secret", "another service", "two", "an unknown header", "rubbish"],
)
def test_one_without_a_voucher_that_holds_goes_the_normal_way(required: str, headers: Callable[[], bytes]) -> None:
    assert lane_of(AUTH_REQUIRED=required).recognise(get(headers())) is None


@pytest.mark.unit
def test_where_vouchers_are_required_nothing_else_is_taken() -> None:
    assert lane_of().recognise(get(b"")) is not None
    assert lane_of(AUTH_REQUIRED="true").recognise(get(b"")) is None


@pytest.mark.unit
def test_a_voucher_is_judged_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lane, seen = lane_of(AUTH_REQUIRED="true"), get(vouched())
    assert lane.recognise(seen) is not lane.recognise(seen)
    monkeypatch.setattr(lane, "_read_voucher", lambda _header: None)  # as when its minute is over
    assert lane.recognise(seen) is None


# --- how it is answered


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """The same service with the lane and without."""
    env = {"SCRATCH_REQUEST_S": "1", "FLEET_SECRET": SECRET.decode()}
    with ServiceProcess(SCRATCH, env) as first, ServiceProcess(SCRATCH, env | {"HOT_LANE": "false"}) as second:
        yield first, second


def read_answer(link: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = link.recv(65_536)
        assert chunk, received
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        chunk = link.recv(1_000_000)
        assert chunk, "cut short"
        body += chunk
    assert len(body) == int(headers["content-length"])
    return int(first.split()[1]), headers, body


def read_one(link: socket.socket) -> Answer:
    """Byte by byte, so that nothing of the next answer is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += link.recv(1)
    length = int(re.findall(rb"content-length: (\d+)", head.lower())[0])
    return int(head.split()[1]), {}, b"".join(link.recv(1) for _ in range(length))


def ask(service: ServiceProcess, *parts: bytes) -> Answer:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            link.sendall(part)
        return read_answer(link)


def alike(answer: Answer) -> Answer:
    """Without what differs from answer to answer."""
    status, headers, body = answer
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert re.fullmatch(r"[0-9a-f]{32}|mine", headers["x-request-id"])
    made = {} if headers["x-request-id"] == "mine" else {"x-request-id": "made"}
    return status, headers | {"date": "", "x-ratelimit-reset": ""} | made, body


@pytest.mark.integration
@pytest.mark.api
def test_limits_count_the_client_whom_a_voucher_names(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    for service in both:
        requests = [request(JSON + vouched(address)) for address in ("192.0.2.8", "192.0.2.8", "192.0.2.9")]
        answers = [ask(service, each) for each in requests]
        assert [headers["x-ratelimit-remaining"] for _, headers, _ in answers] == ["39", "38", "39"]


@pytest.mark.integration
@pytest.mark.api
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(), 200),
        (request(JSON + b"X-Request-ID: mine\r\nEcho-Name: me\r\n"), 200),
        (request(JSON + b"Echo-Name: much-too-long\r\n"), 422),
        (request(body=b'{"x":"1"}'), 422),
        (request(body=b'{"x":1,"y":2}'), 422),
        (request(body=b"[]"), 422),
        (request(body=b"{"), 400),
        (request(body=b'{"x":NaN}'), 400),
        (request(body=b'{"x":1e999}'), 400),
        (request(body=b""), 400),
        (request(body=b"[" * 500), 400),
        (request(body=b'{"x":13}'), 500),
        (request(body=b'{"x":14}'), 503),
        (request(body=b" " * 1001), 413),
        (request(host=b"evil.example"), 403),
        (request(body=b'{"x":2}').replace(b"/hot", b"/later"), 200),
        (request(body=b'{"x":2,"sleep_s":0.1}').replace(b"/hot", b"/later"), 200),
        (request(body=b'{"x":13,"sleep_s":0.1}').replace(b"/hot", b"/later"), 500),
        (request(body=b'{"x":14,"sleep_s":0.1}').replace(b"/hot", b"/later"), 503),
        (b"GET /things/all?size=2&name=a" + GET_HEADERS, 200),
        (b"GET /things/all?size=6" + GET_HEADERS, 422),
        (b"GET /things/all?other=6" + GET_HEADERS, 422),
        (b"GET /things/some" + GET_HEADERS, 200),
        (b"GET /things/cold" + GET_HEADERS, 200),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_both_ways_answer_alike(both: tuple[ServiceProcess, ServiceProcess], sent: bytes, status: int) -> None:
    first, second = (alike(ask(service, sent)) for service in both)
    assert first == second
    assert first[0] == status
    assert b"canary" not in first[2]


@pytest.mark.integration
@pytest.mark.api
def test_bytes_may_come_one_by_one_and_requests_together(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    sent = request(JSON + b"X-Request-ID: mine\r\n", body=b'{"x":7}')
    for service in both:
        assert ask(service, *(sent[n : n + 1] for n in range(len(sent))))[0] == 200
        head, end, body = sent.partition(b"\r\n\r\n")
        assert ask(service, head + end, body)[2] == b'{"success":true,"x":7.0,"name":null}'
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            link.sendall(sent + sent)
            received = b""
            while received.count(b'"x":7.0') < 2:
                received += link.recv(65_536)
            link.sendall(sent)
            assert read_answer(link)[0] == 200


@pytest.mark.integration
@pytest.mark.api
def test_requests_sent_together_are_answered_in_their_order_even_if_the_first_takes_longer(
    both: tuple[ServiceProcess, ServiceProcess],
) -> None:
    slow = request(body=b'{"x":14,"sleep_s":0.3}').replace(b"/hot", b"/later")
    for service in both:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            link.sendall(slow + request(body=b'{"x":7}'))
            assert [read_one(link)[0], read_one(link)[0]] == [503, 200]


@pytest.mark.integration
@pytest.mark.api
def test_many_requests_sent_at_once_are_all_answered(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    """64 of 256 bytes: one ends exactly where a reader's usual buffer does."""
    bare = request(body=b'{"x":7}').replace(b"/hot", b"/later")
    whole = bare.replace(b"\r\n\r\n", b"\r\nAccept: " + b"a" * (256 - len(bare) - 10) + b"\r\n\r\n")
    assert len(whole) == 256
    for service in both:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            link.sendall(bare)  # from here on the lane receives by itself
            read_one(link)
            link.sendall(whole * 64)
            assert [read_one(link)[0] for _ in range(64)] == [200] * 64


@pytest.mark.integration
@pytest.mark.api
def test_requests_of_both_ways_sent_together_are_answered_in_their_order(
    both: tuple[ServiceProcess, ServiceProcess],
) -> None:
    """An answer of the lane leaves at the end of the loop's turn; one of the normal way must not overtake it."""
    hot = b"GET /things/some" + GET_HEADERS
    cold = b"GET /things/cold" + GET_HEADERS
    for service in both:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            for _ in range(2):
                link.sendall((hot + cold) * 20)
                assert [read_one(link)[2] for _ in range(40)] == [ask(service, hot)[2], ask(service, cold)[2]] * 20


@pytest.mark.integration
@pytest.mark.api
def test_more_clients_than_are_answered_together_are_all_answered(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    count = 3 * MOST_TOGETHER
    for service in both:
        with ExitStack() as stack:
            links = [socket.create_connection(("127.0.0.1", service.port), timeout=10) for _ in range(count)]
            for link in links:
                stack.enter_context(link)
            for _ in range(3):
                for link in links:
                    link.sendall(b"GET /things/some" + GET_HEADERS)
                assert [read_one(link)[0] for link in links] == [200] * count


@pytest.mark.integration
@pytest.mark.api
def test_an_answer_larger_than_the_sockets_buffer_arrives_whole(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    asked = request(body=b'{"x":2,"padding":20000000}').replace(b"/hot", b"/later")
    for service in both:
        assert len(ask(service, asked)[2]) > 20_000_000


@pytest.mark.integration
@pytest.mark.api
def test_a_client_that_shuts_its_side_still_gets_its_answer(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    asked = request(body=b'{"x":2,"sleep_s":0.3}').replace(b"/hot", b"/later")
    with socket.create_connection(("127.0.0.1", both[0].port), timeout=10) as link:
        link.sendall(asked)
        link.shutdown(socket.SHUT_WR)
        assert read_answer(link)[0] == 200


@pytest.mark.integration
@pytest.mark.api
def test_a_body_that_stops_is_not_waited_for_and_a_short_one_refused(
    both: tuple[ServiceProcess, ServiceProcess],
) -> None:
    for service in both:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            link.sendall(request(length="900"))
            assert link.recv(1000) == b""
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as link:
            link.sendall(request(length="900"))
            link.shutdown(socket.SHUT_WR)
            assert read_answer(link)[0] == 400


@pytest.mark.integration
@pytest.mark.api
def test_the_lane_counts_and_limits_as_the_normal_way_does() -> None:
    with ServiceProcess(SCRATCH) as service:
        other = request(JSON + b"Origin: http://localhost:3000\r\n")  # goes the normal way
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: ask(service, other if n % 2 else request()), range(50)))
        statuses = [status for status, _, _ in answers]
        assert (statuses.count(200), statuses.count(429)) == (40, 10)
        assert all(int(headers["retry-after"]) >= 1 for status, headers, _ in answers if status == 429)
        _, _, text = ask(service, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'http_requests_total{method="POST",route="/hot",service="database-service",status="200"} 40.0' in text
        assert b'http_errors_total{method="POST",route="/hot",service="database-service",status="429"} 10.0' in text


@pytest.mark.integration
@pytest.mark.api
def test_the_log_line_bears_the_requests_id(both: tuple[ServiceProcess, ServiceProcess]) -> None:
    for service in both:
        ask(service, request(JSON + b"X-Request-ID: trace-me\r\n"))
        assert re.search(r'"POST /hot 200 [\d.]+ ms", "request_id": "trace-me"', service.log)


@pytest.mark.integration
@pytest.mark.api
def test_what_is_in_flight_when_the_service_stops_is_answered_and_told_to_close() -> None:
    with ServiceProcess(SCRATCH) as service, ThreadPoolExecutor(1) as pool:
        call = pool.submit(ask, service, request(body=b'{"x":1,"sleep_s":1.5}'))
        wait_until(lambda: service.get("/stats")["data"]["waiting"] == 1, 5, what="the request in flight")
        assert service.stop() == 0
        status, headers, _ = call.result(10)
        assert (status, headers["connection"]) == (200, "close")
