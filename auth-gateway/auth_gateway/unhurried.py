"""Calls that hash a password are taken up one by one, a moment apart, so that everybody else's come between.

Fifty logins that come in the same instant are else parsed, routed and judged in a row before anything else has its
turn: 17 ms, where a check takes one. A hash takes 25 times the pause, so a crowd is not logged in later for it.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

PAUSE_S = 0.001  # the least that gevent's loop waits; taking a login up costs it 0.3 ms
WsgiApp = Callable[..., Iterable[bytes]]


def pause() -> None:
    """Let others come first."""
    time.sleep(PAUSE_S)


class Unhurried:
    """WSGI middleware. `calls`: (method, path) of those that may wait; how many do is bounded by the connections."""

    def __init__(self, wsgi_app: WsgiApp, calls: Iterable[tuple[str, str]], pause: Callable[[], None] = pause):
        self._wsgi_app, self._calls, self._pause = wsgi_app, frozenset(calls), pause
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")) in self._calls:
            with self._turn:
                self._pause()
        return self._wsgi_app(environ, start_response)
