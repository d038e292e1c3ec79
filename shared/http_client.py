"""HTTP calls of other servers: bounded in time and size, GETs retried where that is safe, errors translated."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import urllib3

from shared import tracing
from shared.clock import Clock, SystemClock
from shared.errors import Unavailable

CONNECT_TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 10.0  # one attempt, body included
RETRIES = 2
BACKOFF_S = 0.25  # full jitter: before retry n a random wait of up to BACKOFF_S * 2**n
MAX_WAIT_S = 5.0  # a longer Retry-After is the caller's to wait for
MAX_BYTES = 32_000_000  # the largest real answer, futures' exchangeInfo, has a few MB
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole. Header names compare without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    retry_after_s: float | None = None

    def json(self) -> Any:
        """The body parsed; raises Unavailable if it isn't JSON (a firewall's or a portal's page)."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Unavailable(f"the answer ({self.status}) is not JSON") from None


class StreamedAnswer:
    """An answer whose body is read as it comes: iterate, or `close` what is not wanted. Each piece is 64 KB at most.

    Iterating raises Unavailable when the server stops in the middle. `on_close` is called once, however it ends.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, on_close: Callable[[], None]) -> None:
        self.status, self.headers = response.status, response.headers
        self._response, self._on_close = response, on_close
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._response.read1(CHUNK_BYTES, decode_content=True):
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"the answer ended early: {type(error).__name__}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection up. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._response.close()
            self._on_close()


class HttpClient:
    """Keeps up to `connections` to one server; more calls at once open more, each for itself.

    Thread-safe; opens nothing before the first call.

    Redirects are not followed and no proxy is used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = TOTAL_TIMEOUT_S,
        retries: int = RETRIES,
        max_bytes: int = MAX_BYTES,
        connections: int = 8,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_s, self._retries, self._max_bytes = timeout_s, retries, max_bytes
        self._clock = clock or SystemClock()
        self._headers = {"User-Agent": "trading-fleet", "Accept-Encoding": "gzip"}
        self._pool = urllib3.PoolManager(num_pools=2, maxsize=connections)
        self.host = urlsplit(base_url).netloc.rpartition("@")[2]

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """GET `path`; parameters that are None are left out. Any answer below 500 comes back, refusals too.

        Lost connections, time-outs and 5xx are retried. Raises Unavailable when that doesn't help. May block for
        (retries + 1) times the time-out plus the waits between.
        """
        tries = self._retries + 1
        for attempt in range(1, tries + 1):
            try:
                return self._attempt(path, params)
            except Unavailable as error:
                wait_s = error.retry_after_s if error.retry_after_s is not None else _jitter_s(attempt)
                if attempt == tries or wait_s > MAX_WAIT_S:
                    raise
                self._clock.sleep(wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def send(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request as it stands, one attempt; any answer comes back, 5xx too. `path` may hold a query, encoded.

        Raises Unavailable when no whole answer came; then only the caller knows whether a repetition is safe.
        """
        # Not `clock`: this bounds real waiting on a real socket.
        deadline = time.monotonic() + self._timeout_s
        response = self._opened(method, path, body, headers)
        try:
            whole = self._read(response, deadline)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            response.close()  # half-read: the connection can't serve another request
            raise self._silent(error) from error
        except BaseException:
            response.close()
            raise
        response.release_conn()
        retry_after_s = self._retry_after_s(response.headers.get("Retry-After"))
        return Answer(response.status, response.headers, whole, retry_after_s)

    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, on_close: Callable[[], None] = lambda: None
    ) -> StreamedAnswer:
        """GET whose body, of any size, is read as it comes; the time-out counts from piece to piece.

        Raises Unavailable when not even a head came; `on_close` isn't called then.
        """
        return StreamedAnswer(self._opened("GET", path, None, headers), on_close)

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def _attempt(self, path: str, params: Mapping[str, Any] | None) -> Answer:
        fields = {name: str(value) for name, value in (params or {}).items() if value is not None}
        answer = self.send("GET", f"{path}?{urlencode(fields)}" if fields else path)
        if answer.status >= 500:
            raise Unavailable(f"{self.host} answers {answer.status}", retry_after_s=answer.retry_after_s)
        return answer

    def _opened(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                method,
                self._base_url + path,
                body=body,
                headers={**self._headers, **tracing.outgoing(), **(headers or {})},
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, self._timeout_s), read=self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(f"{self.host} does not answer: {type(error).__name__}", retry_after_s=None)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """The whole body; chunk by chunk, because the socket's own time-out starts anew with each byte received."""
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise urllib3.exceptions.HTTPError("answer too large")
            if time.monotonic() > deadline:
                raise urllib3.exceptions.TimeoutError("answer too slow")
        return bytes(body)

    def _retry_after_s(self, header: str | None) -> float | None:
        """RFC 9110, 10.2.3: seconds, or a date."""
        if header is None:
            return None
        if header.strip().isdecimal():
            return float(header)
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - self._clock.now()).total_seconds())


def _jitter_s(attempt: int) -> float:
    return random.uniform(0, BACKOFF_S * 2**attempt)
