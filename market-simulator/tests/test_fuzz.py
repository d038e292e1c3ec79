"""Inputs that no client should send: the exchange's own errors come back, never a 5xx, never silence.

Five thousand at FAULTS_SCALE 0.05, the default; 100,000 at 1 (`make faults`).
"""

import contextlib
import http.client
import json
import os
import random
import string
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import websocket

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1200)]

SCALE = float(os.environ.get("FAULTS_SCALE", "0.05"))
REST, FUTURES_REST, SESSION_REST, BODIES, MESSAGES = (
    max(400, round(SCALE * most)) for most in (20_000, 20_000, 10_000, 20_000, 10_000)
)  # messages: on each of three sockets

PATHS = [
    "ping",
    "time",
    "exchangeInfo",
    "depth",
    "trades",
    "historicalTrades",
    "aggTrades",
    "klines",
    "uiKlines",
    "avgPrice",
    "ticker/24hr",
    "ticker/tradingDay",
    "ticker/price",
    "ticker/bookTicker",
    "ticker",
    "nosuch",
]
FUTURES_PATHS = [
    *(f"/fapi/v1/{name}" for name in (
        "ping", "exchangeInfo", "depth", "trades", "historicalTrades", "aggTrades", "klines", "continuousKlines",
        "indexPriceKlines", "markPriceKlines", "premiumIndexKlines", "premiumIndex", "fundingRate", "fundingInfo",
        "openInterest", "ticker/24hr", "ticker/price", "ticker/bookTicker", "nosuch",
    )),
    "/fapi/v2/ticker/price",
    *(f"/futures/data/{name}" for name in ("openInterestHist", "globalLongShortAccountRatio", "basis", "nosuch")),
]  # fmt: skip
NAMES = [
    "pair",
    "period",
    "contractType",
    "symbol",
    "symbols",
    "limit",
    "interval",
    "fromId",
    "startTime",
    "endTime",
    "timeZone",
    "type",
    "windowSize",
    "symbolStatus",
    "permissions",
    "x",
]
VALUES = [
    "1h",
    "PERPETUAL",
    "BTCUSDT",
    "ETHUSDT",
    "btcusdt",
    '["BTCUSDT","ETHUSDT"]',
    "[",
    "1",
    "0",
    "-1",
    "1000",
    "5000",
    "1m",
    "1M",
    "1s",
    "3d",
    "MINI",
    "TRADING",
    "HALT",
    "SPOT",
    str(2**63 - 1),
    str(2**64),
    "1e9",
    "NaN",
    "",
    "null",
    "\x00",
    "é币",
    "' OR 1=1",
    "%",
    "1790000000000",
    "1790000000000000",
    "+8",
    "-12:30",
]


def noise(dice: random.Random) -> str:
    return "".join(dice.choice(string.printable + "é币\x00\ud7ff") for _ in range(dice.randrange(30)))


def query(dice: random.Random) -> str:
    pairs = [("symbol", "BTCUSDT")] if dice.random() < 0.7 else []
    pairs += [
        (dice.choice(NAMES), dice.choice(VALUES) if dice.random() < 0.8 else noise(dice))
        for _ in range(dice.randrange(4))
    ]
    return "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in pairs)


