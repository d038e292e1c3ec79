"""The stream client against a real WebSocket server: it subscribes, survives every kind of loss, and stops in time."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import binance_stream
from shared.binance_stream import BinanceStream
from shared.testing.fakes import FakeClock
from shared.testing.net import free_port, wait_until
from shared.testing.websocket_server import WebSocketServer
from shared.web.websocket import WebSocket
from shared.websocket_frames import Opcode, encode_frame

pytestmark = [pytest.mark.integration, pytest.mark.websocket]
ROOT = Path(__file__).resolve().parents[2]
TRADE = b'{"stream":"btcusdt@trade","data":{"e":"trade","p":"61837.63000000"}}'


class Exchange:
    """Acknowledges commands and remembers them per connection; `latest` is the open connection."""

    def __init__(self) -> None:
        self.commands: list[list[dict[str, Any]]] = []
        self.sockets: list[WebSocket] = []
        self.paths: list[str] = []
        self.closed_with: list[int | None] = []
        self.acknowledges = True
        self.on_open: Callable[[WebSocket], None] = lambda ws: None
        self.server = WebSocketServer([("/stream", self.serve), ("/market/stream", self.serve)])

    def serve(self, ws: WebSocket, request: Any) -> None:
        commands: list[dict[str, Any]] = []
        self.commands.append(commands)
        self.paths.append(request.path)
        self.sockets.append(ws)
        self.on_open(ws)
        while (text := ws.receive()) is not None:
            command = json.loads(text)
            commands.append(command)
            if self.acknowledges:
                ws.send_text(json.dumps({"result": None, "id": command["id"]}))
        self.closed_with.append(ws.close_code)

    @property
    def latest(self) -> WebSocket:
        return self.sockets[-1]

    def wait_for_connection(self, number: int) -> None:
        wait_until(lambda: len(self.sockets) >= number, what=f"connection {number}")

    def names(self, connection: int) -> list[str]:
        return [name for command in self.commands[connection] for name in command["params"]]


class Client:
    """A stream with what it told."""

    def __init__(self, url: str, **options: Any) -> None:
        self.messages: list[bytes] = []
        self.states: list[tuple[bool, str]] = []
        self.clock = FakeClock()
        self.stream = BinanceStream(url, self.messages.append, self.note, self.clock, **options)

    def note(self, connected: bool) -> None:
        self.states.append((connected, self.stream.reason))

    def wait_for_state(self, connected: bool, number: int) -> str:
        wait_until(lambda: [state for state, _ in self.states].count(connected) >= number)
        return [reason for state, reason in self.states if state is connected][number - 1]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    found = Exchange()
    with found.server:
        yield found


@pytest.fixture
def client(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(binance_stream, "BACKOFF_S", 0.02)
    found = Client(exchange.server.url)
    yield found
    found.stream.stop()


def is_answered(client: Client) -> bool:
    """Whether the exchange owes no answer: before that a leap of the clock would make it look silent."""
    return not any(wishes._unanswered for wishes in client.stream._wishes)


def pass_time_until(client: Client, seconds: float, condition: Callable[[], object], what: str) -> None:
    """Let the client's time pass, so many seconds each 20 ms, until the condition holds."""

    def later() -> object:
        if is_answered(client):
            client.clock.advance(seconds)
        return condition()

    wait_until(later, what=what)


def begin(client: Client, exchange: Exchange, names: list[str] | None = None) -> None:
    client.stream.subscribe(names or ["btcusdt@trade", "ethusdt@ticker"])
    client.stream.start()
    wait_until(lambda: exchange.commands and exchange.commands[0], what="the first command")
    if exchange.acknowledges:
        wait_until(lambda: is_answered(client), what="its answer")


