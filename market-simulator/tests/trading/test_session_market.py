"""Paper orders: priority, partial fills, fees, and that book, ids and history stay one market whatever is ordered."""

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market_simulator.market import UNIT, DepthUpdate, Event, SymbolInfo, SymbolMarket, Trade
from market_simulator.order_book import OrderBook
from market_simulator.recorded.market import RecordedMarket
from market_simulator.repricing import flash_crash
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.stage.effects import ThinBook
from market_simulator.stage.market import StagedMarket
from market_simulator.stage.washing import WashTrading
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.trading.orders import MAX_FILLS, MAX_ORDERS, MAX_RESTING, Fees, Matching, Order
from market_simulator.trading.session_market import SessionMarket
from shared.errors import Conflict, InvalidInput, NotFound

from ..rebuilt import replay

TAPES = Path(__file__).parents[2] / "tape"
FIRST_MS = 1_786_200_000_000  # 2026-08-08T14:40:00Z
INFO = SymbolInfo("XYZUSDT", "XYZ", "USDT", 1, 1, "generated")


@functools.cache
def recorded() -> SymbolMarket:
    return RecordedMarket(RECORDED[0], load_tape(TAPES / "binance-spot-btcusdt_20240808.txt.gz"))


def on_tape() -> SessionMarket:
    return SessionMarket(StagedMarket(RecordedMarket(RECORDED[0], recorded()._tape)))  # type: ignore[attr-defined]  # read once


def on_generated() -> SessionMarket:
    return SessionMarket(StagedMarket(GeneratedMarket(*GENERATED[0], seed=11)))


Make = Callable[[], SessionMarket]
both_kinds = pytest.mark.parametrize("make", [on_tape, on_generated])


def run(market: SessionMarket, from_ms: int, to_ms: int, step_ms: int = 20) -> list[Event]:
    return [event for at_ms in range(from_ms + step_ms, to_ms + 1, step_ms) for event in market.advance(at_ms)]


def check_history(market: SessionMarket, events: Sequence[Event], now_ms: int, from_ms: int = FIRST_MS) -> int:
    """Streamed ids have no hole, and lists, bars and windows equal the trades added up; how many trades that were."""
    streamed = [event for event in events if isinstance(event, Trade)]
    assert all(later.id == earlier.id + 1 for earlier, later in pairwise(streamed))
    if streamed:
        assert market.trades(now_ms, limit=len(streamed), from_id=streamed[0].id) == streamed
    told = market.trades(now_ms, limit=10**6, start_ms=from_ms)
    assert all(later.id == earlier.id + 1 and later.at_ms >= earlier.at_ms for earlier, later in pairwise(told))
    for count in (1, 7, len(told)):
        assert market.trades(now_ms, limit=count) == told[-count:] or len(told) < count
        assert market.trades(now_ms, limit=count, from_id=told[0].id) == told[:count]
    before = market.trades(now_ms, limit=1, end_ms=from_ms - 1)[-1]
    assert before.id == told[0].id - 1
    window = market.window(now_ms, now_ms - from_ms)
    assert (window.volume, window.quote_volume, window.count, window.first_id, window.last_id) == (
        sum(trade.quantity for trade in told),
        sum(trade.quantity * trade.price for trade in told),
        len(told),
        told[0].id,
        told[-1].id,
    )
    assert (window.open, window.last, window.last_quantity) == (told[0].price, told[-1].price, told[-1].quantity)
    assert (window.high, window.low) == (max(trade.price for trade in told), min(trade.price for trade in told))
    assert window.previous_close == before.price
    price = before.price
    for bar in market.klines(now_ms, "1s", limit=10**4, start_ms=from_ms):
        inside = [trade for trade in told if bar.open_ms <= trade.at_ms <= bar.close_ms]
        bought = [trade for trade in inside if not trade.buyer_is_maker]
        prices = [trade.price for trade in inside] or [price]
        price = prices[-1]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.first_id, bar.last_id) == ((inside[0].id, inside[-1].id) if inside else (-1, -1))
        assert (bar.trades, bar.volume, bar.quote_volume, bar.taker_buy_base, bar.taker_buy_quote) == (
            len(inside),
            sum(trade.quantity for trade in inside),
            sum(trade.quantity * trade.price for trade in inside),
            sum(trade.quantity for trade in bought),
            sum(trade.quantity * trade.price for trade in bought),
        )
    return len(told)


