"""A PostgreSQL that is stopped while its connections stay open: every wait ends, and what was cut is not lost."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from database_service.migrate import migrate
from database_service.performance import TradeFilter
from database_service.signals import SignalFilter
from database_service.stores.postgres import postgres_store
from database_service.stores.schema import performance
from database_service.stores.sql import SqlStore
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.sql.connections import PORTION, READ_S, WRITE_S, streamed
from shared.sql.leash import LOOK_EVERY_S, Leash
from shared.testing.net import wait_until
from shared.testing.servers import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.database]
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
LATE_S = 1.0  # on a busy machine
Make = Callable[..., Any]


@pytest.fixture
def leash() -> Iterator[Leash]:
    leash = Leash(time.monotonic)
    leash.start()
    yield leash
    leash.stop()


@pytest.fixture
def store(private_postgres: PostgresServer, leash: Leash) -> Iterator[SqlStore]:
    """A store on a leash, in a server that may be stopped."""
    migrate(private_postgres.url)
    store = postgres_store(private_postgres.url, SystemClock(), leash)
    assert store.prepare()
    yield store
    private_postgres.resume()
    store.close()


def seconds(call: Callable[[], Any]) -> float:
    """How long until it is Unavailable."""
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        call()
    return time.monotonic() - begun


def test_a_write_into_a_stopped_server_ends_and_the_next_one_at_once(
    store: SqlStore, private_postgres: PostgresServer, signal: Make
) -> None:
    store.append([signal(signal_id="a")], NOON)
    private_postgres.pause()
    first = seconds(lambda: store.append([signal(signal_id="b")], NOON))
    second = seconds(lambda: store.append([signal(signal_id="c")], NOON))
    print(f"a write into a stopped PostgreSQL ended after {first:.2f} s, the next after {second:.3f} s")
    assert WRITE_S <= first <= WRITE_S + LOOK_EVERY_S + LATE_S
    assert second < LATE_S
    assert store.known_away
    private_postgres.resume()
    wait_until(lambda: not away(store.probe), 5, what="found again")
    assert store.append([signal(signal_id="d")], NOON)[0].status == "stored"


def test_reads_of_a_stopped_server_end_and_only_one_at_a_time_looks_whether_it_is_back(
    store: SqlStore, private_postgres: PostgresServer
) -> None:
    private_postgres.pause()
    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(lambda _: seconds(lambda: store.history(SignalFilter(), 1)), range(4)))
        assert max(first) <= READ_S + LOOK_EVERY_S + LATE_S
        time.sleep(0.6)  # past connections.FAIL_FAST_S
        again = sorted(pool.map(lambda _: seconds(lambda: store.history(SignalFilter(), 1)), range(4)))
    assert again[2] < LATE_S
    assert again[3] <= READ_S + LOOK_EVERY_S + LATE_S
    private_postgres.resume()
    wait_until(lambda: not away(store.probe), 10, what="found again")


def test_a_new_connection_to_a_stopped_server_ends(private_postgres: PostgresServer, leash: Leash) -> None:
    private_postgres.pause()
    store = postgres_store(private_postgres.url, SystemClock(), leash)
    assert seconds(store.prepare) <= READ_S + LATE_S
    private_postgres.resume()
    store.close()


def test_a_long_answer_that_keeps_coming_is_not_cut(store: SqlStore, trade: Make) -> None:
    store.track([trade() for _ in range(4000)], NOON)
    begun, count = time.monotonic(), 0
    with store._connections.reading(0.5) as link:
        for count, _ in enumerate(streamed(link, sa.select(performance.c.id)), 1):
            if count % PORTION == 0:
                time.sleep(0.3)  # who reads is slow, the database isn't
    assert (count, time.monotonic() - begun > 1.0) == (4000, True)


def test_a_server_stopped_in_the_middle_of_a_commit_has_the_row_once(
    store: SqlStore, private_postgres: PostgresServer, signal: Make, trade: Make
) -> None:
    """Some of these were committed and unanswered when they were cut; saying them again changes nothing."""
    rows, trades = [signal(signal_id=f"s{n}") for n in range(200)], [trade(pnl=str(n)) for n in range(200)]
    stopper = threading.Timer(0.15, private_postgres.pause)
    stopper.start()
    answered = 0
    for row, closed in zip(rows, trades, strict=True):
        if away(partial(store.append, [row], NOON)) or away(partial(store.track, [closed], NOON)):
            break
        answered += 1
    stopper.join()
    private_postgres.resume()
    wait_until(lambda: not away(store.probe), 10, what="found again")
    store.append(rows, NOON)
    store.track_again([one.trade.stored() for one in trades])
    print(f"{answered} answered before the stop")
    assert len(store.newest(SignalFilter(), 1000)) == 200
    assert sorted(int(line.pnl) for line in store.trades(TradeFilter())) == list(range(200))


def away(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Unavailable:
        return True
    return False
