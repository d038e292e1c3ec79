"""The world around a server that is measured: an exchange that sends trades at a rate, and clients that read.

Both live in this one process, so a trade's way is timed by one clock: the price tells which trade an update is of.
Most clients only count bytes (everyone gets the same updates); a few probes read every update.
"""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from shared.testing.http_server import HttpServer, Reply
from shared.testing.net import wait_until
from shared.testing.websocket_server import WebSocketServer
from shared.web.websocket import WebSocket
from shared.websocket_frames import Opcode, encode_frame

PRICE_STEP = 0.01
TICK_S = 0.001  # the exchange sends what is due every millisecond, at the soonest
MOST_WAIT_S = 0.01
MASK = b"\0\0\0\0"
PRICE = re.compile(rb'"price":([0-9.]+)')
PROBES = 5
READ_BYTES = 1_000_000


class Exchange:
    """Speaks as much of the exchange's protocol as a server needs to start, and sends trades when told."""

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = symbols
        self.sent_at: list[float] = []  # of each trade, by its number
        self._upstreams: list[WebSocket] = []
        self._plain: list[socket.socket] = []
        self._rest = HttpServer(self._respond)
        self._stream = WebSocketServer([("/stream", self._serve)])
        self._raw = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept_raw, daemon=True).start()

    def __enter__(self) -> Self:
        self._rest.__enter__()
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stream.__exit__(*error)
        self._rest.__exit__(*error)
        self._raw.close()

    @property
    def rest_url(self) -> str:
        """Where its REST side is."""
        return self._rest.url

    @property
    def ws_url(self) -> str:
        """Where its streams are, without a path."""
        return self._stream.url

    @property
    def port(self) -> int:
        """Of its streams."""
        return self._stream.port

    @property
    def raw_port(self) -> int:
        """Bare frames, without a handshake, for the C sender."""
        return int(self._raw.getsockname()[1])

    @property
    def listeners(self) -> int:
        """How many are connected to the streams."""
        return len(self._upstreams) + len(self._plain)

    def wait_for_listener(self) -> None:
        """Until the server is there."""
        wait_until(lambda: self.listeners, what="the server at the exchange")

    def send(self, count: int) -> None:
        """The next `count` trades, over the symbols in turn, joined as an exchange joins them."""
        now, first = time.perf_counter(), len(self.sent_at)
        self.sent_at.extend([now] * count)
        frames = b"".join([self._frame(number) for number in range(first, first + count)])
        for ws in self._upstreams:
            if not ws.closed:
                ws.send_frame(frames)
        for sock in self._plain:
            sock.sendall(frames)

    def latencies(self, prices: list[bytes], received_at: float, since: int) -> list[float]:
        """How long ago the trades with these prices were sent, in seconds; those before the `since`-th are left out."""
        numbers = [round(float(price) / PRICE_STEP) - 1 for price in prices]
        return [received_at - self.sent_at[number] for number in numbers if since <= number < len(self.sent_at)]

    def _frame(self, number: int) -> bytes:
        symbol, now_ms = self.symbols[number % len(self.symbols)], int(time.time() * 1000)
        return encode_frame(Opcode.TEXT, (
            f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{now_ms},"s":"{symbol}","t":{self._trade_id(number)},'
            f'"p":"{(number + 1) * PRICE_STEP:.8f}","q":"0.00251000","T":{now_ms},"m":true,"M":true}}}}'
        ))  # fmt: skip

    def _trade_id(self, number: int) -> int:
        """They rise by one in each symbol, as the exchange's do; 1 is the last trade before all."""
        return number // len(self.symbols) + 2

    def _serve(self, ws: WebSocket, _request: Any) -> None:
        self._upstreams.append(ws)
        while (text := ws.receive()) is not None:
            ws.send_text(json.dumps({"result": None, "id": json.loads(text)["id"]}))
        self._upstreams.remove(ws)

    def _accept_raw(self) -> None:
        while True:
            try:
                self._plain.append(self._raw.accept()[0])
            except OSError:
                return

    def forget_raw(self) -> None:
        """The C sender has ended."""
        for sock in self._plain:
            sock.close()
        self._plain.clear()

    def _respond(self, request: BaseHTTPRequestHandler) -> Reply:
        target = urlsplit(request.path)
        if target.path.endswith("/exchangeInfo"):
            document: Any = {"symbols": [{"symbol": name, "status": "TRADING"} for name in self.symbols]}
        elif target.path.endswith("/ticker/24hr"):
            query = parse_qs(target.query)
            names = json.loads(query["symbols"][0]) if "symbols" in query else query["symbol"]
            rows = [self._ticker(name) for name in names]
            document = rows if "symbols" in query else rows[0]
        elif target.path.endswith("/trades"):
            document = []
        else:
            document = {"serverTime": int(time.time() * 1000)}
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()

    def _ticker(self, symbol: str) -> dict[str, Any]:
        count, place = len(self.sent_at), self.symbols.index(symbol)
        last = count - 1 - (count - 1 - place) % len(self.symbols) if count else -1
        return {
            "symbol": symbol, "lastPrice": f"{max(1, last + 1) * PRICE_STEP:.8f}", "lastId": self._trade_id(last),
            "closeTime": int(time.time() * 1000),
            "volume": "16302.36631", "highPrice": "111190.0", "lowPrice": "108635.0", "priceChange": "475.71",
            "priceChangePercent": "0.434",
        }  # fmt: skip


