"""Every market scenario, alone and in pairs: the rebuilt book, the bookTickers, the trades and the history agree."""

import functools
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_simulator.market import UNIT, BookView, Event, SymbolMarket, Trade
from market_simulator.recorded.market import RecordedMarket
from market_simulator.repricing import flash_crash, gap, pump
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.stage.effects import BookEffect, Moment, Side, SideName, Spoofing, ThinBook
from market_simulator.stage.market import StagedMarket
from market_simulator.stage.washed_history import Washed
from market_simulator.stage.washing import WashTrading
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

from ..rebuilt import replay

TAPES = Path(__file__).parents[2] / "tape"
FIRST_MS = 1_786_200_000_000  # 2026-08-08T14:40:00Z
START_MS, END_MS, LAST_MS = FIRST_MS + 1_500, FIRST_MS + 11_500, FIRST_MS + 13_000


@functools.cache
def recorded() -> SymbolMarket:
    return RecordedMarket(RECORDED[0], load_tape(TAPES / "binance-spot-btcusdt_20240808.txt.gz"))


def generated() -> SymbolMarket:
    return GeneratedMarket(*GENERATED[0], seed=11)


def fresh_recorded() -> SymbolMarket:
    """A market of its own upon the tape, which takes 0.3 s to read."""
    return RecordedMarket(RECORDED[0], recorded()._tape)  # type: ignore[attr-defined]  # the tape is read once


Make = Callable[[], SymbolMarket]
both_kinds = pytest.mark.parametrize("make", [fresh_recorded, generated])


