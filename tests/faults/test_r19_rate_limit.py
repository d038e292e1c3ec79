"""R19: four processes and eight threads share a limit through Redis: exactly the limit passes in each window, over the
lane and over Flask alike; and a lone client that waits as it is told always succeeds.
"""

import collections
import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.testing.process import ServiceProcess
from shared.testing.servers import RedisServer
from tests.faults.load import SIGNAL
from tests.faults.scale import SCALE, scaled

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.redis, pytest.mark.timeout(600)]

PROCESSES, THREADS = 4, 8
LIMIT = 100
WINDOW_S = 60.0
WINDOWS = 3 if SCALE >= 0.5 else 1
# In a short run one window's beginning; in a full one until the middle of the last.
LENGTH_S = (WINDOWS - 0.5) * WINDOW_S if WINDOWS > 1 else 2.0
ROUNDS = scaled(20, at_least=2)
PAUSE_S = 0.02
JITTER_S = 1.0  # between the moment that Redis counts and the one that the client notes
BY_LANE = {"Content-Type": "application/json"}
BY_FLASK = BY_LANE | {"X-Any": "no header of the lane"}


@pytest.fixture
def services(private_redis: RedisServer) -> Iterator[list[ServiceProcess]]:
    """Four processes that share nothing but Redis."""
    env = {"REDIS_ENABLED": "true", "REDIS_PORT": str(private_redis.port), "ACCESS_LOG": "false"}
    env |= {"RATE_LIMIT_SIGNALS_SAVE": str(LIMIT), "RATE_LIMIT_SIGNALS_HISTORY": str(LIMIT)}
    with ExitStack() as stack:
        yield [stack.enter_context(ServiceProcess("database-service", env)) for _ in range(PROCESSES)]


class Callers:
    """Threads that save through one process after the other, by the lane and by Flask in turn."""

    def __init__(self, services: list[ServiceProcess]) -> None:
        self.passed_at: list[float] = []
        self.statuses: collections.Counter[tuple[str, int]] = collections.Counter()
        self._lock, self._end = threading.Lock(), time.monotonic() + LENGTH_S
        self._ports = [service.port for service in services]

    def run(self) -> None:
        """Until the length is over."""
        threads = [threading.Thread(target=self._work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LENGTH_S + 60)

    def _work(self, number: int) -> None:
        ports = self._ports[number % PROCESSES :] + self._ports[: number % PROCESSES]
        links = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in ports]
        ways = itertools.cycle([("lane", BY_LANE), ("Flask", BY_FLASK)])
        for link in itertools.cycle(links):
            if time.monotonic() > self._end:
                break
            for _ in range(2):
                self._save(link, *next(ways))
            time.sleep(PAUSE_S)
        for link in links:
            link.close()

    def _save(self, link: http.client.HTTPConnection, way: str, headers: dict[str, str]) -> None:
        link.request("POST", "/signals/save", json.dumps(SIGNAL), headers)
        answer = link.getresponse()
        answer.read()
        with self._lock:
            self.statuses[(way, answer.status)] += 1
            if answer.status == 200:
                self.passed_at.append(time.monotonic())
            else:
                assert 1 <= int(answer.headers["Retry-After"]) <= WINDOW_S


def test_processes_and_threads_together_get_exactly_the_limit_in_each_window(services: list[ServiceProcess]) -> None:
    callers = Callers(services)
    callers.run()
    passed = sorted(callers.passed_at)
    print(
        f"\nR19 {PROCESSES} processes, {THREADS} threads, {LENGTH_S:.0f} s, {LIMIT} a minute: {len(passed)} passed of "
        f"{callers.statuses.total()}, {dict(callers.statuses)}"
    )
    assert len(passed) == LIMIT * WINDOWS
    assert all(later - first >= WINDOW_S - JITTER_S for first, later in zip(passed, passed[LIMIT:], strict=False))
    assert {status for _, status in callers.statuses} == {200, 429}
    assert {way for way, status in callers.statuses if status == 200} == {"lane", "Flask"}
    assert not any("Traceback" in service.log for service in services)


def ask(service: ServiceProcess) -> tuple[int, int]:
    """Status and Retry-After (0: none) of one call of the history."""
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    link.request("GET", "/signals/history")
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status, int(answer.headers.get("Retry-After", 0))


def test_a_lone_client_that_waits_as_told_always_succeeds(
    services: list[ServiceProcess], private_redis: RedisServer
) -> None:
    waited = []
    for number in range(ROUNDS):
        private_redis.flush()
        # As if it had called all it may a while ago, evenly; the oldest calls end within the next seconds.
        for call in range(LIMIT):
            at = str(int((time.time() - WINDOW_S + 0.7 + call / 10) * 1e6))
            private_redis.call("ZADD", "rate:database-service:/signals/history:127.0.0.1", at, at)
        status, wait_s = ask(services[number % PROCESSES])
        assert (status, 1 <= wait_s <= 2) == (429, True)
        time.sleep(wait_s)
        assert ask(services[(number + 1) % PROCESSES])[0] == 200  # another process, the same window
        waited.append(wait_s)
    print(f"\nR19 a lone client waited {len(waited)} times, {sum(waited)} s in all, and passed each time")
