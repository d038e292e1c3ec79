"""Blocking native calls (sqlite3, psycopg2, fsync) away from gevent's loop, which they would halt for everyone."""

import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Offload:
    """Runs functions, at most `threads` at a time: in native threads where gevent has patched the process, else in
    the caller's own.

    A function must use no greenlets and must not call the same Offload again. The pool is made by the first call.
    Errors come back to the caller alone: gevent's pool would print a traceback of each, expected ones too.
    """

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise ValueError("threads must be at least 1")
        self._threads = threads
        self._room = threading.BoundedSemaphore(threads)
        self._pool: Any = None
        self._closed = False

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, or its exception. Blocks this caller alone; there is no time-out.

        Raises RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError("this Offload is closed")
        if not is_patched():
            with self._room:
                return function(*args, **kwargs)
        if self._pool is None:
            from gevent.threadpool import ThreadPool

            # The import may have let another greenlet pass here.
            self._pool = self._pool or ThreadPool(self._threads)
        result, error = self._pool.apply(_attempt, (function, args, kwargs))
        if error is not None:
            raise error
        value: R = result
        return value

    def close(self) -> None:
        """Wait for what runs, then end the threads; later calls are refused."""
        self._closed = True
        if self._pool is not None:
            self._pool.join()
            self._pool.kill()


def _attempt(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, BaseException | None]:
    """The result, or the error as a value."""
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001  # nothing is swallowed: the caller's side raises it
        return None, error


def native_socket_pair() -> tuple[socket.socket, socket.socket]:
    """A socket pair that blocks the thread which uses it, as a native thread needs it, and not gevent's loop."""
    if not is_patched():
        return socket.socketpair()
    from gevent.monkey import get_original

    native = get_original("socket", "socket")
    pair = [native(fileno=half.detach()) for half in socket.socketpair()]
    for half in pair:
        half.setblocking(True)  # gevent's don't
    return pair[0], pair[1]


def is_patched() -> bool:
    """Whether gevent has patched this process's threads. Doesn't import gevent to find out."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
