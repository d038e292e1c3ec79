"""Where browsers reach the stream: the page's own origin, another one, or the page's host with the stream's port."""

from dataclasses import dataclass
from urllib.parse import urlsplit

TUNNEL = "/api/websocket-streaming/socket.io"  # through the dashboard, as auth-gateway has it


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """`public`: STREAM_PUBLIC_URL. `port`: where websocket-streaming listens. `tunnelled`: through the dashboard."""

    public: str
    port: int
    tunnelled: bool = False

    def url(self, host: str, *, door: bool = False) -> str:
        """The origin to connect to, for a page that was asked for at `host` (a Host header); empty: the page's own.

        `door`: the page came through the fleet's door, which has the stream at the same path.
        """
        if self.tunnelled or self.public.startswith("/") or (door and not self.public):
            return ""
        if not self.public:
            return f"http://{_without_port(host)}:{self.port}"
        where = urlsplit(self.public)
        return f"{where.scheme}://{where.netloc}"

    @property
    def path(self) -> str:
        """Socket.IO's path there; without a `/` before it: below wherever the page is."""
        return TUNNEL[1:] if self.tunnelled else f"{urlsplit(self.public).path.rstrip('/')}/socket.io"

    def origins(self, host: str, *, door: bool = False) -> list[str]:
        """What a page's policy has to allow beside its own origin."""
        url = self.url(host, door=door)
        return [url, url.replace("http", "ws", 1)] if url else []


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