def check_orders(market: SessionMarket) -> int:
    """Fills add up, keep to their limit and are trades of the market; how many fills there are."""
    fills = 0
    for order in market.orders():
        assert order.left == order.quantity - sum(fill.quantity for fill in order.fills) >= 0
        assert (order.status == "FILLED") == (order.left == 0)
        for fill in order.fills:
            assert order.reaches(fill.price)
            (trade,) = market.trades(fill.at_ms, limit=1, from_id=fill.trade_id)
            assert (trade.id, trade.price, trade.quantity) == (fill.trade_id, fill.price, fill.quantity)
            assert trade.buyer_is_maker == (order.is_buy == fill.is_maker)
            fills += 1
    return fills


@both_kinds
def test_a_market_order_takes_the_best_levels_moves_the_book_and_becomes_trades(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    before = market.book()
    asks = list(before.asks)
    quantity = sum(size for _, size in asks[:3]) + asks[3][1] // market.info.step_size // 2 * market.info.step_size
    order = market.place("BUY", "MARKET", quantity)
    assert order.status == "FILLED"
    assert [(fill.price, fill.quantity) for fill in order.fills][:3] == asks[:3]
    assert len(order.fills) == 4
    events = run(market, FIRST_MS, FIRST_MS + 10_000)
    own = {fill.trade_id for fill in order.fills}
    streamed = {event.id: event for event in events if isinstance(event, Trade)}
    assert own <= set(streamed)
    assert not any(streamed[id].buyer_is_maker for id in own)
    first = next(event for event in events if isinstance(event, DepthUpdate) and event.asks)
    compared, trades = replay(before, events)[1], check_history(market, events, FIRST_MS + 10_000)
    assert check_orders(market) == 4
    assert first.last_id > before.last_update_id
    print(f"{compared} bookTickers compared, {trades} trades recounted")
    assert compared > 2
    assert trades > 15


@both_kinds
def test_a_resting_order_shows_in_its_level_and_is_gone_when_it_is_cancelled(make: Make) -> None:
    market, calm = make(), make()
    market.advance(FIRST_MS)
    calm.advance(FIRST_MS)
    before = market.book()
    price = before.bids[2][0]
    size = 40 * market.info.step_size
    order = market.place("BUY", "LIMIT", size, price - 1_000 * market.info.tick_size)
    events = run(market, FIRST_MS, FIRST_MS + 1_000)
    run(calm, FIRST_MS, FIRST_MS + 1_000)
    shown, there = dict(market.book().bids), dict(calm.book().bids)
    assert order.price is not None
    assert shown[order.price] == there.get(order.price, 0) + size
    assert {**shown, order.price: 0} == {**there, order.price: 0}
    assert market.cancel(order.id).status == "CANCELED"
    events += run(market, FIRST_MS + 1_000, FIRST_MS + 3_000)
    run(calm, FIRST_MS + 1_000, FIRST_MS + 3_000)
    assert (market.book(), market.best()) == (calm.book(), calm.best())
    assert replay(before, events)[1] > 0
    with pytest.raises(Conflict):
        market.cancel(order.id)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 40)),
        st.tuples(st.just("market"), st.booleans(), st.integers(1, 4_000)),
        st.tuples(st.just("limit"), st.booleans(), st.integers(1, 4_000), st.integers(-8, 8)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
    ),
    min_size=3,
    max_size=25,
)


@both_kinds
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, lies=st.booleans())
def test_book_ids_and_history_hold_whatever_is_ordered_and_whichever_lies_are_told(
    make: Make, actions: list[Any], lies: bool
) -> None:
    market, at_ms = make(), FIRST_MS
    market.advance(at_ms)
    before, events = market.book(), list[Event]()
    info = market.info
    if lies:
        ticks = before.bids[0][0] // 50 // info.tick_size
        market.reprice(flash_crash(FIRST_MS + 500, 3_000, ticks, info.tick_size, 1))
        market.affect(ThinBook(FIRST_MS, FIRST_MS + 3_000, 10, 10**12, info.step_size, info.tick_size, 2))
        market.wash(WashTrading(FIRST_MS, FIRST_MS + 4_000, 0.5, 3 * info.step_size, 3))
    for action, *values in actions:
        if action == "advance":
            events += run(market, at_ms, at_ms + values[0] * 20)
            at_ms += values[0] * 20
        elif action == "market":
            market.place("BUY" if values[0] else "SELL", "MARKET", values[1] * info.step_size)
        elif action == "limit":
            best = market.best().bid[0] if values[0] else market.best().ask[0]
            price = best + values[2] * info.tick_size
            market.place("BUY" if values[0] else "SELL", "LIMIT", values[1] * info.step_size, price)
        elif market.orders():
            order = market.orders()[values[0] % len(market.orders())]
            if order.is_open:
                market.cancel(order.id)
    events += run(market, at_ms, at_ms + 4_000)
    book, _ = replay(before, events)
    check_orders(market)
    check_history(market, events, at_ms + 4_000)
    shown = market.book()
    assert (book.bids.descending(), book.asks.ascending()) == (list(shown.bids), list(shown.asks))
    assert (market.best().bid, market.best().ask) == book.best()