def thin(market: StagedMarket, start_ms: int = START_MS, end_ms: int = END_MS, seed: int = 1) -> ThinBook:
    info, price = market.info, market.best().bid[0]
    effect = ThinBook(start_ms, end_ms, 10.0, price // 500, info.step_size, info.tick_size, seed)
    market.affect(effect)
    return effect


def spoof(market: StagedMarket, start_ms: int = START_MS, end_ms: int = END_MS, seed: int = 2) -> Spoofing:
    ticks = 3 * market.info.tick_size
    effect = Spoofing(start_ms, end_ms, ("bid", "ask"), 5_000 * market.info.step_size, ticks, 1_500, seed)
    market.affect(effect)
    return effect


def wash(market: StagedMarket, start_ms: int = START_MS, end_ms: int = END_MS, seed: int = 3) -> WashTrading:
    washing = WashTrading(start_ms, end_ms, 0.7, 7 * market.info.step_size, seed)
    market.wash(washing)
    return washing


def ticks_of(market: StagedMarket, percent: int) -> int:
    return market.best().bid[0] * percent // 100 // market.info.tick_size


def plant(market: StagedMarket, name: str) -> None:
    """One scenario of each kind, each from START_MS to END_MS."""
    tick, length_ms = market.info.tick_size, END_MS - START_MS
    if name == "flash_crash":
        market.reprice(flash_crash(START_MS, length_ms, ticks_of(market, 8), tick, 1))
    elif name == "pump":
        market.reprice(pump(START_MS, length_ms, ticks_of(market, 8), tick, 1))
    elif name == "gap":
        market.reprice(gap(START_MS, length_ms, -ticks_of(market, 3), tick))
    else:
        {"thin_book": thin, "spoofing": spoof, "wash_trading": wash}[name](market)


NAMES = ("flash_crash", "pump", "gap", "thin_book", "spoofing", "wash_trading")


def run(market: StagedMarket, to_ms: int, from_ms: int, step_ms: int = 20) -> list[Event]:
    return [event for at_ms in range(from_ms + step_ms, to_ms + 1, step_ms) for event in market.advance(at_ms)]


def check_history(market: StagedMarket, events: Sequence[Event], now_ms: int) -> int:
    """Lists, bars and windows equal the streamed trades added up; how many trades that were."""
    streamed = [event for event in events if isinstance(event, Trade)]
    assert all(later.id == earlier.id + 1 for earlier, later in pairwise(streamed))
    assert market.trades(now_ms, limit=len(streamed), from_id=streamed[0].id) == streamed
    told = market.trades(now_ms, limit=10**6, start_ms=FIRST_MS, end_ms=now_ms)
    window = market.window(now_ms, now_ms - FIRST_MS)
    assert (window.volume, window.quote_volume, window.count, window.last_quantity) == (
        sum(trade.quantity for trade in told),
        sum(trade.quantity * trade.price for trade in told),
        len(told),
        told[-1].quantity,
    )
    for bar in market.klines(now_ms, "1s", limit=20):
        inside = [trade for trade in told if bar.open_ms <= trade.at_ms <= bar.close_ms]
        if bar.open_ms < FIRST_MS or not inside:
            continue
        bought = [trade for trade in inside if not trade.buyer_is_maker]
        assert (bar.open, bar.close, bar.trades) == (inside[0].price, inside[-1].price, len(inside))
        assert (bar.volume, bar.quote_volume) == (
            sum(trade.quantity for trade in inside),
            sum(trade.quantity * trade.price for trade in inside),
        )
        assert (bar.taker_buy_base, bar.taker_buy_quote) == (
            sum(trade.quantity for trade in bought),
            sum(trade.quantity * trade.price for trade in bought),
        )
    return len(told)


@both_kinds
@pytest.mark.parametrize("names", [*((name,) for name in NAMES), *combinations(NAMES, 2)], ids="+".join)
def test_book_and_history_hold_through_every_scenario_and_every_pair(make: Make, names: tuple[str, ...]) -> None:
    market, calm = StagedMarket(make()), make()
    market.advance(FIRST_MS)
    calm.advance(FIRST_MS)
    before = market.book()
    events = run(market, FIRST_MS + 1_000, FIRST_MS)
    for name in names:
        plant(market, name)
    events += run(market, LAST_MS, FIRST_MS + 1_000)
    book, compared = replay(before, events)
    recounted = check_history(market, events, LAST_MS)
    shown = market.book()
    assert (book.bids.descending(), book.asks.ascending()) == (list(shown.bids), list(shown.asks))
    plain = [event for at_ms in range(FIRST_MS + 20, LAST_MS + 1, 20) for event in calm.advance(at_ms)]
    changed = sum(left != right for left, right in zip(events, plain, strict=False))
    assert changed > 2, "the scenario did nothing"
    assert (market.book(), market.best()) == (calm.book(), calm.best()), "something of the scenario is left"
    print(f"{'+'.join(names)}: {compared} bookTickers compared, {recounted} trades recounted, {changed} events changed")
    assert compared > 5
    assert recounted > 15


@both_kinds
def test_the_steps_in_which_a_market_is_asked_change_nothing_of_what_it_shows(make: Make) -> None:
    shown = []
    for step_ms in (20, 370, 1_000):
        market = StagedMarket(make())
        market.advance(FIRST_MS)
        for name in NAMES:
            plant(market, name)
        shown.append(run(market, LAST_MS, FIRST_MS, step_ms))
    length = min(map(len, shown))
    assert length > 80
    assert shown[0][:length] == shown[1][:length] == shown[2][:length]


@both_kinds
def test_a_thin_book_has_less_at_every_level_nothing_far_and_the_same_best_prices(make: Make) -> None:
    market, calm = StagedMarket(make()), make()
    calm.advance(FIRST_MS + 8_000)
    market.advance(FIRST_MS)
    effect = thin(market)
    run(market, FIRST_MS + 8_000, FIRST_MS)
    book, whole = market.book(), calm.book()
    assert len(book.bids) > 3
    for shown, there in ((book.bids, whole.bids), (book.asks, whole.asks)):
        quantities = dict(there)
        assert shown[0][0] == there[0][0]
        assert all(0 < quantity <= quantities[price] for price, quantity in shown)
        assert all(abs(price - shown[0][0]) <= effect.reach for price, _ in shown)
        kept = sum(quantity for _, quantity in shown) / sum(quantities[price] for price, _ in shown)
        assert kept < 0.2
    assert (market.best().bid, market.best().ask) == (book.bids[0], book.asks[0])
    assert effect.first is not None
    assert effect.quantity_left < effect.quantity_before


@both_kinds
def test_the_truth_of_spoofing_is_what_the_depth_updates_show(make: Make) -> None:
    market, calm = StagedMarket(make()), make()
    market.advance(FIRST_MS)
    calm.advance(FIRST_MS)
    effect = spoof(market)
    books: dict[int, tuple[Side, Side]] = {}  # the levels that differ
    own: dict[tuple[int, str, int], int] = {}  # what the market itself has where an order was
    for at_ms in range(FIRST_MS + 10, LAST_MS, 10):
        market.advance(at_ms)
        calm.advance(at_ms)
        shown, there = market.book(), calm.book()
        books[shown.last_update_id] = (
            dict(set(shown.bids) - set(there.bids)),
            dict(set(shown.asks) - set(there.asks)),
        )
        sides: tuple[tuple[SideName, Sequence[tuple[int, int]]], ...] = ("bid", there.bids), ("ask", there.asks)
        for side, levels in sides:
            prices = {order.price for order in effect.orders if order.side == side}
            own |= {(there.last_update_id, side, price): quantity for price, quantity in levels if price in prices}
    added = {
        (update_id, side, price): quantity - own.get((update_id, side, price), 0)
        for update_id, sides in books.items()
        for side, differing in zip(("bid", "ask"), sides, strict=True)
        for price, quantity in differing.items()
    }
    told = {}
    for order in effect.orders:
        assert order.withdrawn is not None
        for update_id in books:
            if order.placed.update_id <= update_id < order.withdrawn.update_id:
                told[update_id, order.side, order.price] = order.quantity
    print(f"{len(effect.orders)} orders, seen at {len(added)} updates")
    assert effect.placed == len(effect.orders) >= 4
    assert added == told
    assert {order.reason for order in effect.orders} <= {"time", "touch", "end"}


@both_kinds
def test_an_effect_ended_early_leaves_the_calm_market(make: Make) -> None:
    market, calm = StagedMarket(make()), make()
    market.advance(FIRST_MS)
    before = market.book()
    effects: tuple[BookEffect, ...] = thin(market, seed=4), spoof(market), spoof(market, seed=9)
    events = run(market, FIRST_MS + 5_000, FIRST_MS)
    assert market.book() != _placed(calm, FIRST_MS + 5_000)
    for effect in effects:
        market.calm(effect)
    events += run(market, FIRST_MS + 6_000, FIRST_MS + 5_000)
    assert market.book() == _placed(calm, FIRST_MS + 6_000)
    assert replay(before, events)[1] > 2
    assert all(order.reason for effect in effects[1:] for order in effect.orders)  # type: ignore[attr-defined]
    assert market._book is None, "nothing is planted: the market's events pass as they are"


def _placed(market: SymbolMarket, at_ms: int) -> BookView:
    market.advance(at_ms)
    return market.book()


@both_kinds
def test_a_jump_shows_what_is_in_force_where_it_lands(make: Make) -> None:
    market = StagedMarket(make())
    market.advance(FIRST_MS)
    plain = make()
    thin(market, FIRST_MS, FIRST_MS + 200_000)
    assert market.advance(FIRST_MS + 100_000) == []
    shown, there = market.book(), _placed(plain, FIRST_MS + 100_000)
    assert sum(quantity for _, quantity in shown.bids) < sum(quantity for _, quantity in there.bids) / 2
    events = run(market, FIRST_MS + 104_000, FIRST_MS + 100_000)
    assert replay(shown, events)[1] > 2
    assert market.advance(FIRST_MS + 300_000) == []
    assert market.book() == _placed(plain, FIRST_MS + 300_000)


@both_kinds
def test_washed_trades_come_in_pairs_of_one_size_and_both_sides_and_are_told_by_id(make: Make) -> None:
    market, calm = StagedMarket(make()), make()
    market.advance(FIRST_MS)
    washing = wash(market)
    run(market, LAST_MS, FIRST_MS)
    shown = market.trades(LAST_MS, limit=10**5, start_ms=FIRST_MS)
    there = calm.trades(LAST_MS, limit=10**5, start_ms=FIRST_MS)
    assert [(one.id, one.price, one.at_ms) for one in shown] == [(one.id, one.price, one.at_ms) for one in there]
    changed = {one.id: one for one, other in zip(shown, there, strict=True) if one != other}
    assert set(changed) <= set(washing.ids)
    assert washing.washed == len(washing.ids) > 6
    washed = {one.id: one for one in shown if one.id in washing.ids}
    pairs = [(washed[id], washed[id + 1]) for id in washed if id % 2 == 0 and id + 1 in washed]
    assert len(pairs) >= 3
    for one, other in pairs:
        assert one.quantity == other.quantity
        assert one.buyer_is_maker != other.buyer_is_maker


@both_kinds
def test_washing_changes_nothing_shown_already_and_stops_when_it_is_ended(make: Make) -> None:
    market = StagedMarket(make())
    market.advance(FIRST_MS)
    earlier = market.trades(FIRST_MS, limit=50)
    washing = wash(market, FIRST_MS - 10**6, END_MS)
    assert market.trades(FIRST_MS, limit=50) == earlier
    events = run(market, FIRST_MS + 6_000, FIRST_MS)
    market.end_wash(washing)
    count = washing.washed
    events += run(market, LAST_MS, FIRST_MS + 6_000)
    assert count > 3
    assert check_history(market, events, LAST_MS) > 15
    assert washing.washed == count
    assert all(id <= market.trades(FIRST_MS + 6_000, limit=1)[0].id for id in washing.ids)


def test_too_many_effects_are_refused() -> None:
    market = StagedMarket(generated())
    market.advance(FIRST_MS)
    for _ in range(100):
        spoof(market)
    with pytest.raises(ValueError, match="no more than 100"):
        spoof(market)
    for _ in range(100):
        wash(market)
    with pytest.raises(ValueError, match="no more than 100"):
        wash(market)


@given(st.integers(0, 2**32), st.floats(0.1, 100.0), st.integers(1, 10**12))
def test_a_thinned_level_keeps_whole_steps_and_never_grows(seed: int, keep_pct: float, steps: int) -> None:
    effect = ThinBook(0, 1, keep_pct, 10**12, 1_000, 100, seed)
    price, quantity = effect.top((5_000, steps * 1_000))
    assert price == 5_000
    assert quantity % 1_000 == 0
    assert 0 < quantity <= steps * 1_000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(100, 140), st.integers(1, 5)), min_size=1, max_size=60),
    st.integers(0, 2**20),
    st.integers(1, 4),
)
def test_a_spoofed_order_is_never_the_best_price_whatever_the_book_does(
    tops: list[tuple[int, int]], seed: int, distance: int
) -> None:
    effect = Spoofing(0, len(tops) * 100, ("bid", "ask"), 77 * UNIT, distance, 350, seed)
    for number, (bid, spread) in enumerate(tops):
        bids, asks = {bid: 1, bid - 9: 1}, {bid + spread: 1, bid + spread + 9: 1}
        shown = effect.show(Moment(number, number * 100), bids, asks)
        assert (max(shown[0]), min(shown[1])) == (bid, bid + spread)
        assert (shown[0][bid], shown[1][bid + spread]) == (1, 1)
        assert sum(map(sum, (side.values() for side in shown))) in (4, 4 + 77 * UNIT)
    effect.over(Moment(len(tops), len(tops) * 100))
    assert all(order.withdrawn for order in effect.orders)


def test_the_memory_of_washed_trades_is_bounded() -> None:
    washed = Washed(limit=100)
    for id in range(1_000):
        trade = Trade(id, 5, 10, id, id, False)
        washed.add(trade, Trade(id, 5, 30, id, id, True))
    assert 90 <= len(washed) <= 100
    assert washed.change(990, 999) == (200, 1_000, -100, -500)
    assert washed.change(0, 800) == (0, 0, 0, 0), "forgotten: the tape's own"
