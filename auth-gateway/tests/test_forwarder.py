"""A request reaches a service and its answer comes back, over connections that are kept, broken or hung."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from auth_gateway.breaker import FAILURES
from auth_gateway.forwarding.forwarder import CHUNK_BYTES, Forwarder
from shared.errors import MalformedInput, Unavailable
from shared.testing.net import free_port

pytestmark = pytest.mark.integration
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
END_OF_HEAD = b"\r\n\r\n"
Talk = Callable[[socket.socket, bytes], object]  # with the connection and the request's bytes; True: it stays open


def says(answer: bytes, stays: bool = True) -> Talk:
    def talk(link: socket.socket, _: bytes) -> bool:
        link.sendall(answer)
        return stays

    return talk


class Upstream:
    """Hands each request, as it came, to `talk`; `asked` holds them, `connections` counts."""

    def __init__(self) -> None:
        self.talk: Talk = says(OK)
        self.asked: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, contextlib.suppress(ConnectionError):
            link.settimeout(10)
            while request := _request(link):
                self.asked.append(request)
                if not self.talk(link, request):
                    return


def _request(link: socket.socket) -> bytes:
    seen = b""
    while END_OF_HEAD not in seen:
        if not (received := link.recv(65_536)):
            return b""
        seen += received
    head, _, body = seen.partition(END_OF_HEAD)
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += link.recv(65_536)
    return head + END_OF_HEAD + body


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def forwarder(upstream: Upstream) -> Iterator[Forwarder]:
    nobody = f"http://127.0.0.1:{free_port()}"
    made = Forwarder({"stream": upstream.url, "nobody": nobody}, time.monotonic)
    yield made
    made.close()


def ask(forwarder: Forwarder, method: str = "GET", target: str = "/", body: bytes = b"") -> bytes:
    return b"".join(forwarder.send("stream", method, target, [], body, 5.0).body)


def test_requests_one_after_the_other_share_a_connection(upstream: Upstream, forwarder: Forwarder) -> None:
    assert [ask(forwarder), ask(forwarder, "POST", body=b"{}"), ask(forwarder)] == [b"hi"] * 3
    assert upstream.connections == 1


def test_a_request_arrives_as_it_was_handed_over(upstream: Upstream, forwarder: Forwarder) -> None:
    forwarder.send("stream", "POST", "/a%2Fb?c=%20", [("X-One", "é"), ("X-Two", "2")], b'{"a":1}')
    head, _, body = upstream.asked[0].partition(END_OF_HEAD)
    first, *headers = head.decode("latin-1").split("\r\n")
    assert first == "POST /a%2Fb?c=%20 HTTP/1.1"
    assert headers == [f"Host: {upstream.url.removeprefix('http://')}", "X-One: é", "X-Two: 2", "Content-Length: 7"]
    assert body == b'{"a":1}'


def test_what_stands_unquoted_in_a_query_is_quoted(upstream: Upstream, forwarder: Forwarder) -> None:
    ask(forwarder, target="/a?b=\xe9 \x01#%41")
    assert upstream.asked[0].startswith(b"GET /a?b=%E9%20%01%23%41 HTTP/1.1\r\n")


def test_a_header_that_would_end_in_the_middle_is_refused(upstream: Upstream, forwarder: Forwarder) -> None:
    with pytest.raises(MalformedInput, match="X-One"):
        forwarder.send("stream", "GET", "/", [("X-One", "1\r\nX-Two: 2")], b"")
    assert ask(forwarder) == b"hi"


def test_a_body_in_chunks_comes_as_it_is_sent(upstream: Upstream, forwarder: Forwarder) -> None:
    go_on = threading.Event()

    def talk(link: socket.socket, _: bytes) -> bool:
        link.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert go_on.wait(5)
        link.sendall(b"3\r\ntwo\r\n0\r\n\r\n")
        return True

    upstream.talk = talk
    body = forwarder.send("stream", "GET", "/", [], b"").body
    assert next(body) == b"one"
    go_on.set()
    assert list(body) == [b"two"]
    assert ask(forwarder) == b"onetwo"
    assert upstream.connections == 1


@pytest.mark.parametrize("size", [CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_a_body_of_any_length_comes_whole_and_its_connection_is_kept(
    upstream: Upstream, forwarder: Forwarder, size: int
) -> None:
    whole = bytes(range(256)) * (size // 256)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    upstream.talk = says(head + whole)
    assert [ask(forwarder) == whole, ask(forwarder) == whole] == [True, True]
    assert upstream.connections == 1


def test_a_body_without_a_length_ends_with_its_connection(upstream: Upstream, forwarder: Forwarder) -> None:
    upstream.talk = says(b"HTTP/1.1 200 OK\r\n\r\nhi", stays=False)
    assert [ask(forwarder), ask(forwarder)] == [b"hi", b"hi"]


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"],
)
def test_an_answer_without_a_body_leaves_its_connection_usable(
    upstream: Upstream, forwarder: Forwarder, answer: bytes
) -> None:
    upstream.talk = says(answer)
    assert [ask(forwarder), ask(forwarder)] == [b"", b""]
    assert upstream.connections == 1


def test_the_answer_to_head_has_its_length_and_no_body(upstream: Upstream, forwarder: Forwarder) -> None:
    upstream.talk = says(OK.removesuffix(b"hi"))
    answer = forwarder.send("stream", "HEAD", "/", [], b"")
    assert (answer.headers, list(answer.body)) == ([("Content-Length", "2")], [b""])
    upstream.talk = says(OK)
    assert ask(forwarder) == b"hi"


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nrubbish\r\n",
    ],
)
def test_a_body_that_breaks_off_is_no_whole_one(upstream: Upstream, forwarder: Forwarder, cut: bytes) -> None:
    upstream.talk = says(cut, stays=False)
    body = forwarder.send("stream", "GET", "/", [], b"").body
    assert next(body) == b"hi"
    with pytest.raises(Unavailable, match="the connection broke"):
        next(body)


def test_a_short_body_that_breaks_off_is_not_answered_at_all(upstream: Upstream, forwarder: Forwarder) -> None:
    upstream.talk = says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi", stays=False)
    with pytest.raises(Unavailable, match="the connection broke"):
        ask(forwarder)


def test_a_body_that_nobody_reads_to_its_end_gives_its_connection_up(upstream: Upstream, forwarder: Forwarder) -> None:
    size = 3 * CHUNK_BYTES
    upstream.talk = says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size, stays=False)
    body = forwarder.send("stream", "GET", "/", [], b"").body
    next(body)
    body.close()  # type: ignore[attr-defined]  # a generator, as WSGI servers close it
    upstream.talk = says(OK)
    assert ask(forwarder) == b"hi"
    assert upstream.connections == 2


def test_a_safe_request_is_asked_again_when_its_kept_connection_broke(
    upstream: Upstream, forwarder: Forwarder
) -> None:
    assert ask(forwarder) == b"hi"
    upstream.talk = lambda link, request: upstream.connections > 1 and says(OK)(link, request)
    assert ask(forwarder, target="/again") == b"hi"
    assert [request.split()[1] for request in upstream.asked] == [b"/", b"/again", b"/again"]


def test_any_other_is_not_since_it_may_have_been_done(upstream: Upstream, forwarder: Forwarder) -> None:
    assert ask(forwarder) == b"hi"
    upstream.talk = lambda _, __: False
    with pytest.raises(Unavailable, match="the connection broke"):
        ask(forwarder, "POST", "/once", b"{}")
    assert [request.split()[1] for request in upstream.asked] == [b"/", b"/once"]


def test_nothing_is_sent_on_a_connection_that_the_service_has_closed(upstream: Upstream, forwarder: Forwarder) -> None:
    closed = threading.Event()

    def talk(link: socket.socket, _: bytes) -> bool:
        link.sendall(OK)
        link.shutdown(socket.SHUT_RDWR)
        closed.set()
        return False

    upstream.talk = talk
    for number in range(3):
        assert ask(forwarder, "POST", f"/{number}", b"{}") == b"hi"
        assert closed.wait(5)
        closed.clear()
    assert [request.split()[1] for request in upstream.asked] == [b"/0", b"/1", b"/2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_service_says_unasked_is_nobodys_answer(
    upstream: Upstream, forwarder: Forwarder, method: str
) -> None:
    answered, said = threading.Event(), threading.Event()

    def talk(link: socket.socket, _: bytes) -> bool:
        link.sendall(OK)
        assert answered.wait(5)
        link.sendall(OK.replace(b"hi", b"no"))
        said.set()
        return True

    upstream.talk = talk
    assert ask(forwarder) == b"hi"
    answered.set()
    assert said.wait(5)
    upstream.talk = says(OK)
    assert ask(forwarder, method) == b"hi"
    assert upstream.connections == 2


def test_one_that_does_not_answer_in_time_is_asked_once(upstream: Upstream, forwarder: Forwarder) -> None:
    assert ask(forwarder) == b"hi"
    released = threading.Event()
    upstream.talk = lambda _, __: not released.wait(5)
    with pytest.raises(Unavailable, match="too late"):
        forwarder.send("stream", "GET", "/slow", [], b"", 0.1)
    released.set()
    assert [request.split()[1] for request in upstream.asked] == [b"/", b"/slow"]


def test_a_service_that_is_not_there_is_left_alone_after_a_few_calls(forwarder: Forwarder) -> None:
    for _ in range(FAILURES):
        with pytest.raises(Unavailable, match="no connection"):
            forwarder.send("nobody", "GET", "/", [], b"")
    assert forwarder.breakers["nobody"].is_open
    assert not forwarder.breakers["stream"].is_open
