"""R14: SIGINT or SIGTERM with 200 requests in flight: readiness says 503 first, none is dropped, exit 0 within 10 s."""

import collections
import http.client
import json
import signal
import threading
import time

import pytest

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from tests.faults.conftest import NAMES, Start

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api]

CLIENTS = 200
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000.0}
LOAD = {
    "database-service": ("POST", "/signals/save", json.dumps(SIGNAL)),
    "websocket-streaming": ("GET", "/price/BTCUSDT", None),
    "market-simulator": ("GET", "/api/v3/depth?symbol=BTCUSDT&limit=20", None),
}


class Clients:
    """Each keeps one connection busy, until the service says that it closes it."""

    def __init__(self, service: ServiceProcess) -> None:
        self._port, self._name = service.port, service.folder.name
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.busy = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        method, path, body = LOAD[self._name]
        headers = {"Content-Type": "application/json"} if body else {}
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        answered, closing = 0, False
        try:
            while not closing:
                link.request(method, path, body, headers)
                answer = link.getresponse()
                answer.read()
                closing = answer.headers["Connection"] == "close"
                answered += 1
                self._note(str(answer.status), first=answered == 1)
        except (OSError, http.client.HTTPException) as error:
            self._note(f"dropped: {error!r}", first=False)
        finally:
            link.close()

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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", NAMES)
def test_a_stop_under_load_drops_nothing(start: Start, name: str, how: signal.Signals) -> None:
    with start(name, DRAIN_SECONDS="2") as service:
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
