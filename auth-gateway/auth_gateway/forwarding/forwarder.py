"""One request to a service and its answer back, body by body as it comes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import urllib3

from auth_gateway.breaker import Breaker
from auth_gateway.headers import Pairs, to_client
from shared import tracing
from shared.errors import Unavailable

CONNECT_S, ANSWER_S = 1.0, 30.0
CHUNK_BYTES = 65_536
MAX_KEPT = 64  # idle connections of a service
SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; `body` must be read to its end or closed."""

    status: int
    headers: Pairs
    body: Iterator[bytes]


class Forwarder:
    """Connections to the services, by name."""

    def __init__(self, urls: Mapping[str, str], monotonic: Callable[[], float]):
        self._pools = {
            name: urllib3.connection_from_url(url, maxsize=MAX_KEPT, retries=False)
            for name, url in urls.items()
        }
        self.breakers = {name: Breaker(name, monotonic) for name in urls}

    def send(
        self, service: str, method: str, target: str, headers: Pairs, body: bytes, within_s: float = ANSWER_S
    ) -> Answer:
        """Ask `target` (path and query) of a service. Raises Unavailable when it does not answer `within_s`.

        A safe request whose kept connection broke is asked once more; any other is not, since it may have been done.
        """
        breaker = self.breakers[service]
        breaker.enter()
        for attempt in range(2 if method in SAFE else 1):
            try:
                answer = self._attempt(service, method, target, headers, body, within_s)
            except urllib3.exceptions.HTTPError as error:
                broke = isinstance(error, urllib3.exceptions.ProtocolError)
                if not (broke and method in SAFE and attempt == 0):
                    breaker.failed()
                    raise Unavailable(f"{service} does not answer ({_reason(error)})") from error
            else:
                breaker.succeeded()
                return answer
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(
        self, service: str, method: str, target: str, headers: Pairs, body: bytes, within_s: float
    ) -> Answer:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=within_s)
        sent = urllib3.HTTPHeaderDict(headers)
        for name, value in tracing.outgoing().items():  # the gateway's span, in the place of the caller's
            sent[name] = value
        response = self._pools[service].urlopen(
            method, target, body or None, sent, redirect=False, preload_content=False, decode_content=False,
            timeout=timeout,
        )  # fmt: skip
        return Answer(response.status, to_client(response.headers.iteritems()), _stream(response))

    def close(self) -> None:
        """Close the kept connections."""
        for pool in self._pools.values():
            pool.close()


def _stream(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body as it comes. A service that breaks off in the middle ends the answer there: the client sees it cut."""
    whole = False
    try:
        yield from response.stream(CHUNK_BYTES, decode_content=False)
        whole = True
    finally:
        if whole:
            response.release_conn()
        else:
            response.close()


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError):
        return "no connection"
    return "too late" if isinstance(error, urllib3.exceptions.TimeoutError) else "the connection broke"
