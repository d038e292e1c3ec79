"""A small real WebSocket server for tests, one thread a connection: the fleet's own gate on a loopback port."""

import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from shared.web.websocket import Handler, WebSocketGate


def _no_such_page(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


class WebSocketServer:
    """Serves the routes of `gate` (or the given ones) until the end of its `with` block."""

    def __init__(self, routes: Iterable[tuple[str, Handler]] = (), *, gate: WebSocketGate | None = None) -> None:
        self.gate = gate or WebSocketGate(_no_such_page, routes)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._clients: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse_new()
        self._thread.join(5)
        self.cut()

    def refuse_new(self) -> None:
        """Listen no more: who comes now is refused."""
        self._listener.close()
        # A close alone doesn't wake the thread in accept(); it sees the closed listener with this last caller.
        with socket.socket() as knock:
            knock.settimeout(1)
            knock.connect_ex(("127.0.0.1", self.port))

    def cut(self) -> None:
        """Cut every connection without a word, as a lost network does."""
        clients, self._clients = self._clients, []
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # already gone

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(5)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)  # one at a time: what follows the head belongs to the WebSocket
                if not byte:
                    return
                head += byte
            answer: list[bytes] = []

            def start_response(status: str, headers: list[tuple[str, str]]) -> None:
                lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
                answer.append("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))

            body = list(self.gate(_environ(head.decode("latin-1"), client), start_response))
            if answer:
                client.sendall(b"".join(answer + body))


def _environ(head: str, client: socket.socket) -> dict[str, Any]:
    request_line, *lines = head.strip().split("\r\n")
    method, target, protocol = request_line.split(" ")
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": protocol,
        "wsgi.url_scheme": "http",
        "fleet.socket": client,
    }
    for line in lines:
        name, _, value = line.partition(":")
        environ["HTTP_" + name.upper().replace("-", "_")] = value.strip()
    return environ
