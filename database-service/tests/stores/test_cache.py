"""Redis going away and coming back under the store of DB_ENABLED=false."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database_service.stores.cache import CacheStore
from shared.redis_cache import RedisCache
from shared.testing.net import wait_until
from shared.testing.servers import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.redis]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
Make = Callable[..., Any]
Open = Callable[[], CacheStore]


@pytest.fixture
def open_it(private_redis: RedisServer) -> Iterator[Open]:
    caches = []

    def open_it() -> CacheStore:
        caches.append(RedisCache("127.0.0.1", private_redis.port, True))
        return CacheStore(caches[-1].run, "t:", max_rows=50)

    yield open_it
    for cache in caches:
        cache.close()


def back(store: CacheStore) -> bool:
    store.probe()
    return store.source == "cache"


def test_what_is_saved_while_redis_is_away_reaches_it_later(
    open_it: Open, private_redis: RedisServer, signal: Make, trade: Make
) -> None:
    store = open_it()
    store.append([signal(signal_id="before")], NOON)
    assert back(store)
    private_redis.kill()
    store.append([signal("k", signal_id="during")], NOON)
    store.track([trade()], NOON)
    assert store.source == "memory"
    assert store.get("before") is not None
    private_redis.start()
    wait_until(lambda: back(store), 10)
    second = open_it()
    assert second.get("before") is not None
    assert second.append([signal("k", signal_id="during")], NOON)[0].status == "replayed"
    assert second.counts() == (2, 1)


def test_rows_in_redis_are_taken_in_when_it_appears_after_the_start(
    open_it: Open, private_redis: RedisServer, signal: Make
) -> None:
    open_it().append([signal(signal_id="old"), signal(signal_id="both")], NOON)
    private_redis.kill()
    store = open_it()
    store.append([signal(signal_id="new"), signal(signal_id="both")], NOON)
    assert store.source == "memory"
    private_redis.start()
    wait_until(lambda: back(store), 10)
    assert store.counts().signals == 3
    assert all(open_it().get(name) for name in ("old", "both", "new"))


def test_a_hung_redis_does_not_hold_up_the_callers(
    open_it: Open, private_redis: RedisServer, signal: Make
) -> None:
    store = open_it()
    store.append([signal(signal_id="a")], NOON)
    private_redis.pause()
    assert store.append([signal(signal_id="b")], NOON)[0].status == "stored"
    assert store.source == "memory"
    private_redis.resume()
    wait_until(lambda: back(store), 10)
    assert open_it().get("b") is not None


def test_the_newest_rows_are_kept_and_the_oldest_leave_both_places(open_it: Open, signal: Make) -> None:
    store = open_it()
    for n in range(60):
        store.append([signal(signal_id=str(n), timestamp=NOON - timedelta(seconds=n))], NOON)
    for place in (store, open_it()):
        place.probe()
        assert place.counts().signals == 50
        assert place.get("59") is not None
        assert place.get("9") is None


def test_a_row_that_is_none_is_passed_over(open_it: Open, private_redis: RedisServer, signal: Make) -> None:
    open_it().append([signal(signal_id="a")], NOON)
    for kind, text in (("signals", "rubbish"), ("signals", '[1,{"x":1}]'), ("keys", "[]"), ("settings", "5")):
        private_redis.call("HSET", f"t:{kind}", f"field-{len(text)}", text)
    store = open_it()
    store.probe()
    assert store.counts().signals == 1
