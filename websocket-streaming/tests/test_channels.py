"""Every channel on both markets, against the running service over the running simulator."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from shared.testing.followers import BookFollower, Follower
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

NUMBERED = {"symbol", "market", "venue", "seq", "epoch", "stale"}
TRADE = NUMBERED | {"trade_id", "price", "quantity", "side", "buyer_is_maker", "timestamp", "source"}
KLINE = NUMBERED | {
    "interval", "open_time", "close_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "final",
    "source",
}  # fmt: skip
BOOK = NUMBERED | {"type", "bids", "asks", "update_id", "timestamp"}
MARKETS = ["spot", "futures"]


@pytest.fixture(scope="module", autouse=True)
def warm(simulator: ServiceProcess) -> None:
    """The simulator's first call about futures reads a tape, which takes seconds on a busy machine."""
    requests.get(f"{simulator.base_url}/fapi/v1/depth?symbol=BTCUSDT&limit=5", timeout=60)


@pytest.fixture
def follow(streaming: ServiceProcess) -> Iterator[Callable[[str], Follower]]:
    """Opens plain streams and closes them at the end."""
    opened: list[Follower] = []

    def begin(path: str, kind: type[Follower] = Follower) -> Follower:
        opened.append(kind(streaming.ws_url + path))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.mark.parametrize("market", MARKETS)
class TestPlain:
    """`/stream/<channel>/<symbol>`."""

    def test_trades_come_one_by_one_without_a_hole(self, follow: Any, market: str) -> None:
        trades = follow(f"/stream/trades/btcusdt?market={market}").wait("trade", 20)
        assert all(set(trade) - {"missed"} == TRADE for trade in trades)
        ids = [trade["trade_id"] for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert {trade["market"] for trade in trades} == {market}
        assert all((trade["side"] == "sell") is trade["buyer_is_maker"] for trade in trades)

    def test_a_kline_grows_and_its_numbers_are_plain(self, follow: Any, market: str) -> None:
        bars = follow(f"/stream/klines/BTCUSDT/1m?market={market}").wait("kline", 2)
        assert all(set(bar) == KLINE for bar in bars)
        assert all(bar["low"] <= min(bar["open"], bar["close"]) <= bar["high"] for bar in bars)
        assert bars[0]["interval"] == "1m"
        assert bars[0]["open_time"] <= bars[1]["open_time"]

    def test_a_book_begins_with_a_snapshot_and_its_deltas_follow_on(
        self, follow: Any, streaming: ServiceProcess, market: str
    ) -> None:
        book = follow(f"/stream/orderbook/BTCUSDT?market={market}", BookFollower)
        wait_until(lambda: book.deltas >= 20, what="deltas")
        assert (book.broken, book.snapshots) == ([], 1)

        def equal() -> bool:
            shown = requests.get(f"{streaming.base_url}/orderbook/BTCUSDT?market={market}&limit=5", timeout=10).json()
            assert (shown["source"], shown["stale"]) == ("cache", False)
            data = shown["data"]
            wait_until(lambda: book.update_id >= data["update_id"], what="the same update")
            best = tuple(tuple(levels[0]) for levels in (data["bids"], data["asks"]))
            return bool(book.tops.get(data["update_id"]) == best)

        assert all(equal() for _ in range(5))

    def test_an_update_of_the_book_has_the_contracts_fields(self, follow: Any, market: str) -> None:
        stream = follow(f"/stream/orderbook/ETHUSDT?market={market}")

        def some_delta() -> bool:
            return any(update["type"] == "delta" for update in stream.data("orderbook_update"))

        wait_until(some_delta, timeout_s=30, what="a delta")
        updates = stream.data("orderbook_update")
        delta = next(update for update in updates if update["type"] == "delta")
        assert updates[0]["type"] == "snapshot"
        assert set(updates[0]) - {"timestamp"} == BOOK - {"timestamp"}
        assert set(delta) == BOOK | {"previous_update_id"}
        assert all(type(cell) in {int, float} for level in updates[0]["bids"][:5] for cell in level)
        bids, asks = ([level[0] for level in updates[0][side]] for side in ("bids", "asks"))
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]
        seqs = [data["seq"] for _, data in list(stream.events)]  # a `status` has a number too
        assert all(later == earlier + 1 for earlier, later in pairwise(seqs))


def test_a_perpetuals_price_has_its_mark_price_and_funding(follow: Any) -> None:
    price = follow("/stream/price/BTCUSDT?market=futures")
    wait_until(lambda: any("mark_price" in data for data in price.data("price_update")), what="a mark price")
    document = price.data("price_update")[-1]
    assert document["mark_price"] == pytest.approx(document["price"], rel=0.05)
    assert document["index_price"] > 0
    assert abs(document["funding_rate"]) < 0.05
    assert document["next_funding_time"] > document["timestamp"]


