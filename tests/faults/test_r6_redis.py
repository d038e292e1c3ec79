"""R6: Redis killed, hung and restarted: no 5xx, a p99 at most 250 ms worse, and back within 5 s of its return."""

import threading
import time
from collections.abc import Callable

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import RedisServer
from tests.faults.conftest import Start
from tests.faults.load import REQUESTS, GoodClients
from tests.faults.scale import SCALE
from tests.faults.watching import percentile

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.redis, pytest.mark.timeout(600)]

PHASE_S = max(2.0, 30 * SCALE)
WORSE_S = 0.25
BACK_S = 5.0
# Limits on, so that each request asks Redis; so high that nobody meets them.
LIMITED = {"RATE_LIMIT_ENABLED": "true", "REDIS_ENABLED": "true"}
DATABASE = {f"RATE_LIMIT_SIGNALS_{name}": "1000000" for name in ("SAVE", "HISTORY")}
CASES = [
    pytest.param("database-service", DATABASE, id="database-service"),
    pytest.param("database-service", DATABASE | {"HOT_LANE": "false"}, id="database-service without the lane"),
    pytest.param("database-service", DATABASE | {"DB_ENABLED": "false"}, id="database-service storing in Redis"),
    pytest.param("websocket-streaming", {"RATE_LIMIT_PRICE": "1000000"}, id="websocket-streaming"),
    pytest.param("auth-gateway", {"RATE_LIMIT_API_IP": "1000000"}, id="auth-gateway"),
]


def uses_redis(service: ServiceProcess, server: RedisServer) -> bool:
    """Do the limits count there, and does health say so? (It is 503 without a database, which is of no matter here.)"""
    health = urllib3.request("GET", f"{service.base_url}/health", retries=False).json()
    counted = server.call("KEYS", "rate:*").lstrip("*") not in {"", "0"}
    return counted and any(one.get("detail") == "redis" for one in health["dependencies"].values())


class Phases:
    """Phases of one length under load, and the p99 of each."""

    def __init__(self, good: GoodClients) -> None:
        self.p99_s: dict[str, float] = {}
        self._good = good

    def note(self, name: str, event: Callable[[], object] = lambda: None) -> None:
        """What the clients meet from the event on, for one phase."""
        begun = time.monotonic()
        event()
        threading.Event().wait(PHASE_S)
        self.p99_s[name] = percentile(self._good.waits_s(begun), 0.99)


@pytest.mark.parametrize(("name", "env"), CASES)
def test_redis_away_is_hardly_felt_and_it_is_found_again(
    start: Start, private_redis: RedisServer, name: str, env: dict[str, str]
) -> None:
    back_s: dict[str, float] = {}

    def find_again(what: str) -> None:
        private_redis.flush()  # what the limits counted before it went
        begun = time.monotonic()
        wait_until(lambda: uses_redis(service, private_redis), 20, what=f"Redis is found again after it was {what}")
        back_s[what] = time.monotonic() - begun

    def restart() -> None:
        private_redis.restart()
        find_again("restarted")

    with start(name, **LIMITED, **env, REDIS_PORT=str(private_redis.port)) as service:
        with GoodClients(service.port, REQUESTS[name]) as good:
            phases = Phases(good)
            wait_until(lambda: uses_redis(service, private_redis), what="Redis is used")
            phases.note("calm")
            phases.note("killed", private_redis.kill)
            private_redis.start()
            find_again("killed")
            phases.note("hung", private_redis.pause)
            private_redis.resume()
            find_again("hung")
            phases.note("restarted", restart)
            phases.note("calm again")
        figures = ", ".join(f"{phase} {p99 * 1e3:.0f} ms" for phase, p99 in phases.p99_s.items())
        back = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in back_s.items())
        print(f"\nR6 {name}: p99 {figures}; found again: {back}; {dict(good.outcomes)}")
        assert list(good.outcomes) == ["200"]
        assert max(back_s.values()) <= BACK_S
        calm = max(phases.p99_s["calm"], phases.p99_s["calm again"])
        assert max(phases.p99_s.values()) <= calm + WORSE_S
        assert "Traceback" not in service.log
