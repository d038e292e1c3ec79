"""Plain WebSocket: `/stream/price/<symbol>` sends the same payloads as Socket.IO, each as {"event", "data"}."""

import socket
import threading
import time
import uuid
from collections import deque

from werkzeug.wrappers import Request

from shared.web.websocket import WebSocket, WebSocketClosed
from shared.web.websocket_connection import SEND_TIMEOUT_S
from shared.websocket_frames import CloseCode
from websocket_streaming.fanout import Fanout, Update
from websocket_streaming.price_channel import PriceChannel
from websocket_streaming.topics import SPOT, Problem, read_wish

MAX_UNSENT = 64
# The kernel would grow a stalled client's buffer to 4 MB.
SEND_BUFFER_BYTES = 131_072
PING_EVERY_S = 25.0
GONE_AFTER_S = 60.0


def bound_send_buffer(request: Request) -> None:
    """Limit what the kernel holds for a client that doesn't read."""
    request.environ["fleet.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


class PlainClient:
    """One connection: a bounded queue and the sender that empties it."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._unsent: deque[bytes] = deque()
        self._work = threading.Event()
        self.was_slow = False

    @property
    def has_room(self) -> bool:
        """See `fanout.Client`."""
        return len(self._unsent) < MAX_UNSENT

    def push(self, update: Update) -> None:
        """See `fanout.Client`."""
        self._unsent.append(update.frame)
        self._work.set()

    def run(self) -> None:
        """Send what is queued, joined into one write, until the connection ends."""
        while not self._ws.closed:
            if not self._work.wait(timeout=1.0):
                continue
            self._work.clear()
            frames = b"".join(self._unsent)
            self._unsent.clear()
            started = time.monotonic()
            try:
                self._ws.send_frame(frames)
            except WebSocketClosed:
                self.was_slow = time.monotonic() - started >= SEND_TIMEOUT_S
                return


class PlainStreams:
    """Serves plain connections."""

    def __init__(self, channel: PriceChannel, fanout: Fanout) -> None:
        self._channel, self._fanout = channel, fanout

    def price(self, ws: WebSocket, request: Request, symbol: str) -> None:
        """Stream a symbol's price until the client leaves."""
        bound_send_buffer(request)
        name = f"plain-{uuid.uuid4().hex}"
        wish = read_wish({"symbols": [symbol], "market": request.args.get("market", SPOT)})
        topics = self._channel.admit(name, wish)
        if wish.problems:
            _refuse(ws, wish.problems[0])
            return
        client = PlainClient(ws)
        sender = threading.Thread(target=client.run, name=name, daemon=True)
        sender.start()
        self._fanout.join(name, client)
        try:
            self._channel.subscribe(name, topics)
            _listen(ws, client)
        finally:
            self._channel.drop(name)
            self._fanout.leave(name)
            if client.was_slow:
                self._fanout.count_slow()


def _listen(ws: WebSocket, client: PlainClient) -> None:
    """Nothing is expected from the client; its pongs say that it is there."""
    told = Update("error", Problem("unexpected_message", "This stream only sends; the path names what").payload())
    while True:
        try:
            if ws.receive(timeout_s=PING_EVERY_S) is None:
                return
            if client.has_room:
                client.push(told)
        except TimeoutError:
            if time.monotonic() - ws.last_pong_at > GONE_AFTER_S:
                ws.abort()
            ws.ping()


def _refuse(ws: WebSocket, problem: Problem) -> None:
    ws.send_frame(Update("error", problem.payload()).frame)
    ws.close(CloseCode.TRY_LATER if problem.code == "upstream_unavailable" else CloseCode.POLICY, problem.code)
