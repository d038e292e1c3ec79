"""Plain WebSocket: `/stream/<channel>/<symbol>` sends the same payloads as Socket.IO, each as {"event", "data"}."""

import socket
import sys
import time
import uuid
from collections.abc import Callable

import orjson
from werkzeug.wrappers import Request

from shared.web.websocket import WebSocket
from shared.websocket_frames import CloseCode
from websocket_streaming.channels import Channels
from websocket_streaming.fanout import Fanout, Form, encode
from websocket_streaming.topics import DEFAULT_INTERVAL, SPOT, Problem, read_wish

# The kernel would grow a stalled client's buffer to 4 MB.
SEND_BUFFER_BYTES = 131_072
PING_EVERY_S = 25.0
GONE_AFTER_S = 60.0


def bound_send_buffer(request: Request) -> None:
    """Limit what the kernel holds for a client that doesn't read."""
    request.environ["fleet.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


class WebSocketClient:
    """An open WebSocket as the fan-out sees it: it takes everything until bytes have to wait for its reader."""

    def __init__(self, ws: WebSocket, form: Form) -> None:
        self._ws = ws
        self.form = form
        self.post = ws.post  # called for every client and tick: no layer between
        self.flush = ws.flush
        self.end = ws.abort

    @property
    def room(self) -> int:
        """See `fanout.Client`."""
        return 0 if self._ws.unsent else sys.maxsize

    @property
    def behind_s(self) -> float:
        """See `fanout.Client`."""
        return self._ws.behind_s


class PlainStreams:
    """Serves plain connections."""

    def __init__(self, channels: Channels, fanout: Fanout) -> None:
        self._channels, self._fanout = channels, fanout

    def handler(self, channel: str) -> Callable[..., None]:
        """Streams a symbol's channel until the client leaves; klines' path names an interval, too."""

        def serve(ws: WebSocket, request: Request, symbol: str, interval: str = DEFAULT_INTERVAL) -> None:
            self._serve(ws, request, channel, symbol, interval)

        return serve

    def _serve(self, ws: WebSocket, request: Request, channel: str, symbol: str, interval: str) -> None:
        bound_send_buffer(request)
        name = f"plain-{uuid.uuid4().hex}"
        market = request.args.get("market", SPOT)
        wish = read_wish({"symbols": [symbol], "market": market, "channels": [channel], "interval": interval})
        topics = self._channels.admit(name, wish)
        if wish.problems:
            _refuse(ws, wish.problems[0])
            return
        self._fanout.join(name, WebSocketClient(ws, "plain"))
        try:
            self._channels.subscribe(name, topics, wish)
            _listen(ws)
        finally:
            self._channels.drop(name)
            self._fanout.leave(name)


def _listen(ws: WebSocket) -> None:
    """Nothing is expected from the client; its pongs say that it is there."""
    told = _error(Problem("unexpected_message", "This stream only sends; the path names what"))
    while True:
        try:
            if ws.receive(timeout_s=PING_EVERY_S) is None:
                return
            if not ws.unsent:
                ws.post(told)
        except TimeoutError:
            if time.monotonic() - ws.last_pong_at > GONE_AFTER_S:
                ws.abort()
            ws.ping()


def _error(problem: Problem) -> bytes:
    return encode("plain", "error", orjson.dumps(problem.payload()))


def _refuse(ws: WebSocket, problem: Problem) -> None:
    ws.send_frame(_error(problem))
    ws.close(CloseCode.TRY_LATER if problem.code == "upstream_unavailable" else CloseCode.POLICY, problem.code)
