"""The other services, as the dashboard reaches them."""

from collections.abc import Mapping

from shared.errors import Unavailable
from shared.http_client import Answer, HttpClient, StreamedAnswer

ANSWER_S = 10.0  # a whole answer for the page, which itself waits for 15 s
STREAM_S = 30.0  # from piece to piece of a streamed one
MAX_ANSWER = 16_000_000  # bytes
AT_ONCE = 256  # calls of one service: a hung one must not gather all that browsers ask
KEPT = 32  # connections that wait for the next call


class Peer:
    """One service: its clients, and how many calls of it are under way. Opens nothing before the first call."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self._client = HttpClient(url, timeout_s=ANSWER_S, max_bytes=MAX_ANSWER, connections=KEPT)
        self._streams = HttpClient(url, timeout_s=STREAM_S)
        self._under_way = 0

    def send(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The service's answer, whatever its status. Raises Unavailable; only a GET is safe to repeat then."""
        self._enter()
        try:
            return self._client.send(method, target, body=body, headers=headers)
        except Unavailable as error:
            raise self._away(error) from None
        finally:
            self._leave()

    def stream(self, target: str, headers: Mapping[str, str] | None = None) -> StreamedAnswer:
        """The head of the answer, and its body as it comes; the caller reads it or closes it. Raises Unavailable."""
        self._enter()
        try:
            return self._streams.stream(target, headers=headers, on_close=self._leave)
        except Unavailable as error:
            self._leave()
            raise self._away(error) from None

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()
        self._streams.close()

    def _enter(self) -> None:
        if self._under_way >= AT_ONCE:
            raise Unavailable(f"{self.name} has {AT_ONCE} calls to answer already")
        self._under_way += 1

    def _leave(self) -> None:
        self._under_way -= 1

    def _away(self, error: Unavailable) -> Unavailable:
        return Unavailable(f"{self.name} is away: {error.message}")
