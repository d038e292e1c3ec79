"""The mixed traffic of websocket-streaming: listeners, stalls, questions, errors, a market that breaks off."""

import json
import socket
import time
from typing import Any

import urllib3
import websocket

from shared.testing.process import ServiceProcess
from tests.faults.load import REQUESTS
from tests.faults.soak import Load

PROBE = REQUESTS["websocket-streaming"]
SYMBOLS = ["BTCUSDT", "ETHUSDT"]
CHANNELS = ["price/{}", "orderbook/{}", "trades/{}", "klines/{}/1m"]
SOCKET_IO = "/socket.io/?EIO=4&transport="
CUT_EVERY_S = 20.0
http_pool = urllib3.PoolManager(maxsize=16, timeout=30, retries=False)
market_url = ""  # where the market is told to break off; set by `prepare`


def prepare(market: ServiceProcess) -> None:
    """Which market it is."""
    global market_url  # loads are plain functions that every soak shares
    market_url = market.base_url


def connect(service: ServiceProcess, path: str) -> websocket.WebSocket:
    """An open WebSocket."""
    return websocket.create_connection(service.ws_url + path, timeout=30)


def leave(link: websocket.WebSocket, *, politely: bool) -> None:
    """With or without a word."""
    if politely or link.sock is None:
        link.close()
    else:
        link.sock.close()


def listen(service: ServiceProcess, number: int) -> None:
    """A plain stream for some messages; each third leaves without a word."""
    link = connect(service, f"/stream/{CHANNELS[number % len(CHANNELS)].format(SYMBOLS[number % 2])}")
    for _ in range(20):
        link.recv()
    leave(link, politely=number % 3 > 0)


def socket_io(service: ServiceProcess, number: int) -> None:
    """A Socket.IO session: subscribe to everything, take some, change the wish, leave."""
    link = connect(service, f"{SOCKET_IO}websocket")
    link.recv()
    link.send("40")
    wish = {"symbols": SYMBOLS, "channels": ["price", "orderbook", "trades"]}
    link.send(f'42["subscribe",{json.dumps(wish)}]')
    for _ in range(100):
        if link.recv() == "2":
            link.send("3")
    link.send(f'42["unsubscribe",{json.dumps({"symbols": ["BTCUSDT"]})}]')
    for _ in range(20):
        link.recv()
    leave(link, politely=number % 3 > 0)


def poll(service: ServiceProcess, number: int) -> None:  # as the others
    """A session that polls twice and is never heard of again."""
    opened = http_pool.request("GET", f"{service.base_url}{SOCKET_IO}polling")
    sid = json.loads(opened.data[1:])["sid"]
    there = f"{service.base_url}{SOCKET_IO}polling&sid={sid}"
    http_pool.request("POST", there, body="40")
    http_pool.request("GET", there)


def stall(service: ServiceProcess, number: int) -> None:
    """Subscribe, read nothing for some seconds, leave."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = f"GET /stream/orderbook/{SYMBOLS[number % 2]} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        link.sendall(head.encode())
        time.sleep(3)


def read(service: ServiceProcess, number: int) -> None:
    """The calls; a 503 is right while the market is away."""
    symbol = SYMBOLS[number % 2]
    paths = [
        f"/price/{symbol}", f"/orderbook/{symbol}", f"/trades/{symbol}", f"/klines/{symbol}?interval=1m", "/stats",
        "/metrics", "/symbols", "/health",
    ]  # fmt: skip
    answer = http_pool.request("GET", service.base_url + paths[number % len(paths)])
    if answer.status not in (200, 503):
        raise AssertionError(f"{answer.status}: {answer.data[:200]!r}")


def err(service: ServiceProcess, number: int) -> None:
    """Wrong in each way."""
    wrong: list[tuple[int, str]] = [(404, "/price/NOSUCHONE"), (422, "/orderbook/BTCUSDT?limit=x"), (404, "/nothing")]
    status, path = wrong[number % len(wrong)]
    answer = http_pool.request("GET", service.base_url + path)
    if answer.status not in (status, 503):
        raise AssertionError(f"{answer.status} instead of {status}: {answer.data[:200]!r}")
    link = connect(service, f"{SOCKET_IO}websocket")
    link.send(["rubbish", "42[\"subscribe\",{}]", "42[\"nothing\"]", "9"][number % 4])
    link.recv()
    leave(link, politely=False)


def cut(service: ServiceProcess, number: int) -> None:  # as the others
    """The market ends every connection."""
    body: dict[str, Any] = {"name": "cut"}
    answer = http_pool.request("POST", f"{market_url}/sim/scenario", json=body)
    if answer.status != 200:
        raise AssertionError(f"{answer.status}: {answer.data[:200]!r}")


LOADS = [
    Load("listen", listen, 0.05, threads=2),
    Load("Socket.IO", socket_io, 0.05, threads=3),
    Load("poll", poll, 0.5),
    Load("stall", stall, 0.5, threads=2),
    Load("read", read, 0.02, threads=2),
    Load("errors", err, 0.1),
    Load("cut", cut, CUT_EVERY_S),
]
