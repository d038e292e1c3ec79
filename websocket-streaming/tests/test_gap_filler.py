"""What the stream doesn't bring is asked for by REST: once for many, again while it fails, and only while wanted."""

import pytest

from shared.errors import Unavailable
from shared.logger import get_logger
from shared.testing.fakes import FakeClock
from websocket_streaming.exchange_time import ExchangeTime
from websocket_streaming.gap_filler import GapFiller
from websocket_streaming.price_book import PriceBook
from websocket_streaming.ticks import Symbol, Ticker

BTC, ETH = Symbol("spot", "BTCUSDT"), Symbol("spot", "ETHUSDT")


def ticker(trade_id: int, price: float = 100.0) -> Ticker:
    return Ticker(price, trade_id, 1_762_000_000_000, 5.0, 120.0, 90.0, 1.5, 1.5)


class Desk:
    """A gap filler with an exchange that says what the test wants."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = PriceBook(self.clock, ExchangeTime(self.clock))
        self.book.set_connected("spot", True)
        self.answers: dict[str, Ticker] | None = {}
        self.asked: list[set[str]] = []
        self.wanted = {BTC, ETH}
        self.published: list[Symbol] = []
        self.renewed: list[Symbol] = []
        self.gaps = GapFiller(
            clock=self.clock, logger=get_logger("test"), book=self.book, exchange=self,
            is_wanted=self.wanted.__contains__, publish=self.published.append, renew=self.renewed.extend,
        )  # fmt: skip

    def tickers(self, market: str, names: list[str]) -> dict[str, Ticker]:
        assert market == "spot"
        self.asked.append(set(names))
        if self.answers is None:
            raise Unavailable("away")
        return self.answers


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_wishes_that_come_together_share_one_request(desk: Desk) -> None:
    desk.answers = {"BTCUSDT": ticker(1), "ETHUSDT": ticker(2)}
    desk.gaps.fill([BTC])
    desk.gaps.fill([ETH, BTC])
    assert desk.gaps.fill_now()
    assert desk.asked == [{"BTCUSDT", "ETHUSDT"}]
    assert set(desk.published) == {BTC, ETH}
    assert not desk.book.is_stale(BTC)


def test_a_failed_fill_is_tried_again_with_what_came_meanwhile(desk: Desk) -> None:
    desk.answers = None
    desk.gaps.fill([BTC])
    assert not desk.gaps.fill_now()
    desk.gaps.fill([ETH])
    desk.answers = {"BTCUSDT": ticker(1), "ETHUSDT": ticker(2)}
    assert desk.gaps.fill_now()
    assert desk.asked[-1] == {"BTCUSDT", "ETHUSDT"}


def test_what_nobody_wants_any_more_is_not_asked_for(desk: Desk) -> None:
    desk.gaps.fill([BTC])
    desk.wanted.clear()
    assert desk.gaps.fill_now()
    assert desk.asked == []


def test_a_silent_symbol_is_checked_every_8_s_while_it_is_silent(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(7))
    desk.answers = {"BTCUSDT": ticker(7)}
    checks = []
    for second in range(1, 30):
        desk.clock.advance(1)
        before = len(desk.asked)
        desk.gaps.check_silent()
        checks += [second] * (len(desk.asked) - before)
        assert not desk.book.is_stale(BTC)
    assert checks == [8, 16, 24]
    assert (desk.published, desk.renewed) == ([], [])


def test_a_symbol_whose_stream_missed_trades_is_filled_told_and_renewed_alone(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(7))
    desk.book.on_ticker(ETH, ticker(7))
    desk.clock.advance(8)
    desk.answers = {"BTCUSDT": ticker(9, price=90.0), "ETHUSDT": ticker(7)}
    desk.gaps.check_silent()
    assert (desk.published, desk.renewed) == ([BTC], [BTC])
    document = desk.book.update(BTC)
    assert document is not None
    assert (document["price"], document["stale"]) == (90.0, True)
    assert not desk.book.is_stale(ETH)


def test_a_check_that_fails_leaves_the_symbol_to_become_stale(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(7))
    desk.answers = None
    desk.clock.advance(8)
    desk.gaps.check_silent()
    assert not desk.book.is_stale(BTC)
    desk.clock.advance(2.1)
    assert desk.book.is_stale(BTC)


def test_nothing_is_checked_while_the_upstream_is_away(desk: Desk) -> None:
    desk.book.on_ticker(BTC, ticker(7))
    desk.book.set_connected("spot", False)
    desk.clock.advance(60)
    desk.gaps.check_silent()
    assert desk.asked == []
