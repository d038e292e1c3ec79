"""The server's side of WebSocket, on real sockets: messages, pings, closing, bounds, handshake, dispatch."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import websocket as client_library
from werkzeug.test import EnvironBuilder

from shared.testing.net import wait_until
from shared.testing.websocket_server import WebSocketServer
from shared.web.websocket import WebSocket, WebSocketClosed, WebSocketGate
from shared.websocket_frames import FrameParser, Message, Opcode, encode_close, encode_frame

pytestmark = pytest.mark.websocket
MASK = b"mask"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Peer:
    """The client's end of a socket pair."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(5)
        self.parser = FrameParser(masked=False, max_message_bytes=10_000_000)

    def send(self, opcode: Opcode, payload: str | bytes = b"") -> None:
        self.socket.sendall(encode_frame(opcode, payload, MASK))

    def send_close(self, code: int, reason: str = "") -> None:
        self.socket.sendall(encode_close(code, reason, MASK))

    def read(self) -> Message:
        """The next message; StopIteration never: the end of the stream is an error here."""
        messages = self.parser.feed(b"")
        while (message := next(messages, None)) is None:
            chunk = self.socket.recv(65_536)
            assert chunk, "the server ended the stream"
            messages = self.parser.feed(chunk)
        return message


@pytest.fixture
def pair() -> Iterator[tuple[WebSocket, Peer]]:
    server, client = socket.socketpair()
    with server, client:
        yield WebSocket(server, max_message_bytes=1000, send_timeout_s=1.0, close_timeout_s=0.5), Peer(client)


