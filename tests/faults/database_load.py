"""The mixed traffic of database-service: what its clients send, wrong requests and rude clients among it."""

import gzip
import http.client
import itertools
import json
import socket
import threading
from typing import Any

import urllib3

from shared.testing.process import ServiceProcess
from tests.faults.load import REQUESTS, SIGNAL
from tests.faults.soak import Load

PROBE = REQUESTS["database-service"]
SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"]
ROWS = 100  # in a batch
http_pool = urllib3.PoolManager(maxsize=16, timeout=30, retries=False)
JSON = {"Content-Type": "application/json"}
kept = threading.local()  # one connection a thread for what is sent often
numbers = itertools.count(1)


def expect(status: int, answer: Any) -> None:
    """Raises with the beginning of the answer."""
    if answer.status != status:
        raise AssertionError(f"{answer.status} instead of {status}: {answer.data[:200]!r}")


def send(service: ServiceProcess, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Ask once."""
    payload = body if isinstance(body, bytes | None) else json.dumps(body)
    return http_pool.request(method, service.base_url + path, body=payload, headers={**JSON, **headers})


def signal(number: int) -> dict[str, Any]:
    """One of its own."""
    return SIGNAL | {"symbol": SYMBOLS[number % 4], "price": 1 + number / 100, "metadata": {"number": number}}


def save(service: ServiceProcess, number: int) -> None:
    """Without a key, with one, and the same once more, over a kept connection."""
    link: http.client.HTTPConnection | None = getattr(kept, "link", None)
    if link is None:
        link = kept.link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    one, key = next(numbers), {"Idempotency-Key": f"soak-{next(numbers)}"}
    bodies = [(signal(one), {}), (signal(-(one % 1000) * 100 + 10**7), key), (signal(-(one % 1000) * 100 + 10**7), key)]
    ids = []
    for body, more in bodies:
        link.request("POST", "/signals/save", json.dumps(body), JSON | more)
        answer = link.getresponse()
        document = json.loads(answer.read())
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {document}")
        ids.append(document["signal_id"])
    if ids[1] != ids[2]:
        raise AssertionError(f"one key, two answers: {ids}")


def batch(service: ServiceProcess, number: int) -> None:
    """An array, NDJSON and gzip in turn."""
    rows = [signal(next(numbers)) for _ in range(ROWS)]
    array, lines = json.dumps(rows).encode(), "\n".join(map(json.dumps, rows)).encode()
    ways: list[tuple[bytes, dict[str, str]]] = [
        (array, {}),
        (lines, {"Content-Type": "application/x-ndjson"}),
        (gzip.compress(array, 1), {"Content-Encoding": "gzip"}),
    ]
    body, headers = ways[number % 3]
    expect(200, send(service, "POST", "/signals/batch", body, **headers))


def read(service: ServiceProcess, number: int) -> None:
    """History with filters and over pages, one signal, and the standard calls."""
    first = send(service, "GET", f"/signals/history?limit=50&symbol={SYMBOLS[number % 4]}&min_confidence=0.5")
    expect(200, first)
    page = first.json()["data"]
    if page["next_cursor"]:
        expect(200, send(service, "GET", f"/signals/history?limit=50&cursor={page['next_cursor']}"))
    if page["signals"]:
        expect(200, send(service, "GET", f"/signals/{page['signals'][0]['signal_id']}"))
    paths = ["/stats", "/health", "/performance/stats", "/metrics", "/signals/audit?limit=100", "/signals/conflicts"]
    expect(200, send(service, "GET", paths[number % len(paths)]))


def export(service: ServiceProcess, number: int) -> None:
    """A part of fixed size, read to its end; each third time given up in the middle."""
    path = f"/signals/export?symbol=EXPORT&format={['csv', 'ndjson'][number % 2]}"
    answer = http_pool.request("GET", service.base_url + path, preload_content=False)
    if number % 3:
        lines = sum(chunk.count(b"\n") for chunk in answer.stream(65_536))
        if lines < 10 * ROWS:
            raise AssertionError(f"{lines} lines of {10 * ROWS}")
    answer.close()


def prepare(service: ServiceProcess) -> None:
    """What `export` reads: it must not grow with the run."""
    rows = [signal(number) | {"symbol": "EXPORT"} for number in range(10 * ROWS)]
    expect(200, send(service, "POST", "/signals/batch", rows))
    for number in range(100):
        expect(200, send(service, "POST", "/performance/track", {"strategy": f"s{number % 5}", "pnl": number - 50}))


def change_settings(service: ServiceProcess, number: int) -> None:
    """A user's settings, read, changed and written."""
    user = f"/settings/user-{number % 20}"
    answer = send(service, "GET", user)
    version = answer.json()["version"] if answer.status == 200 else 0
    expect(200, send(service, "PUT", user, {"version": version, "settings": {"number": number}}))


def err(service: ServiceProcess, number: int) -> None:
    """Wrong in each way that has a status of its own."""
    wrong: list[tuple[int, str, str, Any]] = [
        (400, "POST", "/signals/save", b"{"),
        (422, "POST", "/signals/save", SIGNAL | {"price": -1}),
        (422, "GET", "/signals/history?cursor=none", None),
        (404, "GET", f"/signals/no-{number}", None),
        (404, "GET", f"/no-{number}", None),
        (405, "DELETE", "/signals/history", None),
        (413, "POST", "/signals/save", b'{"symbol": "' + b"a" * 1_000_001 + b'"}'),
    ]
    status, method, path, body = wrong[number % len(wrong)]
    expect(status, send(service, method, path, body))


def come_and_go(service: ServiceProcess, number: int) -> None:
    """Connect and leave: without a word, in the middle of a request, before the answer."""
    whole = b"GET /signals/history HTTP/1.1\r\nHost: localhost\r\n\r\n"
    said = [b"", whole[:30], whole]
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as link:
        link.sendall(said[number % 3])


LOADS = [
    Load("save", save, 0.005, threads=12),
    Load("batch", batch, 0.5),
    Load("read", read, 0.02, threads=2),
    Load("export", export, 0.5),
    Load("settings", change_settings, 0.1),
    Load("errors", err, 0.02),
    Load("come and go", come_and_go, 0.02),
]
