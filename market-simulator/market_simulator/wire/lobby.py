"""Every open socket: who may come in, what the URL asks for, pings, the end of a connection's life."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import gevent

from market_simulator.wire.errors import ExchangeError
from market_simulator.wire.faults import Faults
from market_simulator.wire.futures_streams import ROUTES, is_served_on
from market_simulator.wire.hub import Hub
from market_simulator.wire.limits import STREAMS_PER_CONNECTION, ConnectLimit, Rules
from market_simulator.wire.outbox import Outbox
from market_simulator.wire.session import POLICY, Session
from market_simulator.wire.streams import Channel
from shared.web.websocket import WebSocket
from shared.websocket_frames import Message, Opcode

GOING_AWAY = 1001
DAY_OVER = "24 h are over"
SEND_BUFFER_BYTES = 262_144  # the kernel would grow it to 4 MB for a client that doesn't read
ROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a socket's URL asks for."""

    names: list[str]
    combined: bool
    scale: int
    route: str = ""  # of futures; empty: spot


def read_url(path: str, query: str) -> Wish | None:
    """`/ws…`, `/stream…`, below a route of futures too. None: a bad timeUnit.

    `+` stays `+` in the query: it belongs to `@kline_1d@+08:00`.
    """
    parts = [part for part in path.split("/") if part]
    route = parts.pop(0) if parts and parts[0] in ROUTES else ""
    combined = parts[:1] == ["stream"]
    values = dict(part.partition("=")[::2] for part in query.split("&"))
    unit = unquote(values.get("timeUnit", "MILLISECOND")).upper()
    if unit not in ("MILLISECOND", "MICROSECOND"):
        return None
    names = parts[1:]
    if combined:
        names = [name for name in unquote(values.get("streams", "")).split("/") if name]
    return Wish(names, combined, 1000 if unit == "MICROSECOND" and not route else 1, route)


class Lobby:
    """Lets sockets in and watches over them."""

    def __init__(
        self, hub: Hub, faults: Faults, monotonic: Callable[[], float], rules: Rules,
        futures: tuple[Hub, Rules] | None = None,
    ):  # fmt: skip
        """`futures`: what serves the routes of futures; without it they accept everything and stay silent."""
        self._hub = hub
        self._faults = faults
        self._monotonic = monotonic
        self._rules = rules
        self._futures = futures
        self._connects = ConnectLimit()
        self.connections: dict[Session, WebSocket] = {}
        self.accepted = 0
        self.overflowed = 0

    def serve(self, ws: WebSocket, address: str, path: str, query: str, raw: socket.socket | None) -> None:
        """One connection, from its handshake to its end."""
        wish = read_url(path, query)
        if self._faults.outage_status is not None:
            ws.abort()
            return
        if wish is None or len(wish.names) > STREAMS_PER_CONNECTION:
            ws.close(POLICY, "Invalid request")
            return
        try:
            if self._rules.limited:
                self._connects.enter(address, self._monotonic())
        except ExchangeError as error:
            ws.close(POLICY, error.msg)
            return
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._run(ws, address, wish)

    def _run(self, ws: WebSocket, address: str, wish: Wish) -> None:
        outbox = Outbox(ws)
        session = self._session(outbox, address, wish)
        ws.on_control = lambda message: self._on_control(session, message)
        self.connections[session] = ws
        self.accepted += 1
        writer = gevent.spawn(outbox.run)
        try:
            session.open_with(wish.names)
            while (text := ws.receive()) is not None:
                session.on_message(text, self._monotonic())
        finally:
            session.close()
            del self.connections[session]
            self.overflowed += outbox.overflowed
            writer.kill()

    def _session(self, outbox: Outbox, address: str, wish: Wish) -> Session:
        hub, rules = self._futures if wish.route and self._futures else (self._hub, self._rules)

        def carries(channel: Channel) -> bool:
            return not wish.route or (self._futures is not None and is_served_on(wish.route, channel))

        return Session(
            hub, outbox, address, self._monotonic(), rules=rules, combined=wish.combined, scale=wish.scale,
            carries=carries,
        )  # fmt: skip

    def _on_control(self, session: Session, message: Message) -> None:
        now_s = self._monotonic()
        if message.opcode is Opcode.PONG:
            session.on_pong(bytes(message.data) if isinstance(message.data, bytes) else b"", now_s)
        if message.opcode is not Opcode.CLOSE:
            session.within_rate(now_s)

    def watch(self) -> None:
        """Ping, and end what is dead or too old, until killed."""
        while True:
            gevent.sleep(min(ROUND_S, *(rules.ping_s / 4 for rules in self._all_rules())))
            self.round(self._monotonic())

    def _all_rules(self) -> list[Rules]:
        return [self._rules] if self._futures is None else [self._rules, self._futures[1]]

    def round(self, now_s: float) -> None:
        """One look at every socket."""
        for session, ws in list(self.connections.items()):
            if now_s - session.opened_s >= session.rules.life_s:
                session.outbox.end(GOING_AWAY, DAY_OVER)
            elif now_s - session.ponged_s >= session.rules.pong_timeout_s:
                ws.abort()
            elif now_s - session.pinged_s >= session.rules.ping_s:
                session.ping(now_s)

    def matching(self, symbol: str | None) -> list[Session]:
        """The sockets that listen to a symbol; None: all."""
        return [session for session in self.connections if session.matches(symbol)]

    def cut(self, sessions: list[Session]) -> None:
        """Drop their TCP connections, without a Close frame."""
        for session in sessions:
            if (ws := self.connections.get(session)) is not None:
                ws.abort()
