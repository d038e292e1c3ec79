"""Where browsers reach the stream: the page's own origin, another one, or the page's host with the stream's port."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """`public`: STREAM_PUBLIC_URL. `port`: where websocket-streaming listens."""

    public: str
    port: int

    def url(self, host: str) -> str:
        """The origin to connect to, for a page that was asked for at `host` (a Host header); empty: the page's own."""
        if self.public.startswith("/"):
            return ""
        if not self.public:
            return f"http://{_without_port(host)}:{self.port}"
        where = urlsplit(self.public)
        return f"{where.scheme}://{where.netloc}"

    @property
    def path(self) -> str:
        """Socket.IO's path there."""
        return f"{urlsplit(self.public).path.rstrip('/')}/socket.io"

    def origins(self, host: str) -> list[str]:
        """What a page's policy has to allow beside its own origin."""
        url = self.url(host)
        return [url, url.replace("http", "ws", 1)] if url else []


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
