"""Trades, klines and books against an exchange that says what the test wants: what is asked, when, and what is told."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.errors import NotFound, Unavailable
from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.book_channel import BookChannel
from websocket_streaming.errands import Errands
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.fetched import Fetched
from websocket_streaming.journal import Journal
from websocket_streaming.kline_channel import KlineChannel
from websocket_streaming.price_book import PriceBook
from websocket_streaming.symbol_list import SymbolList
from websocket_streaming.ticks import Bar, Depth, Snapshot, Symbol, Ticker, Trade
from websocket_streaming.topics import Topic
from websocket_streaming.trade_channel import MAX_FILLED, MAX_TRIES, TradeChannel

NOW_MS = 1_762_000_020_000
BTC = Symbol("spot", "BTCUSDT")
MINUTE = 60_000


def trade(id: int) -> Trade:
    return Trade(100.0, id, NOW_MS, 1.0, NOW_MS, False)


def bar(number: int, trades: int = 1, final: bool = False) -> Bar:
    start = NOW_MS // MINUTE * MINUTE + number * MINUTE
    return Bar(start, start + MINUTE - 1, 1.0, 2.0, 0.5, 1.5, float(trades), 1.0, trades, final)


class Exchange:
    """REST, as the test sets it."""

    def __init__(self) -> None:
        self.known: list[Trade] = []
        self.rows: list[Bar] = []
        self.snapshots: list[Snapshot] = []
        self.asked: list[str] = []
        self.old_trades_served = True
        self.away = False

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise Unavailable("away")

    def newest_trades(self, symbol: Symbol, limit: int) -> list[Trade]:
        self._ask("newest")
        return self.known[-5:]

    def trades_from(self, symbol: Symbol, trade_id: int, limit: int) -> list[Trade]:
        self._ask("from")
        if not self.old_trades_served:
            raise NotFound("not here")
        return [one for one in self.known if one.trade_id >= trade_id][:limit]

    def klines(self, symbol: Symbol, interval: str, limit: int, start_ms: int | None = None) -> list[Bar]:
        self._ask("klines")
        return [row for row in self.rows if start_ms is None or row.open_ms >= start_ms][-limit:]

    def depth(self, symbol: Symbol, limit: int) -> Snapshot:
        self._ask("depth")
        return self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]

    def list_symbols(self) -> frozenset[str]:
        return frozenset(("BTCUSDT",))


class Desk:
    """The three channels on a clock that the test moves; `told` is what subscribers got."""

    def __init__(self) -> None:
        self.clock, self.exchange = FakeClock(), Exchange()
        exchange_time = ExchangeTime(self.clock)
        exchange_time.anchor(NOW_MS, self.clock.monotonic(), self.clock.monotonic())
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.renewed: list[Topic] = []
        self.errands = Errands(self.clock, get_logger("test"))
        self.prices = PriceBook(self.clock, exchange_time)
        self.prices.set_connected("spot", True)
        self.journal = journal = Journal(self, "e", self.clock)
        fetched = Fetched(self.clock, {"spot": SymbolList(self.exchange, self.clock)})
        common: dict[str, Any] = {
            "clock": self.clock, "journal": journal, "errands": self.errands, "exchange": self.exchange,
            "fetched": fetched, "renew": self.renewed.extend,
        }  # fmt: skip
        self.trades = TradeChannel(logger=get_logger("test"), prices=self.prices, **common)
        self.klines = KlineChannel(exchange_time=exchange_time, **common)
        self.books = BookChannel(logger=get_logger("test"), exchange_time=exchange_time, **common)
        for channel in (self.trades, self.klines, self.books):
            channel.on_connection("spot", True)

    def publish(self, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        self.told.append((event, dict(document)))

    def send(self, name: str, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        raise AssertionError("nobody is greeted here")

    def has_room(self, name: str) -> bool:
        return True

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass, look once a second, and run the errands that are due."""
        for _ in range(max(1, round(seconds))):
            self.clock.advance(min(1.0, seconds))
            for channel in (self.trades, self.klines, self.books):
                channel.check()
                channel.tell_stale()
            while self.errands.run_one():
                pass

    def ids(self) -> list[int]:
        return [document["trade_id"] for event, document in self.told if event == "trade"]

    def price(self, trade_id: int, later_ms: int = 0) -> None:
        self.prices.on_ticker(BTC, Ticker(100.0, trade_id, NOW_MS + later_ms, 1.0, 1.0, 1.0, 1.0, 1.0))