def test_a_one_second_bar_is_final_exactly_once(follow: Any) -> None:
    stream = follow("/stream/klines/BTCUSDT/1s")

    def finals() -> list[str]:
        return [bar["open_time"] for bar in stream.data("kline") if bar["final"]]

    wait_until(lambda: len(finals()) >= 5, timeout_s=20, what="five bars")
    assert len(finals()) == len(set(finals()))
    last: dict[str, bool] = {}
    for bar in stream.data("kline"):
        assert not last.get(bar["open_time"]), "nothing after the final state"
        last[bar["open_time"]] = bar["final"]


def test_liquidations_of_a_falling_perpetual_are_told(streaming: ServiceProcess, simulator: ServiceProcess) -> None:
    with Follower(f"{streaming.ws_url}/stream/liquidations/ETHUSDT?market=futures") as stream:
        crash = {"name": "flash_crash", "symbol": "ETHUSDT", "market": "futures", "params": {"depth_pct": 20}}
        begun = requests.post(f"{simulator.base_url}/sim/scenario", json=crash, timeout=10)
        assert begun.status_code == 200, begun.text
        order = stream.wait("liquidation", timeout_s=40)[0]
        requests.delete(f"{simulator.base_url}/sim/scenario/{begun.json()['data']['id']}", timeout=10)
    assert set(order) == NUMBERED | {"side", "price", "average_price", "quantity", "timestamp"}
    assert order["side"] in {"buy", "sell"}


class TestSocketIo:
    """The same over Socket.IO."""

    def test_all_channels_of_a_symbol_in_one_wish(
        self, streaming: ServiceProcess, connect: Callable[..., Any]
    ) -> None:
        client = connect(streaming.base_url)
        channels = ["price", "orderbook", "trades", "klines"]
        wish = {"symbols": ["BTCUSDT"], "channels": channels, "interval": "5m"}
        assert client.ask("subscribe", wish, "subscribed") == {**wish, "market": "spot"}
        for event in ("price_update", "orderbook_update", "trade", "kline"):
            client.wait(event)
        assert client.wait("kline")["interval"] == "5m"
        gone = client.ask("unsubscribe", {**wish, "channels": ["orderbook", "klines"]}, "unsubscribed")
        assert gone["channels"] == ["orderbook", "klines"]
        since = len(client.events)
        wait_until(lambda: len(client.events) > since + 20, what="what is left")
        assert {name for name, _ in client.events[since:]} <= {"price_update", "trade"}

    @pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids=str)
    def test_who_was_away_gets_every_update_since_its_last(
        self, streaming: ServiceProcess, connect: Callable[..., Any], transports: list[str]
    ) -> None:
        witness, away = (connect(streaming.base_url, transports=transports) for _ in range(2))
        wish = {"symbols": ["BTCUSDT"], "channels": ["price", "trades"]}
        for client in (witness, away):
            client.ask("subscribe", wish, "subscribed")
        wait_until(lambda: len(away.data("trade")) > 5 and away.data("price_update"), what="some updates")
        away.close()
        last = {
            "price:BTCUSDT": {key: away.data("price_update")[-1][key] for key in ("epoch", "seq")},
            "trades:BTCUSDT": {key: away.data("trade")[-1][key] for key in ("epoch", "seq")},
        }
        missed = len(witness.data("trade")) + 15
        wait_until(lambda: len(witness.data("trade")) > missed, what="updates that it misses")
        back = connect(streaming.base_url, transports=transports)
        back.ask("subscribe", {**wish, "last": last}, "subscribed")
        wait_until(lambda: len(back.data("trade")) > 20 and len(back.data("price_update")) > 10, what="all since")
        assert back.data("resync_required") == []
        for event, key in (("trade", "trades:BTCUSDT"), ("price_update", "price:BTCUSDT")):
            seqs = [data["seq"] for data in back.data(event)]
            expected = list(range(last[key]["seq"] + 1, last[key]["seq"] + 1 + len(seqs)))
            # A client that polls may be behind: then it gets the newest, or `missed` says how many it didn't.
            assert seqs[:15] == expected[:15]
            if transports == ["websocket"]:
                assert seqs == expected

    @pytest.mark.parametrize("channel", ["price", "orderbook", "trades", "klines"])
    def test_what_cannot_be_served_since_is_told_and_begins_anew(
        self, streaming: ServiceProcess, connect: Callable[..., Any], channel: str
    ) -> None:
        client = connect(streaming.base_url)
        last = {f"{channel}:BTCUSDT": {"epoch": "another", "seq": 5}}
        wish = {"symbols": ["BTCUSDT"], "channels": [channel], "last": last}
        client.client.emit("subscribe", wish)
        told = client.wait("resync_required")
        assert (told["symbol"], told["channel"], told["market"]) == ("BTCUSDT", channel, "spot")
        events = {"price": "price_update", "orderbook": "orderbook_update", "trades": "trade", "klines": "kline"}
        event = events[channel]
        first = client.wait(event)
        names = [name for name, _ in client.events]
        assert names.index("subscribed") < names.index("resync_required") < names.index(event)
        if channel == "orderbook":
            assert first["type"] == "snapshot"


