"""R19 for the gateway: four of its processes share one Redis and one database, and each limit (of an address, of a key,
of an account) is exact over all of them. With Redis away each counts for itself, nothing opens that was closed, and
afterwards they count together again.
"""

import collections
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import urllib3

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.pytest_plugin import real_server
from shared.testing.servers import PostgresServer, RedisServer

pytestmark = [
    pytest.mark.faults, pytest.mark.integration, pytest.mark.api, pytest.mark.redis, pytest.mark.database,
    pytest.mark.timeout(600),
]  # fmt: skip

PROCESSES, THREADS = 4, 8
ADDRESS_LIMIT, ACCOUNT_LIMIT, KEY_LIMIT, HOOK_LIMIT = 100, 300, 50, 20  # 300: the plan "free"
WINDOW_S = 60.0
PASSWORD = "correct horse battery"
PLACE = "/api/market-simulator/sim/status"
Headers = dict[str, str]


class Gateways:
    """Processes of one gateway, asked in turn."""

    def __init__(self, processes: list[ServiceProcess]) -> None:
        self.processes = processes
        self.http = urllib3.PoolManager(timeout=30, retries=False, maxsize=THREADS)

    def ask(self, number: int, method: str, path: str, headers: Headers, body: Any = None) -> urllib3.BaseHTTPResponse:
        url = self.processes[number % PROCESSES].base_url + path
        return self.http.request(method, url, headers=headers, **({} if body is None else {"json": body}))

    def many(self, times: int, callers: list[Headers]) -> collections.Counter[int]:
        """The statuses of that many calls at once, through each process and by each caller in turn."""
        statuses: collections.Counter[int] = collections.Counter()
        lock, numbers = threading.Lock(), itertools.count()

        def call(_: int) -> None:
            with lock:
                number = next(numbers)
            answer = self.ask(number, "GET", PLACE, callers[number % len(callers)])
            with lock:
                statuses[answer.status] += 1
            if answer.status == 429:
                assert 1 <= int(answer.headers["Retry-After"]) <= 60
                assert answer.headers["X-RateLimit-Remaining"] == "0"

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(call, range(times)))
        return statuses

    def account(self, name: str) -> Headers:
        """A new account, logged in."""
        asked = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
        assert self.ask(0, "POST", "/auth/register", {}, asked).status == 200
        answer = self.ask(1, "POST", "/auth/login", {}, {"username": name, "password": PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['data']['access_token']}"}

    def make(self, what: str, owner: Headers, **asked: Any) -> dict[str, Any]:
        """A key or a hook."""
        answer = self.ask(2, "POST", f"/auth/{what}", owner, {"name": "bot"} | asked)
        assert answer.status == 200, answer.data
        made: dict[str, Any] = answer.json()["data"]
        return made

    def key(self, owner: Headers, **asked: Any) -> Headers:
        return {"X-API-Key": self.make("keys", owner, **asked)["key"]}

    def cache(self, number: int) -> dict[str, Any]:
        health = self.ask(number, "GET", "/health", {}).json()
        state: dict[str, Any] = health["dependencies"]["cache"]
        return state


def elsewhere(number: int) -> Headers:
    """As a proxy that is trusted says it of another client."""
    return {"X-Forwarded-For": f"192.0.2.{number % 250 + 1}"}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    yield from real_server(RedisServer)


@pytest.fixture(scope="module")
def gateways(redis: RedisServer, postgres_server: PostgresServer, simulator: ServiceProcess) -> Iterator[Gateways]:
    env = {
        "REDIS_ENABLED": "true", "REDIS_PORT": str(redis.port), "DATABASE_URL": postgres_server.create_database(),
        "AUTH_SECRET": "one secret for all of these processes",
        "FLEET_SECRET": "the fleet's own, which the simulator never asks for", "TRUSTED_PROXIES": "127.0.0.1",
        "SERVICE_URLS": f"market-simulator={simulator.base_url}", "RATE_LIMIT_API_IP": str(ADDRESS_LIMIT),
        "RATE_LIMIT_HOOKS": str(HOOK_LIMIT), "RATE_LIMIT_AUTH_REGISTER": "100", "ACCESS_LOG": "false",
        "RATE_LIMIT_AUTH_VALIDATE": "100000",  # asked here without a pause
    }  # fmt: skip
    with ExitStack() as stack:
        processes = [ServiceProcess("auth-gateway", env).start(wait=False) for _ in range(PROCESSES)]
        for process in processes:
            stack.callback(process.close)
        for process in processes:
            process.wait_ready()
        found = Gateways(processes)
        wait_until(lambda: all(found.cache(n)["detail"] == "redis" for n in range(PROCESSES)), what="Redis is used")
        yield found


def test_an_address_gets_exactly_its_limit_over_all_processes(gateways: Gateways, redis: RedisServer) -> None:
    redis.flush()
    token = gateways.account("ada")
    one = [token | elsewhere(1), gateways.key(token) | elsewhere(1), elsewhere(1)]
    statuses = gateways.many(240, one)
    print(f"\nR19 gateway: of 240 calls from one address over {PROCESSES} processes {dict(statuses)}")
    assert statuses == {200: ADDRESS_LIMIT, 429: 240 - ADDRESS_LIMIT}  # a guest's call counts for its address, too
    assert gateways.many(10, [token | elsewhere(2)]) == {200: 10}  # another address, at the same moment


def test_a_key_and_then_its_account_get_exactly_their_limits(gateways: Gateways, redis: RedisServer) -> None:
    redis.flush()
    token = gateways.account("bob")
    key, other = gateways.key(token, per_minute=KEY_LIMIT), gateways.key(token)
    of_key = gateways.many(150, [key | elsewhere(n) for n in range(200)])
    assert of_key == {200: KEY_LIMIT, 429: 150 - KEY_LIMIT}
    # What the key was refused cost the account nothing.
    rest = gateways.many(400, [(token, other)[n % 2] | elsewhere(n) for n in range(200)])
    print(f"\nR19 gateway: of a key's 150 calls {dict(of_key)}, of its account's next 400 {dict(rest)}")
    assert rest == {200: ACCOUNT_LIMIT - KEY_LIMIT, 429: 400 - ACCOUNT_LIMIT + KEY_LIMIT}
    stranger = gateways.account("eve")
    assert gateways.many(10, [stranger | elsewhere(n) for n in range(10)]) == {200: 10}


def test_a_hook_gets_exactly_its_limit_over_all_processes(gateways: Gateways, redis: RedisServer) -> None:
    redis.flush()
    hook = gateways.make("hooks", gateways.account("fred"), proof="address")

    def send(number: int) -> int:
        return gateways.ask(number, "POST", hook["path"], elsewhere(number), [number]).status

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = collections.Counter(pool.map(send, range(60)))
    assert statuses == {422: HOOK_LIMIT, 429: 60 - HOOK_LIMIT}  # 422: it is counted, and then found to be no signal


def test_a_lone_client_at_all_its_limits_that_waits_as_told_succeeds(gateways: Gateways, redis: RedisServer) -> None:
    redis.flush()
    token = gateways.account("gina")
    key = gateways.make("keys", token, per_minute=KEY_LIMIT)
    account = gateways.ask(0, "GET", "/auth/validate", token).json()["data"]["account_id"]
    client = {"X-API-Key": key["key"], **elsewhere(7)}
    full = {"address:192.0.2.8": ADDRESS_LIMIT, f"key:{key['id']}": KEY_LIMIT, f"account:{account}": ACCOUNT_LIMIT}
    for place, limit in full.items():  # as if it had called all it may a while ago, evenly; the oldest end soon
        moments = (str(int((time.time() - WINDOW_S + 0.7 + call / 10) * 1e6)) for call in range(limit))
        redis.call("ZADD", f"rate:api:{place}", *(moment for at in moments for moment in (at, at)))
    refused = gateways.ask(0, "GET", PLACE, client)
    wait_s = int(refused.headers["Retry-After"])
    assert (refused.status, 1 <= wait_s <= 2) == (429, True)
    time.sleep(wait_s)
    assert gateways.ask(1, "GET", PLACE, client).status == 200  # through another process


def test_a_key_that_one_process_revoked_soon_opens_nothing_at_the_others_however_often_it_is_used(
    gateways: Gateways, redis: RedisServer
) -> None:
    redis.flush()
    token = gateways.account("hugo")
    made = gateways.make("keys", token)
    key = {"X-API-Key": made["key"]}

    def statuses() -> set[int]:
        return {gateways.ask(n, "GET", "/auth/validate", key).status for n in range(PROCESSES)}

    assert statuses() == {200}
    assert gateways.ask(0, "DELETE", f"/auth/keys/{made['id']}", token).status == 200
    assert gateways.ask(0, "GET", "/auth/validate", key).status == 401
    wait_until(lambda: statuses() == {401}, 8, what="no process remembers it for longer than 5 s")


def test_with_redis_away_each_counts_for_itself_and_afterwards_together_again(
    gateways: Gateways, redis: RedisServer
) -> None:
    redis.flush()
    token = gateways.account("carol")
    key = gateways.key(token, per_minute=KEY_LIMIT)
    redis.kill()
    away = gateways.many(4 * 80, [key | elsewhere(n) for n in range(200)])
    assert away == {200: PROCESSES * KEY_LIMIT, 429: 4 * 80 - PROCESSES * KEY_LIMIT}  # bounded, and no 5xx
    assert {gateways.cache(n)["status"] for n in range(PROCESSES)} == {"degraded"}
    redis.start()
    redis.flush()
    wait_until(lambda: all(gateways.cache(n)["detail"] == "redis" for n in range(PROCESSES)), 10, what="found again")
    back = gateways.many(150, [key | elsewhere(n) for n in range(200)])
    print(f"\nR19 gateway: with Redis away {dict(away)}, with it back {dict(back)}")
    assert back == {200: KEY_LIMIT, 429: 150 - KEY_LIMIT}


def test_what_is_ended_while_redis_is_away_stays_closed_in_every_process(
    gateways: Gateways, redis: RedisServer
) -> None:
    redis.flush()
    before, during = gateways.account("dora"), gateways.account("dirk")

    def statuses(token: Headers) -> set[int]:
        return {gateways.ask(n, "GET", "/auth/validate", token).status for n in range(PROCESSES)}

    assert statuses(before) == statuses(during) == {200}
    assert gateways.ask(0, "POST", "/auth/logout", before).status == 200
    assert statuses(before) == {401}
    redis.kill()
    assert gateways.ask(1, "POST", "/auth/logout", during).status == 200
    assert gateways.ask(0, "GET", "/auth/validate", during).status == 401
    assert statuses(before) == {401}
    redis.start()
    redis.flush()  # as one that keeps nothing on a disk comes back: it knows of neither end
    wait_until(lambda: all(gateways.cache(n)["detail"] == "redis" for n in range(PROCESSES)), 10, what="found again")
    gateways.processes[2].restart()  # one that never saw any of it
    assert [gateways.ask(2, "GET", "/auth/validate", token).status for token in (before, during)] == [401, 401]
    wait_until(lambda: statuses(before) == statuses(during) == {401}, 5, what="closed in every process")
    assert not any("Traceback" in process.log for process in gateways.processes)
