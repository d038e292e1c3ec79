"""How many connections may be open, and what becomes of clients that leave their answer unread."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.web.connections import RESERVED, Connections, room_for_connections

SCRATCH = Path(__file__).parent / "data" / "scratch_service"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMIT = 4


class Link:
    """Stands for a socket."""

    closed = False

    def shutdown(self, how: int) -> None:
        self.closed = True


class Log:
    lines = 0

    def warning(self, *words: object) -> None:
        self.lines += 1


@pytest.mark.unit
class TestConnections:
    def test_the_longest_idle_makes_room_and_busy_ones_stay(self) -> None:
        connections, links = Connections(3, Log()), [Link() for _ in range(4)]
        for link in links[:3]:
            assert connections.enter(link)
            connections.wait(link)
        connections.begin(links[0])
        assert connections.enter(links[3])
        assert [link.closed for link in links] == [False, True, False, False]
        assert len(connections) == 3

    def test_a_connection_that_asked_again_counts_as_idle_from_then(self) -> None:
        connections, links = Connections(2, Log()), [Link() for _ in range(3)]
        for link in links[:2]:
            connections.enter(link)
            connections.wait(link)
        connections.begin(links[0])
        connections.wait(links[0])
        connections.enter(links[2])
        assert [link.closed for link in links] == [False, True, False]

    def test_with_all_busy_a_new_one_is_refused_and_counted_and_the_log_not_flooded(self) -> None:
        log = Log()
        connections, link = Connections(1, log), Link()
        assert connections.enter(link)
        assert [connections.enter(Link()) for _ in range(3)] == [False] * 3
        assert (connections.refused, log.lines, len(connections)) == (3, 1, 1)
        connections.leave(link)
        connections.leave(link)
        assert connections.enter(Link())

    def test_what_has_left_makes_no_room_again(self) -> None:
        connections, link = Connections(1, Log()), Link()
        connections.enter(link)
        connections.leave(link)
        connections.wait(link)
        assert connections.enter(Link())
        assert not connections.enter(Link())

    def test_some_descriptors_are_kept_for_the_service_itself(self) -> None:
        assert room_for_connections() >= RESERVED


@pytest.fixture(scope="module")
def small() -> Iterator[ServiceProcess]:
    with ServiceProcess(SCRATCH, {"MAX_CONNECTIONS": str(LIMIT), "SCRATCH_STALL_S": "0.5"}) as process:
        yield process


def connect(service: ServiceProcess, request: bytes = b"", **options: Any) -> socket.socket:
    link = socket.socket()
    link.settimeout(20)
    for option, value in options.items():
        link.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    link.connect(("127.0.0.1", service.port))
    link.sendall(request)
    return link


def ask(service: ServiceProcess) -> bytes:
    """A whole answer; the connection ends with it."""
    with connect(service, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as link:
        return read_all(link)


def read_all(link: socket.socket) -> bytes:
    answer = b""
    while chunk := link.recv(65_536):
        answer += chunk
    return answer


@pytest.mark.integration
@pytest.mark.api
class TestServer:
    def test_idle_connections_make_room_for_new_ones(self, small: ServiceProcess) -> None:
        links = [connect(small) for _ in range(LIMIT)]
        for _ in range(3):
            with connect(small, GET) as one:
                assert one.recv(15) == b"HTTP/1.1 200 OK"
        assert links[0].recv(1) == b""
        for link in links:
            link.close()

    def test_half_sent_requests_that_fill_it_leave_503_for_the_others_until_they_are_closed(
        self, small: ServiceProcess
    ) -> None:
        wait_until(lambda: b"200 OK" in ask(small), what="room")
        links = [connect(small, b"GET /half") for _ in range(LIMIT)]
        wait_until(lambda: b"503 Service Unavailable" in ask(small), what="refused")
        answer = ask(small)
        assert b"Retry-After: 1\r\n" in answer
        assert b'"code":"unavailable"' in answer
        for link in links:
            link.close()
        wait_until(lambda: b"200 OK" in ask(small), what="room again")

    def test_a_client_that_reads_nothing_is_cut_off_and_its_descriptor_is_free_again(
        self, small: ServiceProcess
    ) -> None:
        descriptors = Path(f"/proc/{small.pid}/fd")
        if not descriptors.exists():
            pytest.skip("descriptors are listed in /proc")

        def sockets() -> set[str]:
            found = set()
            for descriptor in descriptors.iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    found.add(str(descriptor.readlink()))
            return found

        before = sockets()  # an earlier test's may be among them, about to be closed
        link = connect(small, b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", SO_RCVBUF=4096)
        wait_until(lambda: sockets() - before, what="the connection is open")
        wait_until(lambda: not sockets() - before, what="the connection is cut")
        with pytest.raises(ConnectionResetError):
            read_all(link)
        link.close()

    def test_a_client_that_pauses_between_its_reads_gets_everything(self, small: ServiceProcess) -> None:
        request = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        with connect(small, request, SO_RCVBUF=500_000) as link:  # several of loopback's segments of 64 KB
            read = 0
            for _ in range(6):  # 1.2 s in all, each pause under the bound
                threading.Event().wait(0.2)
                goal = read + 1_000_000
                while read < goal:
                    read += len(link.recv(65_536))
            assert read + len(read_all(link)) >= 20_000_000

    def test_a_connection_whose_answer_is_under_way_makes_room_for_nobody(self, small: ServiceProcess) -> None:
        wait_until(lambda: b"200 OK" in ask(small), what="room")
        body = b'{"x":1,"sleep_s":1.5}'
        head = b"POST /later HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        busy = [connect(small, head + b"Content-Length: %d\r\n\r\n" % len(body) + body) for _ in range(LIMIT)]
        wait_until(lambda: b"503 Service Unavailable" in ask(small), what="all are busy")
        assert [link.recv(15) for link in busy] == [b"HTTP/1.1 200 OK"] * LIMIT
        for link in busy:
            link.close()
