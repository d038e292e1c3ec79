"""Garbage of every kind: answered or closed, never a traceback, and the service goes on."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import websocket

from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

COUNT = 1000
WORDS = [
    "BTCUSDT", "", "ethusdt", "\u0000", "\ud83d\ude00", "X" * 500, "price", "orderbook", "klines", "spot", "futures",
    "a-token-x", "../..", "NaN",
]  # fmt: skip
KEYS = ["symbols", "channels", "market", "interval", "last", "token", "symbol", "name", "crosses", "__proto__", ""]
EVENTS = ["subscribe", "unsubscribe", "alert", "alerts", "alert_remove"]
DEEP = "[" * 5000 + "]" * 5000


def value(rng: random.Random, depth: int = 3) -> Any:
    """Any JSON value, wrong more often than right."""
    kind = rng.randrange(8 if depth else 6)
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(6))]
    if kind == 7:
        return {rng.choice(KEYS): value(rng, depth - 1) for _ in range(rng.randrange(5))}
    simple = [None, rng.random() < 0.5, float("nan"), 10 ** rng.randrange(30), -1.5, rng.choice(WORDS)]
    return simple[kind]


def packet(rng: random.Random) -> str:
    """A Socket.IO message inside an Engine.IO one, from nearly right to garbage."""
    text = json.dumps([rng.choice([*EVENTS, "connect", "disconnect", 5, "x", None]), value(rng)])
    choices = [
        "42" + text, "42" + text, f"42{rng.randrange(10**6)}" + text, "42" + text[: rng.randrange(len(text))],
        "42" + json.dumps(value(rng)), "43" + text, "45" + text, "451-" + text, "46" + text, "44{}", "49", "4",
        "42" + DEEP, "42[" + "9" * 5000 + "]", "40/other,", "42/other," + text, "40", "3", "4é",
    ]  # fmt: skip
    return rng.choice(choices)


@pytest.fixture(scope="module")
def service(simulator: ServiceProcess) -> Iterator[ServiceProcess]:
    settings = {"SIMULATOR_URL": simulator.base_url, "RATE_LIMIT_ENABLED": "false"}
    with ServiceProcess("websocket-streaming", settings) as running:
        yield running
        assert "Traceback" not in running.log
        assert "an unexpected error" not in running.log


def test_wrong_events_are_answered_and_the_connection_lives(
    service: ServiceProcess, connect: Callable[..., Any]
) -> None:
    rng = random.Random(1)
    client = connect(service.base_url)
    for _ in range(COUNT):
        client.client.emit(rng.choice([*EVENTS, "nonsense"]), value(rng))
    huge = {"symbols": [f"SYM{n}USDT" for n in range(10_000)]}
    since = len(client.events)
    client.client.emit("subscribe", huge)
    client.wait("error", lambda data: "10000" in data["message"] or "200" in data["message"], since)
    assert client.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
    assert client.data("disconnect") == []
    assert len(client.data("error")) > COUNT / 3


def test_wrong_packets_leave_the_connection_or_close_it_alone(service: ServiceProcess) -> None:
    rng = random.Random(2)
    url = service.ws_url + "/socket.io/?EIO=4&transport=websocket"
    sent = connections = 0
    while sent < COUNT:
        ws = websocket.create_connection(url, timeout=10)
        ws.send("40")
        connections += 1
        try:
            for _ in range(100):
                ws.send(packet(rng))
                sent += 1
            ws.send('42["subscribe",{"symbols":["BTCUSDT"]}]')
            while "subscribed" not in ws.recv():
                pass
        except (websocket.WebSocketException, OSError):
            pass  # closed: below Socket.IO's level garbage ends the connection
        ws.close()
    assert connections < COUNT / 2
    assert service.get("/health/ready") == {"status": "ready"}


@pytest.mark.parametrize("message", ["7", "x", "", "99", "4[" + "[" * 3000, "\u0664"])
def test_what_is_no_engine_io_packet_ends_the_connection(service: ServiceProcess, message: str) -> None:
    ws = websocket.create_connection(service.ws_url + "/socket.io/?EIO=4&transport=websocket", timeout=10)
    ws.send("40")
    ws.send(message)
    opcode = None
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, data = ws.recv_data()
        if b"error" in data:
            break  # it was readable after all, and answered
    ws.close()


def test_binary_messages_are_refused_and_no_attachment_is_waited_for(service: ServiceProcess) -> None:
    ws = websocket.create_connection(service.ws_url + "/socket.io/?EIO=4&transport=websocket", timeout=10)
    ws.send("40")
    ws.send('4599999-["subscribe",{"_placeholder":true,"num":0}]')
    ws.send_binary(b"\x00" * 100)
    errors = 0
    while errors < 2:
        errors += '"malformed"' in ws.recv()
    ws.close()


def test_wrong_polling_requests_are_refused(service: ServiceProcess) -> None:
    url = f"{service.base_url}/socket.io/"
    for query in ("", "?EIO=3&transport=polling", "?EIO=4&transport=pigeon", "?EIO=4&transport=polling&sid=nobody"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert 400 <= requests.request(method, url + query, data="x", timeout=10).status_code < 500
    sid = json.loads(requests.get(url + "?EIO=4&transport=polling", timeout=10).text[1:])["sid"]
    polled = f"{url}?EIO=4&transport=polling&sid={sid}"
    rng = random.Random(3)
    for _ in range(50):
        assert requests.post(polled, data=packet(rng).encode(), timeout=10).status_code < 500


def test_whatever_a_plain_client_sends_is_answered_by_an_error(service: ServiceProcess) -> None:
    rng = random.Random(4)
    ws = websocket.create_connection(service.ws_url + "/stream/price/ADAUSDT", timeout=10)
    for n in range(COUNT):
        text = packet(rng)
        ws.send_binary(text.encode()) if n % 2 else ws.send(text)
    message = json.loads(ws.recv())
    while message["event"] != "error":
        message = json.loads(ws.recv())
    assert message["data"]["code"] == "unexpected_message"
    ws.ping()
    opcode = None
    while opcode != websocket.ABNF.OPCODE_PONG:
        opcode, _ = ws.recv_data(control_frame=True)
    ws.close()
