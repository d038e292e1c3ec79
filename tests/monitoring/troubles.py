"""What a fleet has to bear, for as long as a `with` lasts."""

import asyncio
import contextlib
import json
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
import urllib3
import websocket

from database_service.migrate import MIGRATIONS
from shared.testing.process import ServiceProcess

SIGNAL = json.dumps({"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000})
JSON = {"Content-Type": "application/json"}
AGAIN_S = 0.5
# Each subscription begins with whole books: half a megabyte in all.
BOOKS = {"symbols": ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT"], "channels": ["orderbook"]}
WISHES = [json.dumps([word, BOOKS]) for word in ("unsubscribe", "subscribe") * 6]
http = urllib3.PoolManager(timeout=20, retries=False, maxsize=8)


def save(service: ServiceProcess) -> object:
    """One signal."""
    return http.request("POST", f"{service.base_url}/signals/save", body=SIGNAL, headers=JSON)


@contextmanager
def scenario(simulator: ServiceProcess, name: str, symbol: str | None = None, **params: object) -> Iterator[None]:
    """One of the simulator's."""
    body = json.dumps({"name": name, "duration_s": 300, "symbol": symbol, "params": params})
    answer = http.request("POST", f"{simulator.base_url}/sim/scenario", body=body, headers=JSON)
    assert answer.status == 200, answer.data
    yield
    http.request("DELETE", f"{simulator.base_url}/sim/scenario/{answer.json()['data']['id']}")


@contextmanager
def repeated(*works: Callable[[], object], every_s: float = 0.05) -> Iterator[None]:
    """Each of these again and again, in a thread of its own; connections that break are part of it."""
    stopping = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not stopping.wait(every_s):
            with contextlib.suppress(OSError, urllib3.exceptions.HTTPError):
                work()

    threads = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(30)


@contextmanager
def stalled(stream: ServiceProcess, clients: int) -> Iterator[None]:
    """So many clients wish for more than the kernel holds for them, and read nothing."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    url = f"{stream.ws_url}/socket.io/?EIO=4&transport=websocket"
    with contextlib.ExitStack() as held:
        for _ in range(clients):
            link = websocket.create_connection(url, sockopt=small, timeout=10)
            held.callback(link.shutdown)
            for packet in ("40", *[f"42{wish}" for wish in WISHES]):
                link.send(packet)
        yield


@contextmanager
def crowded(service: ServiceProcess, descriptors: int, clients: int) -> Iterator[None]:
    """The process may have so many descriptors, and so many clients hold a connection."""
    allowed = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (descriptors, allowed[1]))
    try:
        with contextlib.ExitStack() as held:
            for _ in range(clients):
                held.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10))
            yield
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, allowed)


@contextmanager
def locked(database_url: str, statement: str) -> Iterator[None]:
    """A transaction that somebody leaves open."""
    link = psycopg2.connect(database_url)
    try:
        link.cursor().execute(statement)
        yield
    finally:
        link.close()


# What a database-service takes before it migrates.
MIGRATION_LOCK = f"SELECT pg_advisory_lock({MIGRATIONS.lock})"
TABLE_LOCK = "LOCK TABLE signals IN ACCESS EXCLUSIVE MODE"


class _Saver(asyncio.Protocol):
    """A client that saves, and once more a little after each answer."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._save()

    def data_received(self, _: bytes) -> None:
        asyncio.get_running_loop().call_later(AGAIN_S, self._save)

    def _save(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._request)


@contextmanager
def pressed(service: ServiceProcess, clients: int) -> Iterator[None]:
    """So many clients save at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * clients)), hard))
    head = f"POST /signals/save HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(SIGNAL)}\r\n\r\n{SIGNAL}".encode()
    stopping = threading.Event()

    async def press() -> None:
        loop = asyncio.get_running_loop()
        links = [
            (await loop.create_connection(lambda: _Saver(request), "127.0.0.1", service.port))[0]
            for _ in range(clients)
        ]
        while not stopping.is_set():
            await asyncio.sleep(0.1)
        for link in links:
            link.abort()

    thread = threading.Thread(target=asyncio.run, args=(press(),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(30)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
