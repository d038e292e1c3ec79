"""What is asked of the other services beside what the page asks: their health, their figures, the market."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from shared.errors import Unavailable
from shared.http_client import Answer, HttpClient
from trading_dashboard.fleet_watch import Ask

WATCH_S = 2.0  # a service that takes longer to say how it is, is down for whoever looks
MAX_ANSWER = 4_000_000  # bytes


def asker(url: str) -> Ask:
    """Asks the service at `url`, over a connection that is kept."""
    client = HttpClient(url, timeout_s=WATCH_S, max_bytes=MAX_ANSWER)

    def ask() -> tuple[dict[str, Any], bytes]:
        health = _document(client.send("GET", "/health"))
        return health, client.send("GET", "/metrics").body

    return ask


class Market:
    """Venue and symbols, as websocket-streaming says or last said."""

    def __init__(self, url: str, headers: Callable[[], Mapping[str, str]] = dict) -> None:
        """`headers` go with each call."""
        self._headers = headers
        self._client = HttpClient(url, timeout_s=WATCH_S, max_bytes=MAX_ANSWER)
        self._known: dict[str, Any] = {"venue": None, "symbols": []}

    def __call__(self) -> dict[str, Any]:
        """`venue`, `symbols` (the default ones), and `market_known`: False when nobody could be asked just now."""
        try:
            venue = self._ask("/stats")["venue"]
            self._known = {"venue": venue, "symbols": self._ask("/symbols")["default_symbols"]}
        except (Unavailable, KeyError, TypeError):
            return {**self._known, "market_known": False}
        return {**self._known, "market_known": True}

    def _ask(self, path: str) -> Any:
        return _document(self._client.send("GET", path, headers=self._headers()))["data"]


def _document(answer: Answer) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise Unavailable("something else answers at its address")
    return document
