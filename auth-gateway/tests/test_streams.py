"""A stream that is open ends with the login or the key that opened it, and no sooner."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
import websocket

from auth_gateway.identity import Identity
from auth_gateway.streams import KEY_OVER, MAX_AGE_S, PORTION, SESSION_OVER, TOO_OLD, Streams
from shared.errors import Unavailable
from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from shared.testing.process import ServiceProcess
from shared.testing.websocket_server import WebSocketServer
from shared.web.websocket import WebSocket, WebSocketGate
from shared.websocket_frames import CloseCode, Opcode, encode_frame

from .fleet import Gateway, key


def caller(session: str | None = None, key_hash: str | None = None) -> Identity:
    return Identity("a", "reader", "free", ("*:read",), session_id=session, key_hash=key_hash)


class World:
    """What is in force by the database's word; it is `away` or not."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.over: set[str] = set()
        self.asked: list[int] = []
        self.away = False
        self.told: list[tuple[str, str]] = []
        self.streams = Streams(self.ask, self.ask, self.clock.now, self.clock.monotonic, get_logger("test"))

    def ask(self, names: Sequence[str], now: datetime) -> set[str]:
        assert now == self.clock.now()
        if self.away:
            raise Unavailable("the database is away")
        self.asked.append(len(names))
        return set(names) - self.over

    def tell(self, name: str) -> Callable[[str], None]:
        return lambda reason: self.told.append((name, reason))


@pytest.mark.unit
def test_those_whose_login_or_key_is_over_are_told_and_no_others() -> None:
    world = World()
    by_session, other, by_key = caller(session="s1"), caller(session="s2"), caller(key_hash="k1")
    with (
        world.streams.opened(by_session, world.tell("one")),
        world.streams.opened(by_session, world.tell("two")),
        world.streams.opened(other, world.tell("other")),
        world.streams.opened(by_key, world.tell("key")),
        world.streams.opened(None, world.tell("guest")),
    ):
        world.streams.look()
        assert world.told == []
        world.over = {"s1", "k1"}
        world.streams.look()
        assert sorted(world.told) == [("key", KEY_OVER), ("one", SESSION_OVER), ("two", SESSION_OVER)]
        assert world.asked == [2, 1, 2, 1]
    world.streams.look()
    assert len(world.told) == 3, "those that have left are told nothing"


@pytest.mark.unit
def test_after_a_day_each_is_told_to_come_again_whoever_it_is() -> None:
    world = World()
    with world.streams.opened(None, world.tell("guest")):
        world.clock.advance(MAX_AGE_S - 1)
        with world.streams.opened(caller(session="s1"), world.tell("young")):
            world.streams.look()
            assert world.told == []
            world.clock.advance(1)
            world.streams.look()
    assert world.told == [("guest", TOO_OLD)]


@pytest.mark.unit
def test_while_the_database_is_away_all_stay() -> None:
    world = World()
    world.away = True
    with world.streams.opened(caller(session="s1"), world.tell("one")):
        with pytest.raises(Unavailable):
            world.streams.look()
        world.over, world.away = {"s1"}, False
        world.streams.look()
    assert world.told == [("one", SESSION_OVER)]


@pytest.mark.unit
def test_many_are_asked_for_in_portions() -> None:
    world = World()
    opened = [world.streams.opened(caller(session=str(n)), world.tell(str(n))) for n in range(PORTION + 1)]
    for one in opened:
        one.__enter__()
    world.over = {"7", str(PORTION)}
    world.streams.look()
    assert world.asked == [PORTION, 1]
    assert sorted(world.told) == sorted((name, SESSION_OVER) for name in world.over)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The description of a service of which nothing is known."""
    document: dict[str, Any] = {"paths": {}, "components": {"schemas": {}}}
    body = json.dumps(document if environ["PATH_INFO"] == "/openapi.json" else {}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def ticks(ws: WebSocket, request: Any, half: str | None = None) -> None:
    """One message, and for some half of a second one; what comes in comes back."""
    ws.send_text("welcome")
    if half:
        ws.send_frame(encode_frame(Opcode.TEXT, "never whole")[:5])
    while (said := ws.receive()) is not None:
        ws.send_text(said)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    routes = [("/stream/<half>/cut", ticks), ("/stream/ticks", ticks)]
    with WebSocketServer(gate=WebSocketGate(app, routes)) as service:
        urls = f"websocket-streaming=http://127.0.0.1:{service.port}"
        env = {"AUTH_REQUIRED": "true", "RATE_LIMIT_ENABLED": "false", "SERVICE_URLS": urls}
        with ServiceProcess("auth-gateway", env) as process:
            yield Gateway(process, {})


def opened(gateway: Gateway, headers: dict[str, str], path: str = "ticks") -> websocket.WebSocket:
    address = f"{gateway.process.ws_url}/api/websocket-streaming/stream/{path}"
    link = websocket.create_connection(address, timeout=30, header=headers)
    assert link.recv() == "welcome"
    return link


def goodbye(link: websocket.WebSocket) -> tuple[int, str]:
    """The Close frame that comes next."""
    opcode, data = link.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    return int.from_bytes(data[:2]), data[2:].decode()


@pytest.mark.integration
@pytest.mark.api
@pytest.mark.database
def test_streams_through_the_gateway_are_closed_when_what_opened_them_is_over(gateway: Gateway) -> None:
    ada, bob = gateway.account("ada", "reader"), gateway.account("bob", "reader")
    other = gateway.token("ada")
    asked = {"scopes": ["*:read"]}
    revoked, rotated, kept, of_bob = (key(gateway, who, **asked) for who in (ada, ada, ada, bob))
    ids = [one["id"] for one in gateway.ask("GET", "/auth/keys", **other).json()["data"]]  # newest first
    by_login, cut = opened(gateway, ada), opened(gateway, ada, "half/cut")
    by_key = [opened(gateway, headers) for headers in (revoked, rotated, of_bob)]
    staying = [opened(gateway, headers) for headers in (other, kept)]

    assert gateway.ask("POST", "/auth/logout", **ada).status == 200
    assert gateway.ask("DELETE", f"/auth/keys/{ids[2]}", **other).status == 200
    assert gateway.ask("POST", f"/auth/keys/{ids[1]}/rotate", **other).status == 200
    assert gateway.by_hand("change", "bob", "--disable").returncode == 0

    assert goodbye(by_login) == (CloseCode.POLICY, SESSION_OVER)
    for link in by_key:
        assert goodbye(link) == (CloseCode.POLICY, KEY_OVER)
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        cut.recv()  # a Close frame in the middle of another would be taken for its content
    for link in staying:
        link.send("still there?")
        assert link.recv() == "still there?"
        link.close()
