"""Socket.IO: `subscribe` and `unsubscribe` in; `connected`, `subscribed`, `unsubscribed`, `error`, updates out."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from engineio.exceptions import EngineIOError
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from flask import request
from flask_socketio import SocketIO
from socketio.packet import CONNECT_ERROR, EVENT, Packet

from shared.service import Service
from shared.websocket_frames import FrameParser
from websocket_streaming.alert_events import AlertEvents
from websocket_streaming.alerts import Alerts
from websocket_streaming.channels import Channels
from websocket_streaming.engine_websocket import Engine, EngineSession, SocketIoDoor
from websocket_streaming.fanout import Fanout, Form
from websocket_streaming.plain import WebSocketClient
from websocket_streaming.topics import Problem, Topic, read_wish

ALERT_EVENTS = ("alert", "alert_remove", "alerts")
EVENTS = ("subscribe", "unsubscribe", *ALERT_EVENTS)
# python-socketio's client refuses more than 16 packets in one polling answer; some room is left for other events.
MAX_QUEUED_POLLING = 8


class PollingClient:
    """A session that isn't upgraded, as the fan-out sees it: engineio's own queue, which by itself has no bound."""

    form: Form = "polling"
    behind_s = 0.0  # one that polls no more is found by engineio's ping

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    @property
    def room(self) -> int:
        """See `fanout.Client`."""
        return max(0, MAX_QUEUED_POLLING - int(self._session.queue.qsize()))

    def post(self, frames: bytes) -> bool:
        """See `fanout.Client`."""
        try:
            for message in FrameParser(masked=False, max_message_bytes=len(frames)).feed(frames):
                self._session.send(EnginePacket(MESSAGE, str(message.data)[1:]))
        except EngineIOError:
            pass  # it is closing; its disconnect event follows
        return True

    def flush(self) -> bool:
        """See `fanout.Client`."""
        return True

    def end(self) -> None:
        """See `fanout.Client`; never asked, since it is never behind."""


class SocketIoServer:
    """Socket.IO on the service's app."""

    def __init__(
        self, service: Service, channels: Channels, fanout: Fanout, *, max_clients: int, max_event_bytes: int
    ) -> None:
        self._service, self._channels, self._fanout = service, channels, fanout
        self._logger = service.logger
        quiet = logging.getLogger("socketio.quiet")
        quiet.setLevel(logging.CRITICAL)  # stock logs hold tracebacks and texts that a client chose
        self.socketio = SocketIO(
            service.app,
            async_mode="gevent",
            async_handlers=False,  # a client's events are served one after the other: its flood waits for itself
            always_connect=True,  # `connected` must come after the protocol's own CONNECT
            manage_session=False,
            cors_allowed_origins=self._allows_origin,
            cors_credentials=False,
            max_http_buffer_size=max_event_bytes,
            logger=quiet,
            engineio_logger=quiet,
        )
        self._engine = self.socketio.server.eio
        self.ping = Engine(self._engine, service.clock, fanout.count_slow).ping
        self._engine.disconnect = self._end
        self._dispatch: Callable[[str, Any], None] = self._engine.handlers["message"]
        self._engine.on("message", self._on_message)
        self._door = SocketIoDoor(
            service.app.wsgi_app,
            service.gate,
            lambda: service.state == "ready" and len(self._engine.sockets) < max_clients,
            max_clients=max_clients,
            max_event_bytes=max_event_bytes,
        )
        service.app.wsgi_app = self._door  # type: ignore[method-assign]  # how WSGI middleware is put in place
        self.socketio.on("connect")(self._on_connect)
        self.socketio.on("disconnect")(self._on_disconnect)
        self.socketio.on("subscribe")(self._on_subscribe)
        self.socketio.on("unsubscribe")(self._on_unsubscribe)
        self._alerts = Alerts(service.clock, lambda sid, document: self._emit(sid, "alert", document))
        self.alert_events = AlertEvents(self._alerts, channels, self._emit)
        channels.price.watch = self._alerts.on_price
        for event in ALERT_EVENTS:
            self.socketio.on(event)(partial(self._on_alert_event, event))

    def close(self) -> None:
        """Disconnect everyone (graceful stop); clients connect again by themselves."""
        self._end()
        self._door.upgrades.close_all()

    def _end(self, engine_sid: str | None = None) -> None:
        """In place of engineio's `disconnect`, which waits, maybe for ever, until the client fetched its packets."""
        for sid in [engine_sid] if engine_sid else list(self._engine.sockets):
            if engine_socket := self._engine.sockets.pop(sid, None):
                engine_socket.close(wait=False, reason=self.socketio.reason.SERVER_DISCONNECT)

    def _allows_origin(self, origin: str, environ: dict[str, Any]) -> bool:
        return self._service.gate.allows_origin(origin, environ.get("HTTP_HOST", ""))

    def _on_connect(self, auth: object = None) -> None:  # noqa: ARG002  # python-socketio passes it
        sid = _sid()
        session = self._engine.sockets.get(self.socketio.server.manager.eio_sid_from_sid(sid, "/"))
        if session is None:
            return  # it went while it came
        session.on_unsent = lambda: self._fanout.retry(sid)
        session.on_upgrade = lambda: self._join(sid, session)
        self._join(sid, session)
        journal = self._channels.journal
        self._emit(sid, "connected", {"sid": sid, "venue": journal.venue, "epoch": journal.epoch})

    def _join(self, sid: str, session: EngineSession) -> None:
        client = WebSocketClient(session.ws, "socket.io") if session.ws else PollingClient(session)
        self._fanout.join(sid, client)

    def _on_disconnect(self, reason: object = None) -> None:  # noqa: ARG002  # python-socketio passes it
        self._channels.drop(_sid())
        self._alerts.detach(_sid())
        self._fanout.leave(_sid())

    def _on_subscribe(self, payload: object = None, *_: object) -> None:
        sid = _sid()
        wish = read_wish(payload)
        topics = self._channels.admit(sid, wish)
        self._explain(sid, wish.problems)
        if topics:
            self._emit(sid, "subscribed", wish.granted(topics))
            self._channels.subscribe(sid, topics, wish, on_lost=lambda topic: self._ask_to_resync(sid, topic))

    def _on_unsubscribe(self, payload: object = None, *_: object) -> None:
        sid = _sid()
        wish = read_wish(payload)
        self._explain(sid, wish.problems)
        if wish.topics:
            self._channels.unsubscribe(sid, wish.topics)
            self._emit(sid, "unsubscribed", wish.granted(wish.topics))

    def _on_alert_event(self, event: str, payload: object = None, *_: object) -> None:
        sid = _sid()
        self._explain(sid, self.alert_events.serve(event, sid, payload))

    def _ask_to_resync(self, sid: str, topic: Topic) -> None:
        about = {"symbol": topic.symbol, "channel": topic.channel, "market": topic.market}
        self._emit(sid, "resync_required", about | ({"interval": topic.interval} if topic.interval else {}))

    def _on_message(self, engine_sid: str, data: object) -> None:
        """Before stock dispatch: what isn't one of our events is answered here, so that no client's text can raise."""
        self.socketio.sleep(0)  # a flood on one connection must not keep the others waiting
        problem = _judge(data)
        if problem is None:
            try:
                self._dispatch(engine_sid, data)
            except Exception:
                self._logger.exception("a Socket.IO event failed")
                problem = Problem("internal_error", "an unexpected error; the service's log holds it")
        sid = self.socketio.server.manager.sid_from_eio_sid(engine_sid, "/")
        if problem and sid:
            self._explain(sid, [problem])

    def _explain(self, sid: str, problems: list[Problem]) -> None:
        for problem in problems:
            self._emit(sid, "error", problem.payload())

    def _emit(self, sid: str, event: str, document: dict[str, Any]) -> None:
        self.socketio.server.emit(event, document, to=sid)


def _judge(data: object) -> Problem | None:
    """Why a message can't be dispatched, or None when it can."""
    if not isinstance(data, str) or data[:1] in ("5", "6"):
        return Problem("malformed", "binary messages are not taken")  # attachments would be kept without bound
    try:
        packet = Packet(encoded_packet=data)
    except (ValueError, RecursionError):
        return Problem("malformed", "this is not a Socket.IO packet")
    if not 0 <= packet.packet_type < CONNECT_ERROR:
        return Problem("malformed", "this is not a packet that clients send")
    if packet.packet_type != EVENT:
        return None
    content = packet.data
    if not isinstance(content, list) or not content or content[0] not in EVENTS:
        return Problem("unknown_event", f"the events are {', '.join(EVENTS)}")
    return None


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]  # Flask-SocketIO puts it there
