"""Well-behaved clients that ask on and on, and note how long each answer took."""

import collections
import http.client
import json
import threading
import time
from typing import NamedTuple, Self

SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000.0}
PAUSE_S = 0.01  # between two requests of a client: what is measured is the answer, not a queue of our own


class Request(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    body: str | None = None


REQUESTS = {
    "database-service": [
        Request("POST", "/signals/save", json.dumps(SIGNAL)),
        Request("GET", "/signals/history?limit=10"),
    ],
    "websocket-streaming": [Request("GET", "/price/BTCUSDT")],
    "market-simulator": [Request("GET", "/api/v3/depth?symbol=BTCUSDT&limit=20")],
    "auth-gateway": [Request("GET", "/api/websocket-streaming/price/BTCUSDT")],
    "dashboard": [Request("GET", "/"), Request("GET", "/api/websocket-streaming/price/BTCUSDT")],
}


def requests_of(name: str) -> list[Request]:
    """What good clients of a service ask; of a new one, what each service answers."""
    return REQUESTS.get(name, [Request("GET", "/stats")])


class GoodClients:
    """Threads with one kept connection each; use `with`. `waits_s` and `outcomes` grow while they work."""

    def __init__(self, port: int, requests: list[Request], clients: int = 8) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._waits: list[tuple[float, float]] = []  # (when asked, how long it took)
        self._port, self._requests = port, requests
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(40)

    def waits_s(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """How long the answers took that were asked for between two moments (time.monotonic)."""
        return [took for at, took in list(self._waits) if since <= at < until]

    def _work(self) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.wait(PAUSE_S):
            for request in self._requests:
                self._ask(link, request)
        link.close()

    def _ask(self, link: http.client.HTTPConnection, request: Request) -> None:
        headers = {"Content-Type": "application/json"} if request.body else {}
        begun = time.monotonic()
        try:
            link.request(request.method, request.path, request.body, headers)
            answer = link.getresponse()
            answer.read()
            outcome = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            link.close()  # the next request opens it again
            outcome = f"dropped: {type(error).__name__}"
        self._waits.append((begun, time.monotonic() - begun))
        self.outcomes[outcome] += 1
