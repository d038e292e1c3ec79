"""One request to a service and its answer back, body by body as it comes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote

from auth_gateway.breaker import Breaker
from auth_gateway.forwarding.links import Links, NotConnected
from auth_gateway.headers import Pairs, to_client
from shared import tracing
from shared.errors import MalformedInput, Unavailable

ANSWER_S = 30.0
CHUNK_BYTES = 65_536
SAFE = frozenset({"GET", "HEAD"})
BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
PLAIN = re.compile(r"[!\"$-~]+")  # a target that can be sent as it is: visible ASCII, no fragment
PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
BROKEN = (OSError, HTTPException)  # what http.client raises


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; `body` must be read to its end or closed. It raises Unavailable where it breaks off."""

    status: int
    headers: Pairs
    body: Iterator[bytes]


class Forwarder:
    """The way to the services, by name."""

    def __init__(self, urls: Mapping[str, str], monotonic: Callable[[], float]):
        self._links = {name: Links(url) for name, url in urls.items()}
        self.breakers = {name: Breaker(name, monotonic) for name in urls}

    def send(
        self, service: str, method: str, target: str, headers: Pairs, body: bytes, within_s: float = ANSWER_S
    ) -> Answer:
        """Ask `target` (path and query) of a service. Raises Unavailable when it does not answer `within_s`.

        A safe request whose kept connection broke is asked once more; any other is not, since it may have been done.
        """
        breaker = self.breakers[service]
        breaker.enter()
        try:
            answer = self._send(service, method, target, headers, body, within_s)
        except BROKEN as error:
            breaker.failed()
            raise _unavailable(service, error) from error
        breaker.succeeded()
        return answer

    def _send(self, service: str, method: str, target: str, headers: Pairs, body: bytes, within_s: float) -> Answer:
        links, safe = self._links[service], method in SAFE
        # Looking whether one is still open costs 30 µs: left out where a broken one costs a second try at most.
        if (kept := links.kept() if safe else links.kept_open()) is not None:
            try:
                return self._ask(service, kept, method, target, headers, body, within_s)
            except TimeoutError:  # it is there, and late
                raise
            except BROKEN:
                if not safe:
                    raise
        return self._ask(service, links.new(), method, target, headers, body, within_s)

    def _ask(
        self, service: str, link: HTTPConnection, method: str, target: str, headers: Pairs, body: bytes, within_s: float
    ) -> Answer:  # fmt: skip
        try:
            link.sock.settimeout(within_s)
            response = _asked(link, method, target, headers, body)
            short = response.length is not None and response.length <= CHUNK_BYTES
            whole = response.read() if short else b""
        except BaseException:  # whatever ends it, a greenlet's end too: half an exchange serves nobody again
            link.close()
            raise
        if short:
            self._links[service].keep(link)
        stream = iter([whole]) if short else self._streamed(service, link, response)
        return Answer(response.status, to_client(response.getheaders()), stream)

    def _streamed(self, service: str, link: HTTPConnection, response: HTTPResponse) -> Iterator[bytes]:
        """The body as it comes."""
        whole = False
        try:
            while chunk := response.read1(CHUNK_BYTES):
                yield chunk
            if response.length:
                raise ConnectionError("the body is cut short")
            whole = True
        except BROKEN as error:
            raise _unavailable(service, error) from error
        finally:
            response.close()
            if whole:
                self._links[service].keep(link)
            else:
                link.close()

    def close(self) -> None:
        """Close the kept connections."""
        for links in self._links.values():
            links.close()


def _asked(link: HTTPConnection, method: str, target: str, headers: Pairs, body: bytes) -> HTTPResponse:
    """Send the request; the answer, its head read. Raises MalformedInput for a header that would end in the middle."""
    link.putrequest(method, _printable(target), skip_accept_encoding=True)
    ours = tracing.outgoing()  # the gateway's span, in the place of the caller's
    try:
        for name, value in headers:
            if name.lower() not in ours:
                link.putheader(name, value.encode("latin-1"))
    except ValueError:
        raise MalformedInput(f"the header {name[:40]} can't be sent on") from None
    for name, value in ours.items():
        link.putheader(name, value)
    if body or method not in BODILESS:
        link.putheader("Content-Length", str(len(body)))
    link.endheaders(body or None)
    return link.getresponse()


def _printable(target: str) -> str:
    """What a client put into its query unquoted is quoted; what was quoted stays."""
    return target if PLAIN.fullmatch(target) else quote(target.encode("latin-1"), safe=PRINTABLE)


def _unavailable(service: str, error: Exception) -> Unavailable:
    if isinstance(error, NotConnected):
        return Unavailable(f"{service} does not answer (no connection)")
    reason = "too late" if isinstance(error, TimeoutError) else "the connection broke"
    return Unavailable(f"{service} does not answer ({reason})")