class Caller:
    """One kept connection: requests' own work would take longer than the answer."""

    def __init__(self, simulator: Any) -> None:
        self._host = simulator.base_url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(self._host, timeout=30)
        self.seen: Counter[int] = Counter()

    def send(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
        """Status and document; an answer that is no JSON fails."""
        self._connection.request(method, path, None if body is None else body.encode("utf-8", "replace"), headers)
        answer = self._connection.getresponse()
        payload = answer.read()
        self.seen[answer.status] += 1
        return answer.status, json.loads(payload)

    def exchange(self, path: str, **headers: str) -> None:
        """A GET that ends well or with the exchange's own error."""
        status, document = self.send("GET", path, **headers)
        assert status in (200, 400, 404), (path, document)
        if status != 200:
            assert document.keys() == {"code", "msg"}, path
            assert document["code"] < 0


@pytest.fixture
def caller(simulator: Any) -> Caller:
    return Caller(simulator)


def test_spot_rest_answers_or_refuses_whatever_is_asked(caller: Caller) -> None:
    dice = random.Random(2)
    for _ in range(REST):
        headers = {"X-MBX-TIME-UNIT": dice.choice(["MICROSECOND", "nope"])} if dice.random() < 0.1 else {}
        caller.exchange(f"/api/v3/{dice.choice(PATHS)}?{query(dice)}", **headers)
    assert caller.seen.keys() == {200, 400, 404}


def test_futures_rest_answers_or_refuses_whatever_is_asked(caller: Caller) -> None:
    dice = random.Random(4)
    for _ in range(FUTURES_REST):
        caller.exchange(f"{dice.choice(FUTURES_PATHS)}?{query(dice)}")
    assert caller.seen.keys() == {200, 400, 404}


@pytest.fixture
def session(caller: Caller) -> Iterator[str]:
    """The path of a private market."""
    _, document = caller.send("POST", "/sim/session", '{"limits": false}', **{"Content-Type": "application/json"})
    caller.seen.clear()
    yield f"/s/{document['data']['id']}"
    caller.send("DELETE", f"/sim/session/{document['data']['id']}")


def test_a_session_answers_or_refuses_whatever_is_asked(caller: Caller, session: str) -> None:
    dice = random.Random(5)
    for _ in range(SESSION_REST):
        base = session if dice.random() < 0.9 else f"/s/{quote(noise(dice).replace('/', ''), errors='replace')}"
        path = f"/api/v3/{dice.choice(PATHS)}" if dice.random() < 0.6 else dice.choice(FUTURES_PATHS)
        caller.exchange(f"{base}{path}?{query(dice)}")
    assert caller.seen.keys() == {200, 400, 404}


FIELDS = [
    "name", "symbol", "duration_s", "params", "seed", "market", "speed", "symbols", "limits", "replay", "side", "type",
    "quantity", "price", "x",
]  # fmt: skip
WORDS = ["flash_crash", "BTCUSDT", "ETHUSDT", "BUY", "SELL", "MARKET", "LIMIT", "spot", "futures", "2021-05-19",
         "0.001", "1e9", "-1", "60000", "NaN", "", "\x00", "é币", "x" * 5000]  # fmt: skip
SIM_PATHS = ["/sim/scenario", "/sim/session", "/sim/order", "/sim/status", "/sim/nosuch", "/sim/scenario/x"]
SESSION_PATHS = ["/sim/order", "/sim/order", "/sim/order", "/sim/order/BTCUSDT/1", "/sim/order/x/99999999999999999999",
                 "/sim/orders", "/sim/fills", "/sim/scenario"]  # fmt: skip


def body(dice: random.Random) -> str:
    """JSON with the calls' own names and seldom a good value; sometimes no JSON."""
    def value() -> Any:
        plain: list[Any] = [dice.choice(WORDS), dice.choice([0, 1, -1, 0.5, 2**63, 1e308]), None, True]
        return dice.choice([*plain, dice.choice(WORDS), [dice.choice(plain)], {"x": dice.choice(plain)}, {}])

    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"} if dice.random() < 0.3 else {}
    text = json.dumps(order | {dice.choice(FIELDS): value() for _ in range(dice.randrange(5))})
    return dice.choice([text, text, text, text, text[:-1], noise(dice), "[" * 3000, f"[{text}]"])


def test_scenarios_sessions_and_orders_take_no_harm_from_any_body(caller: Caller, session: str) -> None:
    dice = random.Random(6)
    for _ in range(BODIES):
        path = session + dice.choice(SESSION_PATHS) if dice.random() < 0.6 else dice.choice(SIM_PATHS)
        method = dice.choice(["POST", "POST", "POST", "POST", "GET", "DELETE", "PUT"])
        kind = "text/plain" if dice.random() < 0.05 else "application/json"
        status, document = caller.send(method, path, body(dice), **{"Content-Type": kind})
        assert status < 500, (method, path, document)
        assert document["success"] is (status < 400), (method, path, document)
        if status < 300 and method == "POST" and path.endswith(("/sim/scenario", "/sim/session")):
            caller.send("DELETE", f"{path}/{document['data']['id']}")
    assert {200, 400, 404, 405, 409, 415, 422} <= caller.seen.keys()


def message(dice: random.Random) -> str:
    methods = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY", "PING", None, 7]
    names = ["xx@trade", "btcusdt@nope", "!ticker@arr", "combined", "", 5, None, True, [], {}, noise(dice)]
    params: Any = [dice.choice(names) for _ in range(dice.randrange(4))]
    ids: list[Any] = [1, "a", None, 1.5, True, [], 2**63, "x" * 40]
    document: Any = {
        "method": dice.choice(methods),
        "params": dice.choice([params, params, None, "x", {}]),
        "id": dice.choice(ids),
    }
    for key in list(document):
        if dice.random() < 0.1:
            del document[key]
    text = json.dumps(document)
    return dice.choice([text, text, json.dumps([document]), noise(dice), "[" * 5000])


@pytest.mark.parametrize("path", ["/ws", "/market/ws", "/public/stream"])
def test_every_socket_message_is_answered(simulator: Any, path: str) -> None:
    dice, socket = random.Random(3), simulator.socket(path)
    codes = set()
    for _ in range(MESSAGES):
        text = message(dice)
        socket.ws.send(text.encode("utf-8", "replace"), websocket.ABNF.OPCODE_TEXT)
        answer = socket.receive()
        assert answer.keys() in ({"result", "id"}, {"code", "msg", "id"}), (text, answer)
        codes.add(answer.get("code"))
    assert {None, 0, 2, 3} <= codes
    assert simulator.get("/api/v3/ping").status_code == 200


@pytest.mark.parametrize(
    "path", ["/ws/%00", "/ws/%ff", "/stream?streams=%ff%fe", "/stream?" + "a" * 3000, "/ws/" + "a@trade/" * 300]
)
def test_odd_urls_open_or_are_refused_and_harm_nothing(simulator: Any, path: str) -> None:
    with contextlib.suppress(websocket.WebSocketException, ConnectionError):
        simulator.socket(path).call("LIST_SUBSCRIPTIONS")
    assert simulator.get("/api/v3/ping").status_code == 200