TRADES, BOOK, KLINES = Topic("trades", *BTC), Topic("orderbook", *BTC), Topic("klines", *BTC, "1m")


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestTrades:
    """Holes are found, filled, or told."""

    @pytest.fixture(autouse=True)
    def opened(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 11)]
        desk.trades.open(TRADES)
        desk.journal.follow(TRADES)
        desk.run()
        desk.told.clear()
        desk.exchange.asked.clear()

    def test_a_hole_is_filled_by_rest_after_a_moment_and_in_order(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 15)]
        for id in (11, 14):
            desk.trades.on_trade(BTC, trade(id))
        assert desk.ids() == [11]
        desk.run(1)
        assert desk.ids() == [11, 12, 13, 14]
        sources = [document["source"] for event, document in desk.told if event == "trade"]
        assert sources == ["stream", "rest", "rest", "stream"]
        assert desk.exchange.asked == ["newest"]
        assert (desk.trades.gaps_found, desk.trades.gaps_filled) == (1, 1)

    def test_a_hole_that_closes_by_itself_asks_nobody(self, desk: Desk) -> None:
        for id in (11, 13, 12):
            desk.trades.on_trade(BTC, trade(id))
        desk.run(1)
        assert desk.ids() == [11, 12, 13]
        assert desk.exchange.asked == []

    def test_what_the_24_h_figures_know_and_the_stream_missed_is_asked_for(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 13)]
        desk.price(12)
        desk.run(1)
        desk.price(12, later_ms=1000)
        desk.run(3)
        assert desk.ids() == [11, 12]
        assert not desk.trades.is_stale(TRADES)

    def test_an_exchange_that_stands_still_after_its_24_h_figures_has_not_lost_the_trade(self, desk: Desk) -> None:
        desk.price(11)
        desk.run(5)
        assert (desk.told, desk.trades.gaps_found) == ([], 0)
        desk.trades.on_trade(BTC, trade(11))
        desk.price(11, later_ms=5000)
        desk.run(5)
        assert [event for event, _ in desk.told] == ["trade"]
        assert desk.exchange.asked == []

    def test_a_trade_that_only_the_24_h_figures_know_comes_from_rest_within_10_s(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 12)]
        desk.price(11)
        desk.run(10)
        assert desk.ids() == [11]

    def test_older_holes_are_asked_for_page_by_page(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 3001)]
        desk.trades.on_trade(BTC, trade(3000))
        desk.run(1)
        assert desk.ids() == list(range(11, 3001))
        assert desk.exchange.asked[0] == "newest"
        assert desk.exchange.asked.count("from") == 3

    def test_where_old_trades_are_not_served_the_number_missed_is_told(self, desk: Desk) -> None:
        desk.exchange.known = [trade(id) for id in range(1, 101)]
        desk.exchange.old_trades_served = False
        desk.trades.on_trade(BTC, trade(100))
        desk.run(1)
        assert desk.ids() == [100]
        assert desk.told[-1][1]["missed"] == 89
        assert (desk.trades.gaps_found, desk.trades.gaps_filled) == (1, 0)

    @pytest.mark.parametrize("missing", [3, MAX_FILLED + 1])
    def test_a_hole_that_rest_cannot_fill_is_given_up_and_told(self, desk: Desk, missing: int) -> None:
        desk.trades.on_trade(BTC, trade(11 + missing))
        desk.run(1)
        assert desk.ids() == [11 + missing]
        assert desk.told[-1][1]["missed"] == missing
        assert len(desk.exchange.asked) <= MAX_TRIES

    def test_an_exchange_that_is_away_is_asked_again_until_it_answers(self, desk: Desk) -> None:
        desk.exchange.away = True
        desk.trades.on_trade(BTC, trade(12))
        desk.run(3)
        assert desk.ids() == []
        assert desk.trades.is_stale(TRADES)
        desk.exchange.away, desk.exchange.known = False, [trade(id) for id in range(1, 13)]
        desk.run(2)
        assert desk.ids() == [11, 12]

    def test_an_exchange_that_began_its_numbering_anew_is_followed(self, desk: Desk) -> None:
        desk.price(10)
        desk.run(1)
        desk.prices.on_check(BTC, Ticker(50.0, 3, NOW_MS, 1.0, 1.0, 1.0, 1.0, 1.0), 10)
        desk.exchange.known = [trade(id) for id in range(1, 4)]
        desk.run(1)
        desk.trades.on_trade(BTC, trade(4))
        assert desk.ids() == [4]

    def test_a_history_that_is_ahead_of_the_24_h_figures_is_no_new_numbering(self, desk: Desk) -> None:
        desk.price(8)
        desk.run(2)
        desk.exchange.known = [trade(id) for id in range(1, 14)]
        desk.trades.on_trade(BTC, trade(13))
        desk.run(1)
        assert desk.ids() == [11, 12, 13]

    def test_a_slow_client_is_told_how_many_it_missed(self, desk: Desk) -> None:
        assert desk.trades.catch_up(TRADES, "trade", {"trade_id": 9}, 4) == ("trade", {"trade_id": 9, "missed": 4})