class _Client:
    __slots__ = ("bytes", "is_probe", "prices", "rest", "sock")

    def __init__(self, sock: socket.socket, is_probe: bool) -> None:
        self.sock, self.is_probe = sock, is_probe
        self.bytes = 0
        self.rest = b""


class Crowd:
    """So many clients of one server, each subscribed by `subscribe(number)`'s symbols; what they got since `reset`."""

    def __init__(self, exchange: Exchange, port: int, count: int, symbols: Callable[[int], list[str]] | None) -> None:
        """`symbols` None: the C sender's clients, who say nothing and count frames by their opcode."""
        self._exchange = exchange
        self._poll = select.epoll()
        self._buffer = bytearray(READ_BYTES)
        self._clients: dict[int, _Client] = {}
        for number in range(count):
            sock = _raw(port) if symbols is None else _subscribed(port, symbols(number))
            sock.setblocking(False)
            self._clients[sock.fileno()] = _Client(sock, number < PROBES)
            self._poll.register(sock, select.EPOLLIN)
        self._share = 1.0
        self._price = PRICE if symbols is not None else re.compile(rb'"p":"([0-9.]+)')
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.sock.close()
        self._poll.close()

    def reset(self) -> None:
        """Count anew."""
        self._since = len(self._exchange.sent_at)
        self.probed = 0  # updates that the probes got
        self.latencies: list[float] = []
        for client in self._clients.values():
            client.bytes = 0

    @property
    def messages(self) -> float:
        """Updates over all clients: those of the probes, extended to the others by the bytes they got."""
        probes = sum(client.bytes for client in self._clients.values() if client.is_probe)
        everyone = sum(client.bytes for client in self._clients.values())
        return self.probed * everyone / probes if probes else 0.0

    def read(self, wait_s: float) -> bool:
        """What has come, waiting for it so long; whether something came."""
        events = self._poll.poll(wait_s)
        for handle, _ in events:
            client = self._clients[handle]
            try:
                size = client.sock.recv_into(self._buffer)
            except BlockingIOError:
                continue
            if not size:
                raise ConnectionError("the server closed a client")
            client.bytes += size
            if client.is_probe:
                self._probe(client, size)
        return bool(events)

    def _probe(self, client: _Client, size: int) -> None:
        now = time.perf_counter()
        text = client.rest + bytes(self._buffer[:size])
        last = text.rfind(b"\x81")  # the beginning of the last frame, which may not be whole; updates are ASCII
        whole = last if not text.endswith(b"}") and not text.endswith(b"]") else len(text)
        client.rest = text[whole:]
        prices = self._price.findall(text, 0, whole)
        latencies = self._exchange.latencies(prices, now, self._since)
        self.probed += len(latencies)
        self.latencies += latencies

    def expects(self, share: float) -> None:
        """Each client gets this share of all updates."""
        self._share = share

    @property
    def is_complete(self) -> bool:
        """Whether the probes got all that was sent since `reset`; of their own symbols about that share is."""
        sent = len(self._exchange.sent_at) - self._since
        return self.probed >= sent * self._share * PROBES * (1.0 if self._share == 1.0 else 0.98)

    def run(self, rate: float, seconds: float, drain_s: float = 0.0) -> None:
        """Send at this rate for so long, reading meanwhile and up to `drain_s` more until all is read."""
        begun = now = time.perf_counter()
        sent = 0
        while now - begun < seconds:
            due = int((now - begun) * rate) - sent
            if due > 0:
                self._exchange.send(due)
                sent += due
            next_s = (sent + 1) / rate - (time.perf_counter() - begun)
            self.read(min(MOST_WAIT_S, max(TICK_S, next_s)))
            now = time.perf_counter()
        end = now + drain_s
        while time.perf_counter() < end and not self.is_complete:
            self.read(0.01)


def _raw(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def _subscribed(port: int, symbols: list[str]) -> socket.socket:
    sock = _raw(port)
    sock.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    _await(sock, b"pingTimeout")
    sock.sendall(encode_frame(Opcode.TEXT, b"40", MASK))
    _await(sock, b"40{")
    sock.sendall(encode_frame(Opcode.TEXT, b'42["subscribe",%s]' % json.dumps({"symbols": symbols}).encode(), MASK))
    _await(sock, b'"subscribed"')
    return sock


def _await(sock: socket.socket, text: bytes) -> None:
    got = b""
    while text not in got:
        chunk = sock.recv(65_536)
        if not chunk:
            raise ConnectionError(f"closed before {text!r}: {got[:300]!r}")
        got += chunk