def test_wishes_from_before_and_after_the_start_are_subscribed(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    client.stream.subscribe(["solusdt@trade"])
    client.clock.advance(1)
    wait_until(lambda: len(exchange.commands[0]) == 2)
    client.stream.unsubscribe(["btcusdt@trade"])
    client.clock.advance(1)
    wait_until(lambda: len(exchange.commands[0]) == 3)
    assert [(c["method"], c["params"]) for c in exchange.commands[0]] == [
        ("SUBSCRIBE", ["btcusdt@trade", "ethusdt@ticker"]),
        ("SUBSCRIBE", ["solusdt@trade"]),
        ("UNSUBSCRIBE", ["btcusdt@trade"]),
    ]
    assert client.stream.streams == ["ethusdt@ticker", "solusdt@trade"]
    assert exchange.paths == ["/stream"]


def test_data_are_delivered_and_answers_are_not(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    odd = b'{ "data": {"e": "trade"}, "stream": "x@trade" }'
    for text in (TRADE, b"garbage", b"[1]", odd, b'{"code":2,"msg":"Invalid request","id":77}', TRADE):
        exchange.latest.send_text(text)
    wait_until(lambda: len(client.messages) == 3)
    assert client.messages == [TRADE, odd, TRADE]
    assert client.stream.counts.messages == 3
    assert client.stream.counts.bytes == 2 * len(TRADE) + len(odd)


def test_fragments_and_frames_cut_anywhere_arrive_whole(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    wire = (
        encode_frame(Opcode.TEXT, TRADE[:20], final=False)
        + encode_frame(Opcode.PING, b"between")
        + encode_frame(Opcode.CONTINUATION, TRADE[20:])
    )
    for n in range(0, len(wire), 7):
        exchange.latest.send_frame(wire[n : n + 7])
    wait_until(lambda: client.messages == [TRADE])


def test_pings_of_the_server_are_answered(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    before = exchange.latest.last_pong_at
    exchange.latest.ping(b"1723161255343")
    wait_until(lambda: exchange.latest.last_pong_at > before)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda exchange: exchange.server.cut(), "lost"),
        (lambda exchange: exchange.latest.close(1008, "no"), "1008"),
        (lambda exchange: exchange.latest.send_frame(b"\xff\xff\xff"), "protocol"),
    ],
    ids=["cut", "closed", "garbage"],
)
def test_after_any_loss_all_wishes_are_subscribed_again(
    client: Client, exchange: Exchange, fault: Callable[[Exchange], None], reason: str
) -> None:
    begin(client, exchange)
    client.wait_for_state(True, 1)
    fault(exchange)
    assert reason in client.wait_for_state(False, 1)
    exchange.wait_for_connection(2)
    client.wait_for_state(True, 2)
    wait_until(lambda: exchange.commands[1])
    assert sorted(exchange.names(1)) == ["btcusdt@trade", "ethusdt@ticker"]
    exchange.latest.send_text(TRADE)
    wait_until(lambda: client.messages == [TRADE])
    assert client.stream.counts.reconnects == 1


def test_a_silent_connection_is_pinged_and_then_replaced(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    answers: list[bytes] = []
    exchange.latest.send_frame = answers.append  # type: ignore[assignment]  # kept back: the wire stays silent
    client.clock.advance(6)
    wait_until(lambda: encode_frame(Opcode.PONG, b"") in answers, what="a ping that the server would answer")
    client.clock.advance(11)
    assert "silent" in client.wait_for_state(False, 1)
    exchange.wait_for_connection(2)


def test_a_command_that_nobody_answers_means_reconnecting(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_stream, "BACKOFF_S", 0.02)
    exchange.acknowledges = False
    client = Client(exchange.server.url, idle_timeout_s=1000)
    begin(client, exchange)
    client.clock.advance(10.5)
    assert "no answer" in client.wait_for_state(False, 1)
    client.stream.stop()


def trade(number: int) -> bytes:
    return b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"t":%d}}' % number