class TestKlines:
    """Each bar final once."""

    def test_the_history_comes_first_and_only_what_is_owed_is_told(self, desk: Desk) -> None:
        desk.exchange.rows = [bar(-2), bar(-1), bar(0)]
        desk.klines.open(KLINES)
        desk.run()
        assert [(event, document["final"]) for event, document in desk.told] == [("kline", False)]
        shown, source, _, stale = desk.klines.klines(BTC, "1m", 10)
        assert ([row["final"] for row in shown], source, stale) == ([True, True, False], "cache", False)

    def test_a_final_state_that_was_lost_comes_from_rest_once(self, desk: Desk) -> None:
        desk.exchange.rows = [bar(0)]
        desk.klines.open(KLINES)
        desk.klines.on_bar(BTC, "1m", bar(0), NOW_MS)
        desk.klines.on_bar(BTC, "1m", bar(1), NOW_MS)
        desk.exchange.rows = [bar(0, 9), bar(1)]
        desk.run(4)
        finals = [document for event, document in desk.told if event == "kline" and document["final"]]
        assert [(document["trades"], document["source"]) for document in finals] == [(9, "rest")]
        asked = len(desk.exchange.asked)
        desk.run(3)
        assert len(desk.exchange.asked) == asked

    def test_a_silent_series_is_right_if_rest_knows_no_later_trade_and_else_stale(self, desk: Desk) -> None:
        desk.exchange.rows = [bar(0, 5)]
        desk.klines.open(KLINES)
        desk.klines.on_bar(BTC, "1m", bar(0, 5), NOW_MS)
        desk.run(12)
        assert not desk.klines.is_stale(KLINES)
        assert desk.renewed == []
        desk.exchange.rows = [bar(0, 7)]
        desk.run(8)
        assert desk.klines.is_stale(KLINES)
        assert KLINES in desk.renewed
        assert ("status", True) in [(event, document["stale"]) for event, document in desk.told]
        desk.klines.on_bar(BTC, "1m", bar(0, 8), NOW_MS + 20_000)
        assert not desk.klines.is_stale(KLINES)

    def test_a_slow_client_that_waits_with_a_status_gets_the_newest_bar(self, desk: Desk) -> None:
        desk.exchange.rows = [bar(0)]
        desk.klines.open(KLINES)
        desk.run()
        event, document = desk.klines.catch_up(KLINES, "status", {"stale": True}, 3)
        assert (event, document["open"]) == ("kline", 1.0)