class TestRest:
    """`/orderbook`, `/trades`, `/klines`."""

    @pytest.mark.parametrize("market", MARKETS)
    @pytest.mark.parametrize("path", ["orderbook/XRPUSDT", "trades/XRPUSDT", "klines/XRPUSDT"])
    def test_a_symbol_that_nobody_streams_is_asked_of_the_exchange(
        self, streaming: ServiceProcess, market: str, path: str
    ) -> None:
        answer = requests.get(f"{streaming.base_url}/{path}?market={market}&limit=3", timeout=20)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document["success"] is True
        assert document["data"]["market"] == market
        assert (document["source"], document["stale"]) == ("rest", False)
        assert 0 <= document["age_ms"] < 60_000

    def test_trades_of_a_default_symbol_are_live_contiguous_and_oldest_first(self, streaming: ServiceProcess) -> None:
        def shown() -> dict[str, Any]:
            document: dict[str, Any] = streaming.get("/trades/btcusdt?limit=50")
            return document

        wait_until(lambda: len(shown()["data"]["trades"]) == 50, what="history")
        document = shown()
        ids = [trade["trade_id"] for trade in document["data"]["trades"]]
        assert ids == list(range(ids[0], ids[0] + 50))
        assert (document["source"], document["stale"]) == ("cache", False)
        assert document["age_ms"] < 10_000

    def test_klines_are_contiguous_and_only_the_last_is_under_way(self, streaming: ServiceProcess) -> None:
        bars = streaming.get("/klines/ADAUSDT?interval=5m&limit=10")["data"]["klines"]
        assert len(bars) == 10
        assert [bar["final"] for bar in bars[:-1]] == [True] * 9
        assert all(earlier["close_time"] < later["open_time"] for earlier, later in pairwise(bars))

    @pytest.mark.parametrize("path", ["orderbook", "trades", "klines"])
    @pytest.mark.parametrize("symbol", ["XRPXRP", "a%20b", "X" * 33])
    def test_an_unknown_symbol_is_404(self, streaming: ServiceProcess, path: str, symbol: str) -> None:
        answer = requests.get(f"{streaming.base_url}/{path}/{symbol}", timeout=10)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")

    @pytest.mark.parametrize(
        ("query", "field"),
        [("orderbook/BTCUSDT?limit=0", "limit"), ("trades/BTCUSDT?limit=1001", "limit"),
         ("klines/BTCUSDT?interval=7m", "interval"), ("trades/BTCUSDT?market=moon", "market"),
         ("orderbook/BTCUSDT?depth=5", "depth"), ("klines/BTCUSDT?market=futures&interval=1s", "interval")],
    )  # fmt: skip
    def test_a_wrong_query_names_the_field(self, streaming: ServiceProcess, query: str, field: str) -> None:
        answer = requests.get(f"{streaming.base_url}/{query}", timeout=10)
        assert answer.status_code == 422
        assert answer.json()["error"]["details"][0]["field"] == field

    def test_each_call_has_its_limit(self, simulator: ServiceProcess) -> None:
        settings = {"SIMULATOR_URL": simulator.base_url, "RATE_LIMIT_MARKET": "2"}
        with ServiceProcess("websocket-streaming", settings) as service:
            answers = [requests.get(f"{service.base_url}/trades/BTCUSDT", timeout=10) for _ in range(3)]
            other = requests.get(f"{service.base_url}/klines/BTCUSDT", timeout=10)
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert other.status_code == 200

    def test_stats_and_metrics_count_gaps(self, streaming: ServiceProcess) -> None:
        data = streaming.get("/stats")["data"]
        assert data["gaps_filled"] <= data["gaps_found"]
        text = requests.get(f"{streaming.base_url}/metrics", timeout=10).text
        assert all(f"stream_{name}_total " in text for name in ("gaps_found", "gaps_filled", "book_resyncs"))