ENDINGS = {
    "24 h": lambda client, exchange: client.clock.advance(23 * 3600 + 1),
    "raw": lambda client, exchange: exchange.latest.send_text(b'{"e":"serverShutdown","E":1}'),
    "combined": lambda client, exchange: exchange.latest.send_text(
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_an_end_by_plan_is_forestalled_without_gap_duplicate_or_word(
    exchange: Exchange, ending: Callable[[Client, Exchange], None]
) -> None:
    client = Client(exchange.server.url, idle_timeout_s=1e6)
    begin(client, exchange)
    old = exchange.latest
    ending(client, exchange)
    exchange.wait_for_connection(2)
    wait_until(lambda: exchange.names(1) == ["btcusdt@trade", "ethusdt@ticker"], what="all wishes on the next")
    following = exchange.latest
    client.stream.subscribe(["solusdt@trade"])  # goes to both
    for number in range(5):
        old.send_text(trade(number))
    for number in range(3, 9):  # it lags, and brings what the old one has yet to bring
        following.send_text(trade(number))
    wait_until(lambda: len(client.messages) == 5)
    pass_time_until(client, 0.3, lambda: old.closed, "the old one to be left")
    old_names = exchange.names(0)
    wait_until(lambda: len(client.messages) == 9)
    following.send_text(trade(9))
    wait_until(lambda: len(client.messages) == 10)
    assert client.messages == [trade(number) for number in range(10)]
    assert "solusdt@trade" in old_names
    wait_until(lambda: "solusdt@trade" in exchange.names(1), what="the wish on the next")
    assert [connected for connected, _ in client.states] == [True]
    assert (client.stream.counts.rolls, client.stream.counts.reconnects) == (1, 0)
    client.stream.stop()


def test_an_old_connection_that_ends_before_the_next_has_caught_up_is_a_loss(exchange: Exchange) -> None:
    client = Client(exchange.server.url, idle_timeout_s=1e6)
    begin(client, exchange)
    old = exchange.latest
    old.send_text(trade(1))
    wait_until(lambda: client.messages)
    old.send_text(b'{"e":"serverShutdown","E":1}')
    exchange.wait_for_connection(2)
    wait_until(lambda: exchange.commands[1], what="the wishes on the next")
    exchange.latest.send_text(trade(5))
    old.abort()
    wait_until(lambda: len(client.messages) == 2)
    assert client.messages == [trade(1), trade(5)]
    client.wait_for_state(True, 2)
    assert [connected for connected, _ in client.states] == [True, False, True]
    assert client.stream.counts.reconnects == 1
    client.stream.stop()


def test_while_the_next_connection_can_not_be_opened_the_old_one_serves(exchange: Exchange) -> None:
    client = Client(exchange.server.url, idle_timeout_s=1e6)
    begin(client, exchange)
    old = exchange.latest
    client.stream._url = f"ws://127.0.0.1:{free_port()}/stream"
    client.clock.advance(23 * 3600 + 1)
    old.send_text(trade(1))
    wait_until(lambda: client.messages == [trade(1)])
    client.stream._url = exchange.server.url + "/stream"
    pass_time_until(client, 0.5, lambda: old.closed, "the change, at last")
    assert [connected for connected, _ in client.states] == [True]
    client.stream.stop()


def test_reconnect_opens_another_connection_at_once(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    client.stream.reconnect()
    exchange.wait_for_connection(2)
    wait_until(lambda: exchange.names(1) == ["btcusdt@trade", "ethusdt@ticker"])


def test_a_server_that_is_away_at_first_is_found(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_stream, "BACKOFF_S", 0.02)
    client = Client(f"ws://127.0.0.1:{free_port()}")
    client.stream.start()
    assert client.wait_for_state(False, 1).startswith("can't connect")
    client.stream._url = exchange.server.url + "/stream"
    client.wait_for_state(True, 1)
    assert [connected for connected, _ in client.states] == [False, True]  # said once, however often it is tried
    client.stream.stop()


def test_a_server_that_announces_its_end_to_everyone_is_not_stormed(exchange: Exchange) -> None:
    exchange.on_open = lambda ws: ws.send_text(b'{"e":"serverShutdown","E":1}')
    client = Client(exchange.server.url, idle_timeout_s=1e6)
    begun = client.clock.monotonic()
    client.stream.start()
    pass_time_until(client, 0.1, lambda: len(exchange.sockets) >= 5, "five connections")
    client.stream.stop()
    assert client.clock.monotonic() - begun >= 3 * 2.0  # each beside its predecessor for two seconds


def test_a_server_that_closes_on_everyone_is_not_stormed(exchange: Exchange) -> None:
    exchange.on_open = lambda ws: ws.close()
    client = Client(exchange.server.url)
    waits: list[float] = []

    def note_instead(timeout: float | None = None) -> bool:
        waits.append(timeout or 0)
        return False

    client.stream._renew.wait = note_instead  # type: ignore[method-assign]  # counts the pauses, makes none
    client.stream.start()
    exchange.wait_for_connection(5)
    client.stream.stop()
    assert len(waits) >= len(exchange.sockets) - 1


def test_callbacks_that_fail_are_counted_and_harm_nothing(exchange: Exchange) -> None:
    seen: list[bytes] = []

    def fail(message: bytes) -> None:
        seen.append(message)
        raise RuntimeError("broken consumer")

    def fail_state(connected: bool) -> None:
        raise RuntimeError("broken listener")

    stream = BinanceStream(exchange.server.url, fail, fail_state)
    stream.start()
    exchange.wait_for_connection(1)
    for _ in range(5):
        exchange.latest.send_text(TRADE)
    wait_until(lambda: stream.counts.failed_callbacks == 6)  # the change of state is the sixth
    assert len(seen) == 5
    assert stream.connected
    stream.stop()


def test_stop_says_goodbye_and_ends_the_thread(client: Client, exchange: Exchange) -> None:
    begin(client, exchange)
    client.stream.stop()
    assert not client.stream.connected
    assert client.states[-1] == (False, "stopped")
    assert client.stream._thread is not None
    assert not client.stream._thread.is_alive()
    wait_until(lambda: exchange.closed_with == [1000])


def test_stop_does_not_wait_for_a_backoff(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_stream, "BACKOFF_S", 10_000.0)
    client = Client(f"ws://127.0.0.1:{free_port()}")
    client.stream.start()
    wait_until(lambda: client.stream.reason.startswith("can't connect"))
    client.stream.stop()
    assert client.stream._thread is not None
    assert not client.stream._thread.is_alive()


def test_another_path_serves_futures(exchange: Exchange) -> None:
    client = Client(exchange.server.url + "/", path="/market/stream")
    client.stream.start()
    exchange.wait_for_connection(1)
    assert exchange.paths == ["/market/stream"]
    client.stream.stop()


def test_a_thousand_streams_arrive_within_the_limit_of_messages(client: Client, exchange: Exchange) -> None:
    names = [f"s{n}usdt@trade" for n in range(1000)]
    begin(client, exchange, names)
    for expected in range(2, 6):
        client.clock.advance(0.25)
        wait_until(lambda expected=expected: len(exchange.commands[0]) == expected)  # type: ignore[misc]  # mypy can't infer a lambda with a default
    assert exchange.names(0) == names


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from shared.binance_stream import BinanceStream
from shared.testing.net import wait_until
from shared.testing.websocket_server import WebSocketServer

def serve(ws, request):
    while (command := ws.receive()) is not None:
        ws.send_text('{"result":null,"id":1}')
        ws.send_text('{"stream":"x","data":{}}')

got, turns = [], [0]
def turn():
    while True:
        turns[0] += 1
        gevent.sleep(0.01)
with WebSocketServer([("/stream", serve)]) as server:
    gevent.spawn(turn)
    stream = BinanceStream(server.url, got.append)
    stream.subscribe(["x"])
    stream.start()
    wait_until(lambda: got)
    server.cut()
    wait_until(lambda: stream.counts.reconnects == 1 and len(got) == 2)
    def turns_in_300_ms():
        before = turns[0]
        gevent.sleep(0.3)
        return turns[0] - before
    # A reader that waits leaves the loop running: 30 turns, 3 where it holds the loop. A busy machine may cost some.
    wait_until(lambda: turns_in_300_ms() > 10)
    stream.stop()
    print("ok", not stream._thread.is_alive())
"""


def test_it_works_under_gevent_and_leaves_the_loop_running() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_GEVENT], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "ok True\n", done.stderr
