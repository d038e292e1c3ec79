"""HTTP GETs against other people's servers: bounded in time and size, retried where that is safe, errors translated."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

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
    """An answer below 500, whole. Header names compare without case."""

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


class HttpClient:
    """Keeps connections to one server. Thread-safe; opens nothing before the first call.

    Redirects are not followed and no proxy is used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = TOTAL_TIMEOUT_S,
        retries: int = RETRIES,
        max_bytes: int = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_s, self._retries, self._max_bytes = timeout_s, retries, max_bytes
        self._clock = clock or SystemClock()
        self._headers = {"User-Agent": "trading-fleet", "Accept-Encoding": "gzip"}
        self._pool = urllib3.PoolManager(num_pools=2, maxsize=8)
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

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def _attempt(self, path: str, params: Mapping[str, Any] | None) -> Answer:
        # Not `clock`: this bounds real waiting on a real socket.
        deadline = time.monotonic() + self._timeout_s
        fields = {name: str(value) for name, value in (params or {}).items() if value is not None}
        try:
            response = self._pool.request(
                "GET",
                self._base_url + path,
                fields=fields,
                headers={**self._headers, **tracing.outgoing()},
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, self._timeout_s), read=self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = self._read(response, deadline)
            except BaseException:
                response.close()  # half-read: the connection can't serve another request
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"{self.host} does not answer: {type(error).__name__}", retry_after_s=None) from error
        retry_after_s = self._retry_after_s(response.headers.get("Retry-After"))
        if response.status >= 500:
            raise Unavailable(f"{self.host} answers {response.status}", retry_after_s=retry_after_s)
        return Answer(response.status, response.headers, body, retry_after_s)

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
