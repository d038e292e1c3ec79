"""A closed-loop HTTP client: so many kept-alive connections, each with one request in flight. One process, epoll.

It reads answers only as far as it must (status, Content-Length), so that a core of it outruns the servers measured:
about 60,000 requests a second.
"""

import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

END = b"\r\n\r\n"
SILENCE_S = 5.0


@dataclass(slots=True)
class Result:
    """What a run gave: answers by status, how long it took, each latency in seconds (sorted), what never came."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    unanswered: int = 0

    @property
    def per_second(self) -> float:
        """Answers of status 200 a second."""
        return self.statuses[200] / self.seconds

    def percentile(self, percent: float) -> float:
        """A latency in seconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


class _Connection:
    __slots__ = ("closing", "link", "received", "sent_at")

    def __init__(self, address: tuple[str, int]) -> None:
        self.link = socket.create_connection(address, timeout=10)
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.closing = b"", False
        self.sent_at = 0.0


def drive(port: int, make: Callable[[int], bytes], connections: int, seconds: float) -> Result:
    """Send `make(number)` on every connection, again as soon as it is answered, for so long."""
    address = ("127.0.0.1", port)
    poll, open_ = select.epoll(), {}
    result, number, clock = Result(), 0, time.perf_counter
    for _ in range(connections):
        connection = _Connection(address)
        open_[connection.link.fileno()] = connection
        poll.register(connection.link, select.EPOLLIN)
    begun = clock()
    end = begun + seconds
    for connection in open_.values():
        number += 1
        connection.sent_at = clock()
        connection.link.sendall(make(number))
    busy = connections
    while busy:
        events = poll.poll(SILENCE_S)
        if not events:  # a peer that locked itself up: what it answered until then is its figure
            result.unanswered = busy
            break
        for handle, _ in events:
            connection = open_[handle]
            status = _answer(connection)
            if status is None:
                continue
            now = clock()
            result.statuses[status] += 1
            result.latencies.append(now - connection.sent_at)
            if now < end:
                number += 1
                if connection.closing:  # a server without keep-alive: reconnecting is part of its price
                    del open_[handle]
                    poll.unregister(handle)
                    connection.link.close()
                    connection = _Connection(address)
                    open_[connection.link.fileno()] = connection
                    poll.register(connection.link, select.EPOLLIN)
                connection.sent_at = now
                connection.link.sendall(make(number))
            else:
                busy -= 1
    result.seconds = clock() - begun
    result.latencies.sort()
    for connection in open_.values():
        connection.link.close()
    poll.close()
    return result


def _answer(connection: _Connection) -> int | None:
    """The status of a whole answer; None if more is to come, 0 if the server hung up instead."""
    try:
        chunk = connection.link.recv(65_536)
    except ConnectionError:
        chunk = b""
    if not chunk:
        connection.closing = True
        return 0
    connection.received += chunk
    head, end, body = connection.received.partition(END)
    if not end:
        return None
    lower = head.lower()
    at = lower.find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    if len(body) < length:
        return None
    connection.received = body[length:]
    connection.closing = b"\r\nconnection: close" in lower
    return int(head[9:12])


def signal(number: int) -> dict[str, Any]:
    """A signal different from every other."""
    return {
        "symbol": f"S{number % 50}USDT", "signal_type": "BUY", "confidence": 0.85, "price": 100000 + number * 0.01,
        "stop_loss": 99000.5, "strategy": "rsi", "bot_id": "bot-1", "metadata": {"n": number},
    }  # fmt: skip


def save_request(port: int, number: int) -> bytes:
    """One signal to be saved, with a key of its own."""
    return post(port, "/signals/save", number, json.dumps(signal(number)).encode())


def post(port: int, path: str, number: int, body: bytes) -> bytes:
    """A request with an Idempotency-Key that only this number has in this run."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {RUN}-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


RUN = f"{time.time_ns():x}"

if __name__ == "__main__":
    port_, connections_, seconds_ = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    run = drive(port_, lambda n: save_request(port_, n), connections_, seconds_)
    ms = [run.percentile(p) * 1000 for p in (50, 99)]
    sys.stdout.write(f"{run.per_second:,.0f}/s  p50 {ms[0]:.2f} ms  p99 {ms[1]:.2f} ms  {dict(run.statuses)}\n")
