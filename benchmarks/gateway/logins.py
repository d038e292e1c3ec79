"""Fifty logins at once: what `GET /auth/validate` takes before them and while they run, and while a program that only
hashes runs beside the idle gateway, which is the machine's own part of it."""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks.gateway.doors import ADA, gateway, logged_in
from benchmarks.gateway.proxy import at
from benchmarks.report import Row
from benchmarks.storage.kept_alive import KeptAlive
from shared.testing.process import ServiceProcess

LOGINS, BURSTS = 50, 4
BEFORE_S, PACE_S = 2.0, 0.01
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
    end = time.perf_counter() + BEFORE_S
    _validate(process, token, times, lambda: time.perf_counter() < end, time.sleep)


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
        waiting = [open_.enter_context(socket.create_connection(("127.0.0.1", process.port))) for _ in range(LOGINS)]

        def take_answers(within_s: float) -> None:
            end = time.perf_counter() + within_s
            while waiting and (ready := select.select(waiting, [], [], max(0.0, end - time.perf_counter()))[0]):
                for each in ready:
                    if not each.recv(65_536).startswith(b"HTTP/1.1 200"):
                        raise RuntimeError("a login was refused")
                    waiting.remove(each)

        begun = time.perf_counter()
        for each in waiting:
            each.sendall(request)
        _validate(process, token, times, lambda: bool(waiting), take_answers)
        return time.perf_counter() - begun


def _validate(
    process: ServiceProcess, token: str, times: list[float], goes_on: Callable[[], bool], wait: Callable[[float], None]
) -> None:
    """One check every `PACE_S`, whether or not the one before came late; each counts from when it was due."""
    request = f"GET /auth/validate HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with KeptAlive(process.port) as link:
        due = time.perf_counter()
        while goes_on():
            link.exchange(request)
            times.append((time.perf_counter() - due) * 1000)
            due += PACE_S
            wait(max(0.0, due - time.perf_counter()))