@both_kinds
def test_orders_live_on_over_a_jump_and_show_where_it_lands(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    low = market.best().bid[0] // 2 // market.info.tick_size * market.info.tick_size
    market.place("BUY", "LIMIT", market.info.step_size, low)
    assert market.advance(FIRST_MS + 100_000) == []
    before = market.book()
    assert dict(before.bids)[low] >= market.info.step_size
    events = run(market, FIRST_MS + 100_000, FIRST_MS + 103_000)
    assert replay(before, events)[1] > 0


# The engine by itself


class Desk:
    """A matching engine upon a small book: bids 99 × 5, 98 × 5, 90 × 5; asks 101 × 5, 102 × 5, 110 × 5."""

    def __init__(self, fees: Fees | None = None) -> None:
        self.told: list[tuple[int, int, bool]] = []
        self.matching = Matching(INFO, fees or Fees(), self._report)
        self.matching.restart(OrderBook([(99, 5), (98, 5), (90, 5)], [(101, 5), (102, 5), (110, 5)]))
        self.matching.take_changes()

    def _report(self, price: int, quantity: int, buyer_is_maker: bool) -> tuple[int, int]:
        self.told.append((price, quantity, buyer_is_maker))
        return len(self.told), 0

    def buy(self, quantity: int, price: int | None = None) -> Order:
        return self.matching.place("BUY", "MARKET" if price is None else "LIMIT", quantity, price, 0)

    def sell(self, quantity: int, price: int | None = None) -> Order:
        return self.matching.place("SELL", "MARKET" if price is None else "LIMIT", quantity, price, 0)

    def trade(self, price: int, quantity: int, buyer_is_maker: bool) -> None:
        self.matching.on_trade(Trade(1, price, quantity, 0, 0, buyer_is_maker))

    def update(self, bids: tuple[tuple[int, int], ...] = (), asks: tuple[tuple[int, int], ...] = ()) -> None:
        self.matching.on_update(DepthUpdate(1, 1, 0, bids, asks))

    def shown(self) -> dict[tuple[bool, int], int]:
        return {(is_bid, price): quantity for is_bid, price, quantity in self.matching.take_changes()}


def prices_of(order: Order) -> list[tuple[int, int]]:
    return [(fill.price, fill.quantity) for fill in order.fills]


def test_what_was_taken_stays_taken_until_the_market_sets_the_level_anew() -> None:
    desk = Desk()
    assert prices_of(desk.buy(7)) == [(101, 5), (102, 2)]
    assert desk.shown() == {(False, 101): 0, (False, 102): 3}
    assert prices_of(desk.buy(1)) == [(102, 1)]
    desk.update(asks=((101, 4),))
    assert prices_of(desk.buy(5)) == [(101, 4), (102, 1)]


def test_the_last_level_is_never_taken_and_what_needs_it_expires() -> None:
    desk = Desk()
    order = desk.buy(50)
    assert (order.status, order.left) == ("EXPIRED", 40)
    crossing = desk.buy(3, 110)
    assert (crossing.status, crossing.reason) == ("EXPIRED", "only the last level is left")
    desk.update(asks=((110, 0),))
    assert desk.shown()[False, 102] == 5, "a book never runs empty"


def test_a_limit_order_takes_what_it_reaches_and_rests_with_the_rest() -> None:
    desk = Desk()
    order = desk.buy(8, 101)
    assert (prices_of(order), order.status, order.left) == ([(101, 5)], "PARTIALLY_FILLED", 3)
    assert desk.shown() == {(False, 101): 0, (True, 101): 3}


def test_trades_at_its_price_use_up_what_stands_before_it_then_fill_it() -> None:
    desk = Desk()
    order = desk.buy(4, 99)
    desk.trade(99, 3, True)
    assert (order.ahead, order.fills) == (2, [])
    desk.trade(99, 3, False)
    assert order.ahead == 2, "the other side's trades don't pass it"
    desk.trade(99, 3, True)
    assert (prices_of(order), order.status) == ([(99, 1)], "PARTIALLY_FILLED")
    desk.trade(99, 30, True)
    assert (prices_of(order), order.status) == ([(99, 1), (99, 3)], "FILLED")
    assert desk.told == [(99, 1, True), (99, 3, True)]


def test_withdrawals_before_it_move_it_forward() -> None:
    desk = Desk()
    order = desk.buy(4, 99)
    desk.update(bids=((99, 1),))
    assert order.ahead == 1
    desk.update(bids=((99, 50),))
    assert order.ahead == 1, "what comes later stands behind it"


def test_better_prices_come_first_then_who_stands_longer() -> None:
    desk = Desk()
    later_price, first, second, better = desk.buy(2, 97), desk.buy(2, 99), desk.buy(2, 99), desk.buy(2, 100)
    desk.trade(99, 8, True)
    assert [len(order.fills) for order in (later_price, first, second, better)] == [0, 1, 0, 1]
    assert first.fills[0].quantity == 1, "2 to the better price, 5 to the market before it, 1 is left"
    desk.trade(99, 2, True)
    assert [sum(fill.quantity for fill in order.fills) for order in (first, second)] == [2, 1]


def test_a_trade_through_its_price_and_a_level_that_crosses_it_fill_it_at_its_price() -> None:
    desk = Desk()
    order = desk.buy(10, 99)
    desk.trade(98, 4, True)
    assert prices_of(order) == [(99, 4)]
    desk.update(bids=((99, 0),), asks=((97, 3), (98, 1)))
    assert prices_of(order) == [(99, 4), (99, 3), (99, 1)]
    shown = desk.shown()
    assert (shown[False, 97], shown[False, 98], shown[True, 99]) == (0, 0, 2), "taken from those who crossed"


def test_own_orders_never_trade_with_each_other() -> None:
    desk = Desk()
    resting, beyond = desk.sell(2, 100), desk.sell(2, 105)
    order = desk.buy(6, 102)
    assert (resting.status, resting.reason) == ("EXPIRED", "would trade with our own order")
    assert prices_of(order) == [(101, 5), (102, 1)]
    assert beyond.status == "NEW"


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(1, 10**9), st.integers(1, 10**9))
def test_fees_are_exact_and_rounded_up(maker: int, taker: int, price: int, quantity: int) -> None:
    fees = Fees(maker, taker)
    for rate, is_maker in ((maker, True), (taker, False)):
        fee = fees.of(price * quantity, is_maker)
        assert 0 <= fee * UNIT - price * quantity * rate < UNIT


