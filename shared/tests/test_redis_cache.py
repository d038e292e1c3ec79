"""The cache: values while Redis is there, misses and the process's own memory while it is not, never an error."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared import redis_cache
from shared.config import Settings
from shared.errors import Unavailable
from shared.redis_cache import RedisCache
from shared.testing.net import free_port, wait_until
from shared.testing.servers import RedisServer


@pytest.fixture
def cache(private_redis: RedisServer) -> Iterator[RedisCache]:
    found = RedisCache(host="127.0.0.1", port=private_redis.port, enabled=True)
    yield found
    found.close()


@pytest.fixture
def local() -> RedisCache:
    return RedisCache(enabled=False)


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


VALUES = [None, True, 0, 1.5, "grüß", [1, "a"], {"price": 110139.71, "nested": {"x": [None]}}]


@pytest.mark.unit
@pytest.mark.parametrize("value", VALUES)
def test_json_values_come_back_from_memory(local: RedisCache, value: Any) -> None:
    assert local.set("k", value, ttl=5)
    assert local.get("k") == value
    assert local.delete("k") is True
    assert local.delete("k") is False
    assert local.get("k") is None


@pytest.mark.redis
def test_json_values_come_back_from_redis(cache: RedisCache) -> None:
    for value in VALUES:
        assert cache.set("k", value, ttl=5)
        assert cache.get("k") == value
    assert (cache.delete("k"), cache.delete("k"), cache.get("k")) == (True, False, None)
    assert cache.is_available
    assert cache.status() == {"status": "healthy", "detail": "redis"}


def counts(cache: RedisCache) -> None:
    """What a count does in either place."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.increment("n", 60), range(80)))
    assert sorted(found) == list(range(1, 81))
    assert cache.get("n") == 80
    cache.set("n", 0, 60)
    assert cache.increment("n", 60) == 1
    cache.set("words", ["no", "number"], 60)
    assert (cache.increment("words", 60), cache.get("words")) == (1, 1)


@pytest.mark.unit
def test_a_count_in_memory_is_exact_and_ends_after_its_ttl() -> None:
    seconds = Seconds()
    cache = RedisCache(enabled=False, monotonic=seconds)
    counts(cache)
    seconds.now += 59
    assert cache.increment("n", 60) == 2
    seconds.now += 59
    assert cache.increment("n", 60) == 3
    seconds.now += 61
    assert cache.increment("n", 60) == 1


@pytest.mark.redis
def test_a_count_in_redis_is_exact_and_ends_after_its_ttl(cache: RedisCache, private_redis: RedisServer) -> None:
    counts(cache)
    assert cache.client is not None
    assert 59_000 < int(cache.client.pttl("n")) <= 60_000
    private_redis.kill()
    assert (cache.increment("n", 60), cache.increment("n", 60)) == (1, 2)


@pytest.mark.redis
def test_more_callers_than_connections_wait_and_redis_is_not_taken_for_lost(
    cache: RedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "MAX_CONNECTIONS", 2)
    answered: list[object] = []

    def hold_a_connection() -> None:
        answered.append(cache.run(lambda client: client.blpop(["nothing here"], timeout=0.05)))

    callers = [threading.Thread(target=hold_a_connection) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answered == [None] * 4
    assert cache.is_available


@pytest.mark.unit
def test_a_value_is_gone_from_memory_after_its_ttl() -> None:
    seconds = Seconds()
    cache = RedisCache(enabled=False, monotonic=seconds)
    cache.set("short", 1, ttl=0.5)
    cache.set("long", 2, ttl=60)
    seconds.now += 0.6
    assert (cache.get("short"), cache.get("long")) == (None, 2)
    cache.set("long", 3, ttl=0)
    assert cache.get("long") is None


@pytest.mark.redis
def test_redis_gets_the_ttl_in_milliseconds(cache: RedisCache) -> None:
    cache.set("k", 1, ttl=1.5)
    assert cache.client is not None
    assert 1000 < int(cache.client.pttl("k")) <= 1500
    cache.set("k", 1, ttl=-1)
    assert cache.get("k") is None


@pytest.mark.unit
def test_what_is_kept_can_not_be_changed_from_outside(local: RedisCache) -> None:
    value = {"a": [1]}
    local.set("k", value)
    value["a"].append(2)
    local.get("k")["a"].append(3)
    assert local.get("k") == {"a": [1]}


@pytest.mark.unit
@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"bytes"])
def test_what_is_not_json_is_refused_without_an_error(local: RedisCache, value: Any) -> None:
    assert local.set("k", value) is False
    assert local.get("k") is None


