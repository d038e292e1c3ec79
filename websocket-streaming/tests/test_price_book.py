"""The price book: what is newest, how it is numbered, when it is stale."""

from typing import Any

import pytest

from shared.testing.fakes import FakeClock
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import MarkPrice, Symbol, Ticker, Trade

NOW_MS = 1_762_000_000_000
BTC = Symbol("spot", "BTCUSDT")


def ticker(trade_id: int = 10, price: float = 100.0, event_ms: int = NOW_MS, **more: Any) -> Ticker:
    figures = {"volume": 5.0, "high": 120.0, "low": 90.0, "change": 1.5, "change_pct": 1.52} | more
    return Ticker(price, trade_id, event_ms, **figures)


def trade(price: float, trade_id: int, event_ms: int = NOW_MS) -> Trade:
    return Trade(price, trade_id, event_ms, 1.0, event_ms, False)


class Desk:
    """A book whose exchange's clock runs with a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.exchange_time = ExchangeTime(self.clock)
        self.exchange_time.anchor(NOW_MS, self.clock.monotonic(), self.clock.monotonic())
        self._started = self.clock.monotonic()
        self.book = PriceBook(self.clock, self.exchange_time)
        self.book.set_connected("spot", True)

    @property
    def now_ms(self) -> int:
        return NOW_MS + round((self.clock.monotonic() - self._started) * 1000)

    def price(self) -> float:
        document = self.book.update(BTC)
        assert document is not None
        return float(document["price"])


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_update_has_exactly_the_contracts_fields(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(event_ms=NOW_MS + 123))
    assert desk.book.update(BTC) == {
        "symbol": "BTCUSDT", "price": 100.0, "volume": 5.0, "high": 120.0, "low": 90.0, "change": 1.5,
        "changePercent": 1.52, "timestamp": "2025-11-01T12:26:40.123000Z", "market": "spot", "stale": False,
    }  # fmt: skip


def test_a_trade_sets_the_price_and_leaves_the_24_h_figures(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker())
    assert desk.book.on_trade(BTC, trade(101.0, 11, NOW_MS))
    document = desk.book.update(BTC)
    assert document is not None
    assert (document["price"], document["volume"], document["high"]) == (101.0, 5.0, 120.0)


def test_nothing_is_sent_before_the_24_h_figures_are_known(desk: Desk) -> None:
    assert not desk.book.on_trade(BTC, trade(101.0, 11, NOW_MS))
    assert desk.book.update(BTC) is None
    assert desk.book.on_ticker(BTC, ticker(trade_id=10))
    assert desk.price() == 101.0


@pytest.mark.parametrize("trade_id", [9, 10])
def test_an_older_or_repeated_trade_changes_nothing(desk: Desk, trade_id: int) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    assert not desk.book.on_trade(BTC, trade(55.0, trade_id, NOW_MS))
    assert desk.price() == 100.0


def test_a_ticker_that_lags_behind_the_trades_does_not_move_the_price_back(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    desk.book.on_trade(BTC, trade(105.0, 14, NOW_MS))
    assert desk.book.on_ticker(BTC, ticker(trade_id=12, price=102.0, volume=6.0, event_ms=NOW_MS + 5))
    document = desk.book.update(BTC)
    assert document is not None
    assert (document["price"], document["volume"]) == (105.0, 6.0)


def test_a_ticker_from_before_the_held_one_is_ignored(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10, volume=6.0))
    assert not desk.book.on_ticker(BTC, ticker(trade_id=9, volume=4.0))


def test_a_perpetuals_mark_price_and_funding_stand_beside_the_price_and_make_nothing_fresh(desk: Desk) -> None:
    symbol = Symbol("futures", "BTCUSDT")
    desk.book.set_connected("futures", True)
    mark = MarkPrice(NOW_MS, 100.5, 100.25, 0.0001, NOW_MS + 3_600_000)
    assert not desk.book.on_mark(symbol, mark)
    desk.book.on_ticker(symbol, ticker())
    assert desk.book.on_mark(symbol, mark)
    assert not desk.book.on_mark(symbol, MarkPrice(NOW_MS - 1, 1.0, 1.0, 0.0, NOW_MS))
    document = desk.book.update(symbol) or {}
    assert (document["mark_price"], document["index_price"], document["funding_rate"]) == (100.5, 100.25, 0.0001)
    assert document["next_funding_time"] == "2025-11-01T13:26:40.000000Z"
    desk.clock.advance(11)
    desk.book.on_mark(symbol, MarkPrice(NOW_MS + 11_000, 100.5, 100.25, 0.0001, NOW_MS + 3_600_000))
    assert desk.book.is_stale(symbol)


def test_everything_is_stale_while_the_upstream_is_away(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker())
    assert not desk.book.is_stale(BTC)
    desk.book.set_connected("spot", False)
    assert desk.book.is_stale(BTC)


def test_a_silent_symbol_becomes_stale_and_an_unchanged_last_trade_clears_it(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    desk.clock.advance(10.1)
    assert desk.book.is_stale(BTC)
    assert not desk.book.on_check(BTC, ticker(trade_id=10), 10)
    assert not desk.book.is_stale(BTC)
    assert desk.book.age_s(BTC) == pytest.approx(10.1)  # confirmed, yet honestly as old as it is
    desk.clock.advance(10.1)
    assert desk.book.is_stale(BTC)


def test_trades_that_only_rest_knows_are_filled_in_and_leave_the_symbol_stale_until_the_stream_lives(
    desk: Desk,
) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    desk.clock.advance(8)
    assert desk.book.on_check(BTC, ticker(trade_id=15, price=110.0, event_ms=desk.now_ms), 10)
    assert desk.price() == 110.0
    assert desk.book.is_stale(BTC)
    desk.book.on_trade(BTC, trade(111.0, 16, desk.now_ms))
    assert not desk.book.is_stale(BTC)


def test_rest_that_lags_behind_a_living_stream_changes_nothing(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    desk.book.on_trade(BTC, trade(120.0, 20, NOW_MS))
    assert not desk.book.on_check(BTC, ticker(trade_id=9), 10)
    assert desk.price() == 120.0


def test_an_exchange_that_began_its_numbering_anew_is_followed(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=1_000_000))
    assert desk.book.on_check(BTC, ticker(trade_id=3, price=50.0), 1_000_000)
    assert desk.price() == 50.0
    assert desk.book.on_trade(BTC, trade(51.0, 4, NOW_MS))


def test_data_that_flow_with_old_event_times_are_stale(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(trade_id=10))
    desk.clock.advance(60)
    desk.book.on_trade(BTC, trade(101.0, 11, NOW_MS))
    assert desk.book.age_s(BTC) == 60.0
    assert desk.book.is_stale(BTC)


def test_an_event_time_in_the_future_does_not_hide_silence(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(event_ms=NOW_MS + 3_600_000))
    desk.clock.advance(11)
    assert desk.book.age_s(BTC) == 11.0
    assert desk.book.is_stale(BTC)


def test_a_restored_price_keeps_its_age_and_gives_way_to_anything_newer(desk: Desk) -> None:
    desk.book.restore(BTC, ticker(trade_id=10), age_s=30)
    assert desk.book.age_s(BTC) == 30.0
    desk.book.on_ticker(BTC, ticker(trade_id=11, price=99.0))
    assert desk.price() == 99.0


def test_wall_clock_jumps_change_no_age(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker())
    desk.clock.jump_wall_clock(3600)
    assert desk.book.age_s(BTC) == 0.0
    assert not desk.book.is_stale(BTC)
