"""Several workers with one upstream: real processes over a real Redis and a simulator of their own."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from shared.testing.followers import BookFollower, Follower
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import NginxServer, RedisServer
from tools.door import Door

pytestmark = [pytest.mark.integration, pytest.mark.websocket, pytest.mark.redis]

TAKES_OVER_WITHIN_S = 5.0
SYMBOLS = "BTCUSDT,ETHUSDT"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def market() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as running:
        yield running


@pytest.fixture
def workers(market: ServiceProcess, redis_server: RedisServer) -> Iterator[list[ServiceProcess]]:
    """Two of them; the first leads."""
    settings = {
        "SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false", "DEFAULT_SYMBOLS": SYMBOLS,
        "REDIS_ENABLED": "true", "REDIS_URL": redis_server.url, "INSTANCES": "2",
    }  # fmt: skip
    with (
        ServiceProcess("websocket-streaming", settings | {"INSTANCE": "1"}) as first,
        ServiceProcess("websocket-streaming", settings | {"INSTANCE": "2"}) as second,
    ):
        yield [first, second]


@pytest.fixture
def follow() -> Iterator[Callable[..., Any]]:
    """Opens plain streams and closes them at the end."""
    opened: list[Follower] = []

    def begin(worker: ServiceProcess, path: str, kind: type[Follower] = Follower) -> Follower:
        opened.append(kind(worker.ws_url + path))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def stats(worker: ServiceProcess) -> dict[str, Any]:
    data: dict[str, Any] = worker.get("/stats")["data"]
    return data


def sockets(market: ServiceProcess) -> int:
    return int(market.get("/sim/status")["data"]["sockets"])


def by_seq(follower: Follower, event: str, epoch: str) -> dict[int, Any]:
    return {data["seq"]: data for data in follower.data(event) if data["epoch"] == epoch}


def same_updates(one: Follower, other: Follower, event: str, epoch: str, count: int) -> None:
    """Wait until both have that many updates of the same numbers; they must be the same, one after the other."""

    def shared() -> list[int]:
        return sorted(by_seq(one, event, epoch).keys() & by_seq(other, event, epoch).keys())

    wait_until(lambda: len(shared()) >= count, what=f"{count} {event} at both")
    numbers = shared()
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    ours, theirs = by_seq(one, event, epoch), by_seq(other, event, epoch)
    differing = [number for number in numbers[1:] if ours[number] != theirs[number]]  # the first may be a greeting
    assert differing == []


def test_clients_of_both_workers_get_every_update_with_one_number_from_one_upstream(
    market: ServiceProcess, workers: list[ServiceProcess], follow: Callable[..., Any]
) -> None:
    assert [stats(worker)["follows"] for worker in workers] == [False, True]
    epoch = stats(workers[0])["epoch"]
    streams = {
        event: [follow(worker, path) for worker in workers]
        for event, path in (("price_update", "/stream/price/BTCUSDT"), ("trade", "/stream/trades/BTCUSDT"),
                            ("kline", "/stream/klines/BTCUSDT/1s"))
    }  # fmt: skip
    for event, (one, other) in streams.items():
        same_updates(one, other, event, epoch, 10)
    assert sockets(market) == 1
    assert stats(workers[1])["epoch"] == epoch
    wait_until(lambda: [stats(worker)["total_subscriptions"] for worker in workers] == [6, 6], what="one count")


def test_a_symbol_that_only_a_followers_client_wants_is_opened_by_the_leader_and_closed_again(
    market: ServiceProcess, workers: list[ServiceProcess], follow: Callable[..., Any]
) -> None:
    book = follow(workers[1], "/stream/orderbook/SOLUSDT", BookFollower)
    wait_until(lambda: book.deltas >= 20, what="deltas")
    assert book.broken == []
    shown = workers[1].get("/orderbook/SOLUSDT?limit=5")
    assert (shown["source"], shown["stale"]) == ("cache", False)
    data = shown["data"]
    wait_until(lambda: book.update_id >= data["update_id"], what="the same update")
    assert book.tops[data["update_id"]] == tuple(tuple(levels[0]) for levels in (data["bids"], data["asks"]))
    assert "SOLUSDT" in stats(workers[0])["subscriptions_by_symbol"]
    late = follow(workers[1], "/stream/orderbook/SOLUSDT", BookFollower)
    wait_until(lambda: late.deltas >= 5, what="deltas after the follower's own snapshot")
    assert (late.broken, late.snapshots) == ([], 1)
    book.close()
    late.close()
    wait_until(lambda: "SOLUSDT" not in stats(workers[0])["subscriptions_by_symbol"], what="closed")
    assert sockets(market) == 1


def test_a_follower_answers_the_newest_price_and_replays_from_its_own_ring(
    workers: list[ServiceProcess], connect: Callable[..., Any]
) -> None:
    wait_until(lambda: workers[1].get("/price/BTCUSDT")["source"] == "cache", what="the leader's price")
    assert workers[1].get("/price/BTCUSDT")["stale"] is False
    client = connect(workers[1].base_url)
    client.ask("subscribe", {"symbols": ["BTCUSDT"], "channels": ["trades"]}, "subscribed")
    seen = client.wait("trade", lambda data: data["source"] == "stream")
    position = {"epoch": seen["epoch"], "seq": seen["seq"]}
    client.close()
    again = connect(workers[1].base_url)
    wish = {"symbols": ["BTCUSDT"], "channels": ["trades"], "last": {"trades:BTCUSDT": position}}
    again.ask("subscribe", wish, "subscribed")
    again.wait("trade", lambda data: data["seq"] >= seen["seq"] + 5)
    numbers = [trade["seq"] for trade in again.data("trade")]
    assert numbers[0] == seen["seq"] + 1
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))
    assert again.data("resync_required") == []


def test_a_leader_killed_is_followed_by_the_other_within_seconds_under_a_new_epoch(
    market: ServiceProcess, workers: list[ServiceProcess], follow: Callable[..., Any]
) -> None:
    price = follow(workers[1], "/stream/price/BTCUSDT")
    book = follow(workers[1], "/stream/orderbook/BTCUSDT", BookFollower)
    wait_until(lambda: book.deltas >= 3 and price.data("price_update"), what="updates")
    before = stats(workers[1])["epoch"]
    workers[0].kill()
    wait_until(
        lambda: any(data["epoch"] != before for data in price.data("price_update")),
        timeout_s=TAKES_OVER_WITHIN_S, what="a price of a new epoch",
    )  # fmt: skip
    after, deltas = stats(workers[1])["epoch"], book.deltas
    assert (stats(workers[1])["follows"], sockets(market)) == (False, 1)
    wait_until(lambda: book.deltas > deltas + 5, what="the book again")
    assert book.snapshots >= 2
    assert book.broken == []
    workers[0].start()
    assert stats(workers[0])["follows"] is True
    same_updates(follow(workers[0], "/stream/price/BTCUSDT"), price, "price_update", after, 5)
    assert sockets(market) == 1


def test_without_redis_each_worker_leads_itself_and_with_it_one_leads_again(
    market: ServiceProcess, workers: list[ServiceProcess], redis_server: RedisServer, follow: Callable[..., Any]
) -> None:
    price = follow(workers[1], "/stream/price/BTCUSDT")
    wait_until(lambda: price.data("price_update"), what="a price")
    epochs = [stats(worker)["epoch"] for worker in workers]
    assert epochs[0] == epochs[1]
    redis_server.kill()
    wait_until(lambda: sockets(market) == 2, timeout_s=10, what="an upstream each")
    alone = [stats(worker)["epoch"] for worker in workers]
    assert alone[0] == epochs[0]  # it goes on as it was
    assert alone[1] != epochs[1]
    wait_until(lambda: len(by_seq(price, "price_update", alone[1])) >= 5, what="prices of its own")
    redis_server.start()
    wait_until(lambda: sockets(market) == 1, timeout_s=10, what="one upstream again")
    wait_until(lambda: len({stats(worker)["epoch"] for worker in workers}) == 1, what="one epoch again")
    epoch, leads = stats(workers[0])["epoch"], [not stats(worker)["follows"] for worker in workers]
    assert sorted(leads) == [False, True]
    same_updates(follow(workers[0], "/stream/price/BTCUSDT"), price, "price_update", epoch, 5)


def test_a_worker_that_stops_hands_the_lead_over_at_once(market: ServiceProcess, workers: list[ServiceProcess]) -> None:
    assert workers[0].stop() == 0
    wait_until(lambda: not stats(workers[1])["follows"], timeout_s=TAKES_OVER_WITHIN_S, what="the other leads")
    wait_until(lambda: sockets(market) == 1, what="one upstream")


@pytest.mark.usefixtures("nginx_program")
def test_behind_nginx_a_client_stays_at_its_worker_and_goes_on_at_the_other_when_that_dies(
    workers: list[ServiceProcess], connect: Callable[..., Any]
) -> None:
    places = [f"127.0.0.1:{worker.port}" for worker in workers]
    with NginxServer(
        lambda port, folder: Door(str(folder), f"{folder}/access.log", places, port).configuration()
    ) as nginx:
        instances = {requests.get(f"{nginx.url}/stats", timeout=10).json()["data"]["instance"] for _ in range(10)}
        assert len(instances) == 1
        client = connect(nginx.url)  # polling first, then the upgrade: both must meet the same worker
        client.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
        client.wait("price_update")
        wait_until(lambda: client.client.transport() == "websocket", what="the upgrade")
        workers[instances.pop() - 1].kill()
        client.wait("disconnect")
        again = connect(nginx.url)
        again.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
        again.wait("price_update", lambda data: not data["stale"])