def test_text_and_binary_messages_arrive_in_order(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    peer.send(Opcode.TEXT, "grüß")
    peer.send(Opcode.BINARY, b"\x00\xff")
    peer.send(Opcode.TEXT, "")
    assert [ws.receive(), ws.receive(), ws.receive()] == ["grüß", b"\x00\xff", ""]


def test_receive_times_out_and_the_connection_stays(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    with pytest.raises(TimeoutError):
        ws.receive(timeout_s=0.05)
    peer.send(Opcode.TEXT, "still here")
    assert ws.receive(timeout_s=5) == "still here"


def test_receive_without_a_time_out_outlasts_the_sockets_own(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    timer = threading.Timer(0.8, peer.send, [Opcode.TEXT, "late"])  # longer than close_timeout_s, the read slice
    timer.start()
    assert ws.receive() == "late"
    timer.join()


def test_pings_are_answered_and_pongs_noted_without_the_handler_seeing_them(
    pair: tuple[WebSocket, Peer],
) -> None:
    ws, peer = pair
    connected_at = ws.last_pong_at
    ws.ping(b"alive?")
    peer.send(Opcode.PING, b"42")
    peer.send(Opcode.PONG, b"alive?")
    peer.send(Opcode.TEXT, "data")
    assert ws.receive() == "data"
    assert [peer.read(), peer.read()] == [Message(Opcode.PING, b"alive?"), Message(Opcode.PONG, b"42")]
    assert ws.last_pong_at > connected_at


def test_a_ready_frame_goes_out_as_it_is(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    ws.send_frame(encode_frame(Opcode.TEXT, "one") + encode_frame(Opcode.TEXT, "two"))
    ws.send_text(b"three")
    assert [peer.read().data for _ in range(3)] == ["one", "two", "three"]


def test_the_closing_handshake_is_answered_with_the_same_code(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    peer.send_close(3001, "done")
    assert ws.receive() is None
    assert ws.receive() is None
    assert (ws.close_code, ws.close_reason, ws.closed) == (3001, "done", True)
    assert peer.read() == Message(Opcode.CLOSE, "", 3001)
    with pytest.raises(WebSocketClosed):
        ws.send_text("late")


def test_closing_waits_for_the_answer_while_data_still_arrive(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    ws.close(1001, "the service stops")
    assert peer.read() == Message(Opcode.CLOSE, "the service stops", 1001)
    peer.send(Opcode.TEXT, "on the way")
    peer.send_close(1001)
    assert ws.receive() == "on the way"
    assert ws.receive() is None
    assert ws.close_code == 1001


def test_a_peer_that_never_answers_the_close_is_given_up(pair: tuple[WebSocket, Peer]) -> None:
    ws, _ = pair
    ws.close()
    assert ws.receive() is None
    assert ws.close_code == 1006


def test_a_lost_connection_ends_receive_and_fails_sends(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    peer.socket.close()
    assert ws.receive() is None
    assert ws.close_code == 1006
    with pytest.raises(WebSocketClosed):
        ws.send_text("x")


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (encode_frame(Opcode.TEXT, "not masked"), 1002),
        (encode_frame(Opcode.TEXT, b"\xff", MASK), 1007),
        (encode_frame(Opcode.BINARY, bytes(1001), MASK), 1009),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_closed_with_the_code(
    pair: tuple[WebSocket, Peer], wire: bytes, code: int
) -> None:
    ws, peer = pair
    peer.send(Opcode.TEXT, "good")
    peer.socket.sendall(wire)
    assert ws.receive() == "good"
    assert ws.receive() is None
    assert peer.read().close_code == code
    assert ws.close_code == code


def test_a_peer_that_does_not_read_is_given_up_in_time_and_frees_everyone(pair: tuple[WebSocket, Peer]) -> None:
    ws, _ = pair
    received: list[object] = ["nothing yet"]
    receiver = threading.Thread(target=lambda: received.append(ws.receive()))
    receiver.start()
    with pytest.raises(WebSocketClosed):
        ws.send_text("x" * 50_000_000)
    receiver.join(5)
    assert received[-1] is None
    assert ws.closed


def test_frames_of_many_senders_never_mix(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    texts = [str(n) * 20_000 for n in range(8)]

    def send_often(text: str) -> None:
        for _ in range(20):
            ws.send_text(text)

    senders = [threading.Thread(target=send_often, args=[text]) for text in texts]
    for sender in senders:
        sender.start()
    found = [peer.read().data for _ in range(160)]
    for sender in senders:
        sender.join(5)
    assert sorted(map(str, found)) == sorted(texts * 20)


# --- the gate ---


def plain_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain " + environ["PATH_INFO"].encode("latin-1")]


def echo(ws: WebSocket, request: object, symbol: str) -> None:
    while (message := ws.receive()) is not None:
        ws.send_text(f"{symbol}:{message!s}")


def failing(ws: WebSocket, request: object) -> None:
    raise RuntimeError("secret detail")


def polite(ws: WebSocket, request: object) -> None:
    ws.send_text("hello")


@pytest.fixture
def gate() -> WebSocketGate:
    return WebSocketGate(
        plain_app,
        [("/stream/price/<symbol>", echo), ("/failing", failing), ("/polite", polite)],
        origin_allowed=lambda origin, host: origin in (None, "http://localhost:3000", f"http://{host}"),
        host_allowed=lambda host: host.startswith("127.0.0.1"),
        pass_prefixes=("/socket.io/",),
        max_connections=2,
    )


@pytest.fixture
def server(gate: WebSocketGate) -> Iterator[str]:
    with WebSocketServer(gate=gate) as running:
        yield running.url


def connect(server: str, path: str, **options: Any) -> Any:
    return client_library.create_connection(server + path, timeout=5, **options)


def test_an_upgrade_reaches_the_handler_of_its_path(server: str) -> None:
    with_umlaut = connect(server, "/stream/price/B%C3%9CUSDT", origin="http://localhost:3000")
    with_umlaut.send("hi")
    assert with_umlaut.recv() == "BÜUSDT:hi"
    with_umlaut.close()


def test_a_handler_that_returns_closes_with_1000(server: str) -> None:
    ws = connect(server, "/polite")
    assert ws.recv() == "hello"
    opcode, payload = ws.recv_data()
    assert (opcode, payload[:2]) == (Opcode.CLOSE, b"\x03\xe8")


def test_a_handler_that_fails_closes_with_1011_and_tells_nothing(server: str) -> None:
    opcode, payload = connect(server, "/failing").recv_data()
    assert (opcode, payload[:2]) == (Opcode.CLOSE, b"\x03\xf3")
    assert b"secret" not in payload


def test_stopping_closes_every_connection_with_1001(server: str, gate: WebSocketGate) -> None:
    ws = connect(server, "/stream/price/X")
    wait_until(lambda: gate.connections == 1)
    gate.close_all()
    opcode, payload = ws.recv_data()
    assert (opcode, payload[:2]) == (Opcode.CLOSE, b"\x03\xe9")
    wait_until(lambda: gate.connections == 0)


def test_connections_are_bounded(server: str) -> None:
    first, second = connect(server, "/stream/price/A"), connect(server, "/stream/price/B")
    with pytest.raises(client_library.WebSocketBadStatusException) as refused:
        connect(server, "/stream/price/C")
    assert refused.value.status_code == 503
    first.close()
    second.close()


def call(gate: WebSocketGate, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request, not over a socket; an upgrade unless the headers say otherwise."""
    upgrade = {
        "Host": "127.0.0.1:5021",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    given = upgrade | {name.replace("_", "-"): value for name, value in headers.items()}
    environ = EnvironBuilder(path=path, headers=[pair for pair in given.items() if pair[1]]).get_environ()
    answer: list[Any] = []
    body = b"".join(gate(environ, lambda status, headers, exc_info=None: answer.extend([status, headers])))
    return int(answer[0].split()[0]), dict(answer[1]), body


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/stream/nothing/X", {}, 404, "not_found"),
        ("/polite", {"Origin": "https://evil.example"}, 403, "forbidden"),
        ("/polite", {"Host": "evil.example"}, 403, "forbidden"),
        ("/polite", {"Connection": "keep-alive"}, 400, "malformed"),
        ("/polite", {"Sec_WebSocket_Key": "short"}, 400, "malformed"),
        ("/polite", {"Sec_WebSocket_Key": ""}, 400, "malformed"),
        ("/polite", {"Sec_WebSocket_Version": "8"}, 426, "malformed"),
        ("/polite", {}, 503, "unavailable"),
        ("/polite", {"Origin": "http://127.0.0.1:5021"}, 503, "unavailable"),
    ],
)
def test_what_can_not_be_opened_is_refused_in_the_contracts_shape(
    gate: WebSocketGate, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    found, answered, body = call(gate, path, **headers)
    document = json.loads(body)
    assert (found, document["success"], document["error"]["code"]) == (status, False, code)
    assert document["error"]["message"]
    assert answered["Content-Type"] == "application/json"
    assert answered.get("Sec-WebSocket-Version") == ("13" if status == 426 else None)
    assert answered.get("Retry-After") == ("1" if status == 503 else None)


def test_everything_but_an_upgrade_of_ours_falls_through(gate: WebSocketGate) -> None:
    assert call(gate, "/polite", Upgrade="") == (200, {"Content-Type": "text/plain"}, b"plain /polite")
    assert call(gate, "/polite", Upgrade="h2c")[2] == b"plain /polite"
    assert call(gate, "/socket.io/")[2] == b"plain /socket.io/"


def test_pongs_are_dated_by_the_monotonic_clock(pair: tuple[WebSocket, Peer]) -> None:
    ws, _ = pair
    assert 0 <= time.monotonic() - ws.last_pong_at < 60


def fill(ws: WebSocket) -> int:
    """Post until the kernel takes no more; how many frames of 10,000 bytes that were."""
    count = 0
    while ws.post(encode_frame(Opcode.TEXT, b"x" * 10_000)):
        count += 1
    return count + 1


def test_what_is_posted_leaves_at_once_while_the_peer_reads(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    for n in range(100):
        assert ws.post(encode_frame(Opcode.TEXT, str(n)))
        assert peer.read().data == str(n)
    assert (ws.unsent, ws.unsent_bytes, ws.behind_s) == (False, 0, 0.0)


def test_what_the_kernel_does_not_take_waits_in_order_and_post_never_blocks(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    posted = fill(ws)
    kept = ws.unsent_bytes
    assert 0 < kept <= 10_004
    wait_until(lambda: ws.behind_s > 0)
    assert ws.post(encode_frame(Opcode.TEXT, "last")) is False
    assert ws.unsent_bytes == kept + 6
    got = 0
    while (text := peer.read().data) != "last":
        got += len(text)
        ws.flush()
    assert got == posted * 10_000
    assert (ws.flush(), ws.behind_s) == (True, 0.0)


def test_posted_frames_and_blocking_ones_never_mix(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    posted = fill(ws)
    sender = threading.Thread(target=lambda: ws.send_text("y" * 500_000))
    sender.start()
    wait_until(lambda: ws.unsent_bytes > 100_000, what="the blocking sender in the queue")
    ws.post(encode_frame(Opcode.TEXT, "z"))
    found = [peer.read().data[0] for _ in range(posted + 2)]
    sender.join(5)
    assert found == ["x"] * posted + ["y", "z"]
    assert ws.flush()


def test_posting_to_a_connection_that_has_ended_does_nothing(pair: tuple[WebSocket, Peer]) -> None:
    ws, _ = pair
    fill(ws)
    ws.abort()
    assert (ws.post(b"more"), ws.flush()) == (True, True)


def test_a_peer_that_left_is_found_by_posting(pair: tuple[WebSocket, Peer]) -> None:
    ws, peer = pair
    peer.socket.close()
    ws.post(encode_frame(Opcode.TEXT, "anyone?"))
    ws.post(encode_frame(Opcode.TEXT, "anyone?"))
    assert ws.closed
