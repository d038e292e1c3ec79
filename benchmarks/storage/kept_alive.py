"""One HTTP connection that stays open, for latencies: one request at a time, and the answer read whole."""

import socket

END = b"\r\n\r\n"


class KeptAlive:
    """Use it in a `with` block."""

    def __init__(self, port: int):
        self._port = port
        self._link = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "KeptAlive":
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def get(self, path: str) -> bytes:
        """The body; RuntimeError for anything but 200."""
        return self.exchange(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())

    def exchange(self, request: bytes) -> bytes:
        """The same with the request's bytes given."""
        self._link.sendall(request)
        received = b""
        while END not in received:
            received += self._more()
        head, _, body = received.partition(END)
        if b" 200 " not in head[:20]:
            raise RuntimeError(head[:200].decode())
        lower = head.lower()
        length = int(lower[lower.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        chunk = self._link.recv(262_144)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        return chunk
