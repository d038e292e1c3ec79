"""Clients for the benchmarks of the wire: cheap ones, since what counts is the server's processor time."""

import base64
import os
import selectors
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used (Linux: /proc)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Listeners:
    """Many WebSockets that read and forget, in a thread of their own."""

    def __init__(self, url: str, count: int):
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._opened() for _ in range(count)]
        self._over = threading.Event()
        self.closed = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _opened(self) -> socket.socket:
        one = socket.create_connection(self._address, timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        one.sendall(
            f"GET {self._path or '/'} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if b" 101 " not in one.recv(4096):
            raise RuntimeError(f"{self._path}: no WebSocket")
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ)
        return one

    def _read(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.1):
                try:
                    alive = bool(key.fileobj.recv(1_000_000))  # type: ignore[union-attr]  # sockets alone are registered
                except BlockingIOError:
                    continue
                except OSError:
                    alive = False
                if not alive:
                    self.closed += 1
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        """End them."""
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()


def fetch(port: int, path: str, times: int) -> bytes:
    """The body of one path, asked for `times` times on one connection that stays open."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    body = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        for _ in range(times):
            one.sendall(request)
            head, _, body = one.recv(65_536).partition(b"\r\n\r\n")
            if b" 200 " not in head[:20]:
                raise RuntimeError(head[:200].decode())
            lines = head.lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
            while len(body) < length:
                body += one.recv(1_000_000)
    return body
