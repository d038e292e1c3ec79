"""Five thousand inputs that no client should send: the exchange's own errors come back, never a 5xx, never silence."""

import contextlib
import json
import random
import string
from typing import Any
from urllib.parse import quote

import pytest
import requests
import websocket

pytestmark = [pytest.mark.integration, pytest.mark.slow]

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


def test_a_thousand_rest_calls(simulator: Any) -> None:
    dice, session, seen = random.Random(2), requests.Session(), set()
    for _ in range(1000):
        url = f"{simulator.base_url}/api/v3/{dice.choice(PATHS)}?{query(dice)}"
        headers = {"X-MBX-TIME-UNIT": dice.choice(["MICROSECOND", "nope"])} if dice.random() < 0.1 else {}
        answer = session.get(url, headers=headers, timeout=10)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 404), (url, answer.text)
        if answer.status_code != 200:
            assert answer.json().keys() == {"code", "msg"}, url
            assert answer.json()["code"] < 0
    assert seen == {200, 400, 404}


def test_a_thousand_rest_calls_of_futures(simulator: Any) -> None:
    dice, session, seen = random.Random(4), requests.Session(), set()
    for _ in range(1000):
        url = f"{simulator.base_url}{dice.choice(FUTURES_PATHS)}?{query(dice)}"
        answer = session.get(url, timeout=10)
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 404), (url, answer.text)
        if answer.status_code != 200:
            assert answer.json().keys() == {"code", "msg"}, url
            assert answer.json()["code"] < 0
    assert seen == {200, 400, 404}


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
def test_a_thousand_socket_messages(simulator: Any, path: str) -> None:
    dice, socket = random.Random(3), simulator.socket(path)
    codes = set()
    for _ in range(1000):
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