@pytest.mark.unit
def test_memory_is_bounded_and_the_least_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_cache, "MAX_LOCAL_BYTES", 10_000)
    cache = RedisCache(enabled=False)
    for n in range(100):
        cache.set(f"k{n}", "x" * 700)
        cache.get("k0")
    assert cache.get("k0") is not None
    assert sum(cache.get(f"k{n}") is not None for n in range(100)) <= 11
    assert cache.set("huge", "x" * 20_000) is False


@pytest.mark.unit
@pytest.mark.parametrize(("enabled", "state"), [("auto", "healthy"), (True, "degraded"), (False, "healthy")])
def test_without_redis_memory_serves_and_health_says_what_was_expected(enabled: Any, state: str) -> None:
    cache = RedisCache(host="127.0.0.1", port=free_port(), enabled=enabled)
    assert cache.set("k", 1)
    assert cache.get("k") == 1
    assert cache.is_available is False
    assert cache.client is None
    assert cache.status()["status"] == state
    cache.close()


@pytest.mark.unit
def test_without_the_package_memory_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    cache = RedisCache(host="127.0.0.1", port=1, enabled=True)
    assert (cache.set("k", 1), cache.get("k"), cache.is_available) == (True, 1, False)
    assert cache.status() == {
        "status": "degraded",
        "detail": "in-process cache, Redis is away: the redis package is not installed",
    }


@pytest.mark.unit
def test_making_one_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", pytest.fail)
    before = threading.active_count()
    RedisCache(host="localhost", port=6379, enabled="auto")
    RedisCache.from_settings(Settings.read({}))
    assert threading.active_count() == before


@pytest.mark.redis
def test_the_url_of_the_settings_is_used(private_redis: RedisServer) -> None:
    settings = Settings.read({"REDIS_URL": f"redis://127.0.0.1:{private_redis.port}/1", "REDIS_ENABLED": "true"})
    cache = RedisCache.from_settings(settings)
    cache.set("k", 1)
    assert cache.client is not None
    assert cache.client.connection_pool.connection_kwargs["db"] == 1
    assert cache.client.exists("k") == 1
    cache.close()


@pytest.mark.redis
def test_what_others_wrote_there_is_a_miss_and_no_outage(cache: RedisCache) -> None:
    assert cache.client is not None
    cache.client.lpush("list", "x")
    cache.client.set("text", b"\xff not json")
    assert cache.get("list") is None
    assert cache.get("text") is None
    assert cache.is_available


@pytest.mark.redis
@pytest.mark.faults
def test_a_restarted_redis_is_found_again(cache: RedisCache, private_redis: RedisServer) -> None:
    cache.set("k", "old")
    private_redis.kill()
    assert cache.get("k") is None
    assert cache.set("while away", 1)
    assert cache.get("while away") == 1
    private_redis.start()
    wait_until(lambda: cache.client is not None, 5)
    assert cache.get("k") == "old"
    assert cache.set("k", "new")
    assert cache.is_available


@pytest.mark.redis
@pytest.mark.faults
def test_no_older_value_comes_back_with_redis(cache: RedisCache, private_redis: RedisServer) -> None:
    for key in ("changed", "deleted", "untouched"):
        cache.set(key, "old")
    private_redis.pause()
    cache.set("changed", "new")
    cache.delete("deleted")
    assert cache.get("changed") == "new"
    private_redis.resume()
    wait_until(lambda: cache.client is not None, 5)
    assert cache.get("changed") != "old"
    assert cache.get("deleted") is None
    assert cache.get("untouched") == "old"


@pytest.mark.redis
@pytest.mark.faults
def test_a_hung_redis_costs_each_caller_one_short_wait_at_most(
    cache: RedisCache, private_redis: RedisServer
) -> None:
    cache.set("k", 1)
    private_redis.pause()
    waits: list[float] = []

    def call_often() -> None:
        for _ in range(50):
            start = time.perf_counter()
            cache.get("k")
            cache.set("k", 2)
            waits.append(time.perf_counter() - start)

    callers = [threading.Thread(target=call_often) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    private_redis.resume()
    long_waits = [wait for wait in waits if wait > redis_cache.TIMEOUT_S / 2]
    assert len(waits) == 400
    assert len(long_waits) <= 8  # at most each caller's first call; the rest never asks


@pytest.mark.redis
@pytest.mark.faults
def test_its_loss_and_return_are_said_once_each(
    cache: RedisCache, private_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="shared.redis_cache")
    assert cache.is_available
    private_redis.kill()
    for _ in range(10):
        cache.get("k")
    private_redis.start()
    wait_until(lambda: any(record.levelname == "INFO" for record in caplog.records), what="its return is said")
    assert cache.client is not None
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.unit
def test_run_tells_its_caller_that_redis_is_away() -> None:
    with pytest.raises(Unavailable):
        RedisCache(enabled=False).run(lambda client: client.ping())
