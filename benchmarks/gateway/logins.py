"""Fifty logins at once: what `GET /auth/validate` takes before them and while they run, and while a program that only
hashes runs beside the idle gateway, which is the machine's own part of it."""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.gateway.doors import ADA, gateway, logged_in
from benchmarks.gateway.proxy import at
from benchmarks.report import Row
from benchmarks.storage.kept_alive import KeptAlive
from shared.testing.process import ServiceProcess

LOGINS, BURSTS = 50, 4
BEFORE_S, PACE_S = 2.0, 0.005
AT_MOST = 2.0
PARAMETERS = "Argon2id, 19 MiB, 2 passes, 1 lane"
HASHING = "import argon2; h = argon2.PasswordHasher(2, 19 * 1024, 1); print(flush=True)\nwhile True: h.hash('password')"


def measure(rounds: int) -> list[Row]:
    """Medians and p99s over all bursts, each with a quiet while before it."""
    before: list[float] = []
    during: list[float] = []
    beside: list[float] = []
    lasted: list[float] = []
    with gateway() as process:
        token = logged_in(process)
        _burst(process, token, [])  # warm: its database's connections, the hasher's thread
        for _ in range(BURSTS * rounds):
            _quiet(process, token, before)
            lasted.append(_burst(process, token, during))
            with _hashing():
                _quiet(process, token, beside)
    rows = [Row(f"{LOGINS} logins at once ({PARAMETERS}): all answered after", at(sorted(lasted), 50), "s", "")]
    for percent in (50, 99):
        calm, busy, shared = (at(sorted(times), percent) for times in (before, during, beside))
        verdict = "met" if busy <= AT_MOST * calm else "missed"
        rows.append(Row(f"validate before: p{percent}", calm, "ms", ""))
        rows.append(Row(f"validate during: p{percent}", busy, "ms", ""))
        rows.append(Row("… during beside before", busy / calm, "×", f"≤ {AT_MOST:g} ×, {verdict}"))
        rows.append(Row("… beside a program that only hashes, beside before", shared / calm, "×", ""))
    return rows


def _quiet(process: ServiceProcess, token: str, times: list[float]) -> None:
    with KeptAlive(process.port) as link:
        end = time.perf_counter() + BEFORE_S
        while time.perf_counter() < end:
            _validate(link, token, times)


@contextlib.contextmanager
def _hashing() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", HASHING], stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            program.stdout.readline()
            yield
        finally:
            program.kill()


def _burst(process: ServiceProcess, token: str, times: list[float]) -> float:
    """Seconds from the first login's sending to the last one's answer; validates meanwhile. All must succeed."""
    body = json.dumps(ADA).encode()
    head = f"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1:{process.port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with contextlib.ExitStack() as open_:
        link = open_.enter_context(KeptAlive(process.port))
        waiting = [open_.enter_context(socket.create_connection(("127.0.0.1", process.port))) for _ in range(LOGINS)]
        begun = time.perf_counter()
        for each in waiting:
            each.sendall(request)
        while waiting:
            _validate(link, token, times)
            for each in select.select(waiting, [], [], 0)[0]:
                if not each.recv(65_536).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("a login was refused")
                waiting.remove(each)
        return time.perf_counter() - begun


def _validate(link: KeptAlive, token: str, times: list[float]) -> None:
    begun = time.perf_counter()
    link.exchange(f"GET /auth/validate HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    times.append((time.perf_counter() - begun) * 1000)
    time.sleep(PACE_S)
