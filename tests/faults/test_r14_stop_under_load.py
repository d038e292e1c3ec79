"""R14: SIGINT or SIGTERM with 200 requests in flight, group commits, batches and exports among them: readiness says 503
first, none is dropped, all that was acknowledged is there after it, exit 0 within 10 s.
"""

import collections
import http.client
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from tests.faults.conftest import NAMES, Start
from tests.faults.load import REQUESTS, SIGNAL, Request, requests_of

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api]

CLIENTS = 200
ROWS = 3000  # that an export reads
EXPORT = Request("GET", "/signals/export?format=ndjson&symbol=EXPORT")
READ = Request("GET", "/signals/history?limit=100")
numbers = itertools.count(1)


def rows(count: int, symbol: str) -> str:
    """A batch of signals, each another."""
    return json.dumps([{**SIGNAL, "symbol": symbol, "price": next(numbers)} for _ in range(count)])


def save(client: int) -> Request:
    """One signal, another each time: most clients of database-service do that."""
    if client % 20 == 0:
        return EXPORT
    if client % 20 == 1:
        return Request("POST", "/signals/batch", rows(10, "BATCH"))
    if client % 20 < 5:
        return READ
    return Request("POST", "/signals/save", json.dumps({**SIGNAL, "price": next(numbers)}))


LOAD: dict[str, Callable[[int], Request]] = {
    "database-service": save,
    "websocket-streaming": lambda client: REQUESTS["websocket-streaming"][0],
    "market-simulator": lambda client: REQUESTS["market-simulator"][0],
    "auth-gateway": lambda client: REQUESTS["auth-gateway"][0],
    "dashboard": lambda client: REQUESTS["dashboard"][client % 2],
}


class Clients:
    """Each keeps one connection busy, until the service says that it closes it."""

    def __init__(self, service: ServiceProcess) -> None:
        self._port, self._name = service.port, service.folder.name
        self._next: Callable[[int], Request] = LOAD.get(self._name, lambda _client: requests_of(self._name)[0])
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.busy = 0
        self._lock = threading.Lock()
        self.saved = 0
        self._threads = [threading.Thread(target=self._work, args=(client,)) for client in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _work(self, client: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        answered, closing = 0, False
        try:
            while not closing:
                request = self._next(client)
                headers = {"Content-Type": "application/json"} if request.body else {}
                link.request(request.method, request.path, request.body, headers)
                answer = link.getresponse()
                body = answer.read()  # raises if it is cut short
                closing = answer.headers["Connection"] == "close"
                answered += 1
                outcome = "200" if answer.status == 200 else f"{answer.status}: {body[:150]!r}"
                self._note(outcome, first=answered == 1)
                self._check(request, body)
        except (OSError, http.client.HTTPException) as error:
            self._note(f"dropped: {error!r}", first=False)
        finally:
            link.close()

    def _check(self, request: Request, body: bytes) -> None:
        if request is EXPORT and (lines := body.count(b"\n")) != ROWS:
            self._note(f"an export of {lines} rows", first=False)
        if request.method == "POST":
            with self._lock:
                self.saved += 10 if "batch" in request.path else 1

    def _note(self, outcome: str, *, first: bool) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
            self.busy += first

    def join(self) -> None:
        """Wait for all of them."""
        for thread in self._threads:
            thread.join(60)


def watch_readiness(port: int, seen: list[int]) -> None:
    """Note each answer of /health/ready until nobody listens any more."""
    while True:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            link.request("GET", "/health/ready")
            seen.append(link.getresponse().status)
        except (OSError, http.client.HTTPException):
            return
        finally:
            link.close()
        time.sleep(0.02)


def fill(service: ServiceProcess) -> None:
    """What the exports read."""
    headers = {"Content-Type": "application/json"}
    answer = urllib3.request("POST", f"{service.base_url}/signals/batch", body=rows(ROWS, "EXPORT"), headers=headers)
    assert answer.json()["stored"] == ROWS, answer.data[:300]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", NAMES)
def test_a_stop_under_load_drops_nothing(start: Start, name: str, how: signal.Signals) -> None:
    with start(name, DRAIN_SECONDS="2") as service:
        if name == "database-service":
            fill(service)
        readiness: list[int] = []
        watcher = threading.Thread(target=watch_readiness, args=(service.port, readiness))
        clients = Clients(service)
        wait_until(lambda: clients.busy == CLIENTS, 60, what=f"{CLIENTS} clients at work")
        watcher.start()
        wait_until(lambda: readiness, what="readiness asked")
        began = time.monotonic()
        code = service.stop(how)
        took_s = time.monotonic() - began
        clients.join()
        watcher.join(20)
        print(f"\nR14 {name} {how.name}: {dict(clients.outcomes)}, exit {code} after {took_s:.1f} s")
        assert list(clients.outcomes) == ["200"]
        assert readiness[0] == 200
        assert readiness[-1] == 503
        assert code == 0
        assert took_s < 10  # the experiment's own bound, not a measurement
        assert "Traceback" not in service.log
        if name == "database-service":
            service.start()
            assert service.get("/stats")["data"]["signal_count"] == ROWS + clients.saved