class TestBooks:
    """By the procedure, and never wrong."""

    @pytest.fixture(autouse=True)
    def opened(self, desk: Desk) -> None:
        desk.exchange.snapshots = [Snapshot(5, [("10", "1")], [("11", "1")])]
        desk.books.open(BOOK)
        desk.books.on_depth(BTC, Depth(NOW_MS, 4, 6, [("10", "2")], []))
        desk.run()

    def kinds(self, desk: Desk) -> list[tuple[str, int]]:
        return [(document["type"], document["update_id"]) for event, document in desk.told if event != "status"]

    def test_a_snapshot_then_deltas_that_name_their_predecessor(self, desk: Desk) -> None:
        desk.books.on_depth(BTC, Depth(NOW_MS, 7, 7, [("10", "3")], []))
        assert self.kinds(desk) == [("snapshot", 6), ("delta", 7)]
        assert desk.told[-1][1]["previous_update_id"] == 6
        assert desk.told[-1][1]["bids"] == [[10.0, 3.0]]

    def test_a_gap_stops_the_book_until_the_next_snapshot(self, desk: Desk) -> None:
        desk.exchange.snapshots = [Snapshot(9, [("10", "4")], [("11", "1")])]
        desk.books.on_depth(BTC, Depth(NOW_MS, 9, 9, [("10", "9")], []))
        assert self.kinds(desk) == [("snapshot", 6)]
        assert desk.books.is_stale(BOOK)
        shown = desk.books.order_book(BTC, 5)
        assert (shown[0]["update_id"], shown[1], shown[3]) == (6, "cache", True)
        desk.run()
        assert self.kinds(desk) == [("snapshot", 6), ("snapshot", 9)]
        assert desk.books.resyncs == 1

    def test_snapshots_that_stay_old_are_asked_for_ever_more_slowly(self, desk: Desk) -> None:
        desk.exchange.asked.clear()
        desk.books.on_depth(BTC, Depth(NOW_MS, 20, 21, [("10", "9")], []))
        for number in range(30):
            desk.books.on_depth(BTC, Depth(NOW_MS, 22 + number, 22 + number, [], []))
            desk.run(1)
        assert 5 <= desk.exchange.asked.count("depth") <= 12
        assert self.kinds(desk) == [("snapshot", 6)]

    def test_a_lost_upstream_means_another_snapshot(self, desk: Desk) -> None:
        desk.books.on_connection("spot", False)
        assert desk.books.is_stale(BOOK)
        desk.exchange.snapshots = [Snapshot(50, [("10", "4")], [("11", "1")])]
        desk.books.on_connection("spot", True)
        desk.run(3)
        assert self.kinds(desk)[-1] == ("snapshot", 50)
        assert not desk.books.is_stale(BOOK)

    def test_a_silent_book_is_right_if_rest_shows_the_same_and_else_begins_anew(self, desk: Desk) -> None:
        desk.exchange.snapshots = [Snapshot(80, [("10", "2")], [("11", "1")])]
        desk.run(12)
        assert not desk.books.is_stale(BOOK)
        desk.exchange.snapshots = [Snapshot(90, [("10", "7")], [("11", "1")])]
        desk.run(6)
        assert desk.books.is_stale(BOOK)
        assert self.kinds(desk)[-1] == ("snapshot", 90)
        assert BOOK in desk.renewed

    def test_a_slow_client_gets_a_fresh_snapshot_or_is_told_that_there_is_none(self, desk: Desk) -> None:
        event, document = desk.books.catch_up(BOOK, "orderbook_update", {"type": "delta"}, 9)
        assert (event, document["type"], document["bids"]) == ("orderbook_update", "snapshot", [[10.0, 2.0]])
        desk.books.on_depth(BTC, Depth(NOW_MS, 9, 9, [], []))
        event, document = desk.books.catch_up(BOOK, "orderbook_update", {"type": "delta"}, 9)
        assert (event, document["stale"]) == ("status", True)

    def test_a_symbol_that_nobody_streams_is_asked_of_rest_once_a_second(self, desk: Desk) -> None:
        desk.books.close(BOOK)
        desk.exchange.asked.clear()
        shown = [desk.books.order_book(BTC, 5)[1] for _ in range(3)]
        assert shown == ["rest"] * 3
        assert desk.exchange.asked == ["depth"]
        with pytest.raises(NotFound):
            desk.books.order_book(Symbol("spot", "NOPE"), 5)


def test_a_topic_that_never_brings_anything_is_told_as_stale(desk: Desk) -> None:
    desk.exchange.away = True
    desk.books.open(BOOK)
    desk.run(2)
    assert desk.told == []
    desk.run(2)
    assert [(event, document["stale"]) for event, document in desk.told] == [("status", True)]
    assert desk.books.warn(BOOK) is not None