def test_makers_and_takers_pay_their_own_rate() -> None:
    desk = Desk(Fees(maker=100_000, taker=200_000))
    assert [fill.fee for fill in desk.buy(5).fills] == [2]  # 505 × 0.002 = 1.01, rounded up
    order = desk.sell(1, 100)
    desk.trade(100, 1, False)
    assert [(fill.fee, fill.is_maker) for fill in order.fills] == [(1, True)]


@pytest.mark.parametrize(
    ("kind", "quantity", "price", "field"),
    [
        ("MARKET", 0, None, "quantity"),
        ("MARKET", -1, None, "quantity"),
        ("MARKET", 10**18, None, "quantity"),
        ("MARKET", 1, 5, "price"),
        ("LIMIT", 1, None, "price"),
        ("LIMIT", 1, 0, "price"),
        ("LIMIT", 1, 10**18, "price"),
    ],
)
def test_wrong_orders_are_refused_by_field(kind: Any, quantity: int, price: int | None, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Desk().matching.place("BUY", kind, quantity, price, 0)
    assert caught.value.details[0]["field"] == field


def test_orders_fills_and_memory_are_bounded() -> None:
    desk = Desk()
    for _ in range(MAX_RESTING):
        desk.buy(1, 50)
    with pytest.raises(Conflict):
        desk.buy(1, 50)
    for id in range(1, MAX_RESTING + 1):
        desk.matching.cancel(id)
    for _ in range(MAX_ORDERS):
        desk.buy(10**6)
    assert len(desk.matching.orders) == MAX_ORDERS
    with pytest.raises(NotFound):
        desk.matching.find(1)
    desk.matching.fills = MAX_FILLS - 1
    desk.update(asks=((101, 5), (102, 5)))
    order = desk.buy(8)
    assert (order.status, order.reason, prices_of(order)) == ("EXPIRED", f"{MAX_FILLS} fills", [(101, 5)])
    with pytest.raises(Conflict):
        desk.buy(1)


def test_a_market_that_has_not_begun_takes_no_orders() -> None:
    with pytest.raises(Conflict):
        on_generated().place("BUY", "MARKET", GENERATED[0][0].step_size)
