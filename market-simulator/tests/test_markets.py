"""The proofs of every market, recorded or generated: books, ids, klines and windows agree with the events.

The `check` functions return how many things they compared; each test insists that there were enough of them.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market_simulator.futures_symbols import GENERATED_FUTURES, RECORDED_FUTURES
from market_simulator.klines.intervals import INTERVALS, later_open, open_time
from market_simulator.live import EPOCH_MS
from market_simulator.market import BookTicker, BookView, DepthUpdate, Event, Kline, SymbolMarket, Trade
from market_simulator.order_book import OrderBook
from market_simulator.recorded.futures import RecordedFutures
from market_simulator.recorded.market import RecordedMarket
from market_simulator.recorded.tape import Tape
from market_simulator.replay.bars import make_bars
from market_simulator.replay.market import ReplayMarket
from market_simulator.repricing import Cancelled, flash_crash
from market_simulator.seeded.futures import GeneratedFutures
from market_simulator.seeded.market import GeneratedMarket
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape

TAPES = Path(__file__).parent.parent / "tape"
FIRST_MS = 1_786_200_000_000  # 2026-08-08T14:40:00Z


def advance(market: SymbolMarket, from_ms: int, to_ms: int, step_ms: int = 20) -> tuple[BookView, list[Event]]:
    """The book at `from_ms` and everything that happened until `to_ms`, taken in small steps as a server does."""
    assert market.advance(from_ms) == []
    before = market.book()
    events: list[Event] = []
    for at_ms in range(from_ms + step_ms, to_ms + step_ms, step_ms):
        events += market.advance(min(at_ms, to_ms))
    return before, events


def replay(before: BookView, events: Sequence[Event]) -> tuple[OrderBook, int]:
    """Rebuild the book as a client does: no id is missing, each bookTicker with a depth update's id equals the top."""
    book, update_id, compared = OrderBook(before.bids, before.asks), before.last_update_id, 0
    tops = {update_id: book.best()}
    tickers = [event for event in events if isinstance(event, BookTicker)]
    for event in events:
        if isinstance(event, DepthUpdate):
            assert event.previous_id == update_id, f"update {event.first_id} follows {update_id}"
            assert event.previous_id < event.first_id <= event.last_id
            book.apply(event.bids, event.asks)
            update_id = event.last_id
            bid, ask = tops[update_id] = book.best()
            assert bid is not None
            assert ask is not None
            assert bid[0] < ask[0], f"crossed at {update_id}: {bid} {ask}"
    for ticker in tickers:
        if ticker.update_id in tops:
            assert (ticker.bid, ticker.ask) == tops[ticker.update_id], f"bookTicker {ticker.update_id}"
            compared += 1
    return book, compared


def check_ids(events: Sequence[Event]) -> int:
    """Trade ids without a hole, bookTicker ids rising, times not falling."""
    trades = [event for event in events if isinstance(event, Trade)]
    for previous, trade in pairwise(trades):
        assert trade.id == previous.id + 1
        assert trade.at_ms >= previous.at_ms
    tickers = [event.update_id for event in events if isinstance(event, BookTicker)]
    assert tickers == sorted(set(tickers))
    return len(trades)


def recount(trades: Sequence[Trade], opened: int, following: int, previous_close: int) -> Kline:
    """One bar from its trades, by adding them up."""
    inside = [trade for trade in trades if opened <= trade.at_ms < following]
    if not inside:
        price = previous_close
        return Kline(opened, following - 1, price, price, price, price, 0, 0, 0, 0, 0, -1, -1)
    prices = [trade.price for trade in inside]
    bought = [trade for trade in inside if not trade.buyer_is_maker]
    return Kline(
        opened, following - 1, prices[0], max(prices), min(prices), prices[-1],
        sum(trade.quantity for trade in inside), sum(trade.price * trade.quantity for trade in inside), len(inside),
        sum(trade.quantity for trade in bought), sum(trade.price * trade.quantity for trade in bought),
        inside[0].id, inside[-1].id,
    )  # fmt: skip


def all_trades(market: SymbolMarket, now_ms: int, start_ms: int, end_ms: int) -> list[Trade]:
    """The trades in [start_ms, end_ms]."""
    return market.trades(now_ms, limit=10_000_000, start_ms=start_ms, end_ms=end_ms)


def check_klines(market: SymbolMarket, now_ms: int, interval: str, bars: int, offset_ms: int = 0) -> int:
    """The newest bars equal what recounting the trades gives."""
    klines = market.klines(now_ms, interval, limit=bars, offset_ms=offset_ms)
    trades = all_trades(market, now_ms, klines[0].open_ms, now_ms)
    before = market.trades(now_ms, limit=1, end_ms=klines[0].open_ms - 1)
    close = before[0].price if before else klines[0].open
    for kline in klines:
        following = later_open(kline.open_ms, interval, 1, offset_ms)
        assert kline == recount(trades, kline.open_ms, following, close)
        close = kline.close
    return len(trades)


def check_window(market: SymbolMarket, now_ms: int, length_ms: int) -> int:
    """The rolling window equals what recounting its trades gives."""
    window = market.window(now_ms, length_ms)
    trades = all_trades(market, now_ms, now_ms - length_ms, now_ms)
    bar = recount(trades, now_ms - length_ms, now_ms + 1, window.previous_close)
    assert (window.open_ms, window.close_ms) == (now_ms - length_ms, now_ms)
    assert (window.open, window.high, window.low, window.last) == (bar.open, bar.high, bar.low, bar.close)
    assert (window.volume, window.quote_volume, window.count) == (bar.volume, bar.quote_volume, bar.trades)
    assert (window.first_id, window.last_id) == (bar.first_id, bar.last_id)
    before = market.trades(now_ms, limit=1, end_ms=window.open_ms - 1)
    assert [window.previous_close] == [trade.price for trade in before]
    assert window.last_quantity == (trades[-1].quantity if trades else 0)
    return len(trades)


@functools.cache
def tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-spot-{symbol.lower()}_20240808.txt.gz")


def recorded(symbol: str) -> SymbolMarket:
    return RecordedMarket(next(info for info in RECORDED if info.symbol == symbol), tape_of(symbol))


def generated(symbol: str) -> SymbolMarket:
    info, profile = next(one for one in GENERATED if one[0].symbol == symbol)
    return GeneratedMarket(info, profile, seed=11)


@functools.cache
def futures_tape_of(symbol: str) -> Tape:
    return load_tape(TAPES / f"binance-usdm-{symbol.lower()}_20240808.txt.gz", beside=tape_of(symbol))


def recorded_futures(symbol: str) -> SymbolMarket:
    contract = next(one for one in RECORDED_FUTURES if one.symbol == symbol)
    return RecordedFutures(contract, futures_tape_of(symbol), 11, recorded(symbol))


def generated_futures(symbol: str) -> SymbolMarket:
    contract, info, profile = next(one for one in GENERATED_FUTURES if one[0].symbol == symbol)
    return GeneratedFutures(contract, info, profile, 11, generated(symbol))


def replayed() -> SymbolMarket:
    """Two days of recorded minutes around FIRST_MS, some of them without volume."""
    random, close, rows = Random(5), 500.0, list[list[float]]()
    for _ in range(2 * 1440):
        prices = [close, *(round(close * random.uniform(0.999, 1.001), 2) for _ in range(3))]
        volume = random.choice([0.0, *(round(random.uniform(0.001, 90.0), 3) for _ in range(9))])
        close = prices[-1] if volume else close
        rows.append([prices[0], max(prices), min(prices), close, volume] if volume else [close] * 4 + [0.0])
    start_ms = FIRST_MS // 60_000 * 60_000 - 1440 * 60_000
    return ReplayMarket(
        make_bars("XYZ", "USDT", [start_ms + i * 60_000 for i in range(len(rows))], np.array(rows)), seed=11
    )


Make = Callable[[], SymbolMarket]
MARKETS = [
    pytest.param(functools.partial(recorded, "BTCUSDT"), id="BTCUSDT"),
    pytest.param(functools.partial(recorded, "ETHUSDT"), id="ETHUSDT"),
    pytest.param(functools.partial(generated, "BNBUSDT"), id="BNBUSDT"),
    pytest.param(functools.partial(generated, "PEPEUSDT"), id="PEPEUSDT"),
    pytest.param(replayed, id="replayed"),
    pytest.param(functools.partial(recorded_futures, "BTCUSDT"), id="BTCUSDT-futures"),
    pytest.param(functools.partial(recorded_futures, "ETHUSDT"), id="ETHUSDT-futures"),
    pytest.param(functools.partial(generated_futures, "BNBUSDT"), id="BNBUSDT-futures"),
]
every_market = pytest.mark.parametrize("make", MARKETS)
one_of_each_kind = pytest.mark.parametrize("make", [MARKETS[0], MARKETS[2]])
hypothesis_settings = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def crash(market: SymbolMarket, start_ms: int, duration_ms: int, percent: int = 20, seed: int = 3) -> None:
    """Plant a flash crash of this depth."""
    price = market.trades(start_ms, limit=1)[0].price
    depth = price * percent // 100 // market.info.tick_size
    market.reprice(flash_crash(start_ms, duration_ms, depth, market.info.tick_size, seed))


@every_market
def test_the_book_rebuilt_from_the_stream_equals_every_bookticker(make: Make) -> None:
    market = make()
    before, events = advance(market, FIRST_MS, FIRST_MS + 90_000)
    book, compared = replay(before, events)
    trades = check_ids(events)
    assert (compared > 50, trades > 20) == (True, True), f"compared {compared} bookTickers and {trades} trades"
    shown = market.book()
    assert (book.bids.descending(), book.asks.ascending()) == (list(shown.bids), list(shown.asks))
    assert (market.best().bid, market.best().ask) == book.best()


@every_market
def test_the_book_holds_through_a_flash_crash_and_afterwards(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    crash(market, FIRST_MS + 5_000, 30_000)
    before, events = advance(market, FIRST_MS, FIRST_MS + 60_000)
    book, compared = replay(before, events)
    prices = [event.price for event in events if isinstance(event, Trade)]
    assert compared > 50, f"compared {compared} bookTickers"
    assert min(prices) < prices[0] * 0.85, "it never fell"
    assert prices[-1] > prices[0] * 0.97, "it never recovered"
    calm = make()
    calm.advance(FIRST_MS + 60_000)
    assert (market.book(), market.best()) == (calm.book(), calm.best()), "something of the crash is left"
    assert book.bids.descending() == list(calm.book().bids)


@every_market
def test_a_cancelled_crash_leaves_the_calm_market_and_keeps_its_past(make: Make) -> None:
    market, calm = make(), make()
    market.advance(FIRST_MS)
    price = market.trades(FIRST_MS, limit=1)[0].price
    path = flash_crash(FIRST_MS + 1_000, 60_000, price // 10 // market.info.tick_size, market.info.tick_size, 1)
    market.reprice(path)
    before, events = advance(market, FIRST_MS, FIRST_MS + 20_000)
    shown = [event for event in events if isinstance(event, Trade)]
    market.reprice(Cancelled(path, FIRST_MS + 20_001))
    for at_ms in range(FIRST_MS + 20_050, FIRST_MS + 30_000, 50):
        events += market.advance(at_ms)
    _, compared = replay(before, events)
    assert compared > 30, f"compared {compared} bookTickers"
    calm.advance(FIRST_MS + 29_950)
    assert market.book() == calm.book()
    history = {trade.id: trade for trade in all_trades(market, FIRST_MS + 30_000, FIRST_MS, FIRST_MS + 30_000)}
    assert len(shown) > 5
    assert [history[trade.id] for trade in shown] == shown


@every_market
def test_what_was_streamed_is_what_the_history_tells_even_in_a_crash(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    crash(market, FIRST_MS + 2_000, 20_000)
    crash(market, FIRST_MS + 12_000, 20_000, percent=10, seed=4)
    _, events = advance(market, FIRST_MS, FIRST_MS + 40_000)
    streamed = [event for event in events if isinstance(event, Trade)]
    now_ms = FIRST_MS + 40_000
    told = market.trades(now_ms, limit=len(streamed), from_id=streamed[0].id)
    assert len(streamed) > 10
    assert told == streamed


@every_market
def test_a_price_never_falls_to_nothing_however_deep_the_crash(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    crash(market, FIRST_MS + 1_000, 10_000, percent=300)
    before, events = advance(market, FIRST_MS, FIRST_MS + 12_000)
    _, compared = replay(before, events)
    assert compared > 10, f"compared {compared} bookTickers"
    for event in events:
        if isinstance(event, DepthUpdate):
            assert all(price > 0 for price, _ in (*event.bids, *event.asks))
        elif isinstance(event, BookTicker):
            assert event.bid[0] > 0
        else:
            assert event.price > 0


@every_market
def test_a_crash_planted_between_two_depth_updates_changes_nothing_shown_already(make: Make) -> None:
    """Planted at each phase of the 100 ms cadence, right after `advance`, as /sim/scenario does."""
    compared = 0
    for phase in range(7, 107, 10):
        market = make()
        before, events = advance(market, FIRST_MS, FIRST_MS + 1_000 + phase, step_ms=10)
        crash(market, FIRST_MS + 1_000 + phase, 2_000)
        for at_ms in range(FIRST_MS + 1_000 + phase, FIRST_MS + 5_000, 10):
            events += market.advance(at_ms)
        compared += replay(before, events)[1]
        streamed = {event.id: event for event in events if isinstance(event, Trade)}
        told = all_trades(market, FIRST_MS + 4_000, FIRST_MS, FIRST_MS + 4_000)
        assert all(streamed.get(trade.id, trade) == trade for trade in told)
    assert compared >= 20, f"compared {compared} bookTickers"


@every_market
def test_a_crash_planted_right_after_a_trade_leaves_that_trade_as_it_was(make: Make) -> None:
    quiet = all_trades(make(), FIRST_MS + 40_000, FIRST_MS, FIRST_MS + 40_000)[:25]
    assert len(quiet) > 10
    for shown in quiet:
        market = make()
        market.advance(shown.at_ms)
        crash(market, shown.at_ms, 2_000)
        assert market.trades(shown.at_ms, limit=1, from_id=shown.id) == [shown]


@every_market
def test_a_trade_belongs_to_the_windows_and_bars_that_end_with_its_millisecond(make: Make) -> None:
    market = make()
    last = market.trades(FIRST_MS, limit=1)[0]
    assert market.window(last.at_ms, 60_000).last_id == last.id == market.kline_at(last.at_ms, "1h").last_id
    assert market.window(last.at_ms + 60_000, 60_000).first_id <= last.id
    assert market.klines(last.at_ms, "1h", limit=1)[0].last_id == last.id
    assert market.window(last.at_ms - 1, 60_000).last_id < last.id


@every_market
def test_a_second_instance_continues_where_the_first_would_be(make: Make) -> None:
    first, second = make(), make()
    _, events = advance(first, FIRST_MS, FIRST_MS + 30_000)
    _, again = advance(second, FIRST_MS + 17_000, FIRST_MS + 30_000, step_ms=370)
    assert len(again) > 100
    assert events[-len(again) :] == again
    assert (first.book(), first.best()) == (second.book(), second.best())


@every_market
def test_steps_back_or_far_ahead_place_the_book_without_events(make: Make) -> None:
    market, fresh = make(), make()
    market.advance(FIRST_MS)
    assert market.advance(FIRST_MS + 60_001) == []
    assert market.advance(FIRST_MS + 20_000) == []
    fresh.advance(FIRST_MS + 20_000)
    assert market.book() == fresh.book()
    assert len(market.advance(FIRST_MS + 80_000)) > 100


@every_market
@pytest.mark.parametrize("interval", ["1s", "1m", "3m", "5m", "15m"])
def test_klines_equal_what_recounting_the_trades_gives(make: Make, interval: str) -> None:
    compared = check_klines(make(), FIRST_MS + 12_345, interval, 7)
    assert compared >= (0 if interval == "1s" else 100), f"recounted {compared} trades"


@every_market
def test_klines_and_windows_equal_their_trades_in_and_around_a_crash(make: Make) -> None:
    market = make()
    market.advance(FIRST_MS)
    for start in (FIRST_MS + 3_000, FIRST_MS + 20_000, FIRST_MS + 100_000):
        crash(market, start, 30_000)
    now_ms = FIRST_MS + 131_000
    compared = check_klines(market, now_ms, "1s", 140) + check_klines(market, now_ms, "1m", 6)
    for length_ms in (20_000, 31_000, 64_321, 128_000, 140_000, 3_600_000):
        compared += check_window(market, now_ms, length_ms)
    assert compared > 1_000, f"recounted {compared} trades"


@one_of_each_kind
@hypothesis_settings
@given(now_ms=st.integers(FIRST_MS - 10**10, FIRST_MS + 10**10), length_ms=st.integers(1, 400_000))
def test_any_window_equals_its_trades(make: Make, now_ms: int, length_ms: int) -> None:
    check_window(kept(make), now_ms, length_ms)


@one_of_each_kind
@hypothesis_settings
@given(
    now_ms=st.integers(FIRST_MS - 10**10, FIRST_MS + 10**10),
    interval=st.sampled_from(["1s", "1m", "3m"]),
    offset=st.integers(-48, 56),
)
def test_any_klines_equal_their_trades(make: Make, now_ms: int, interval: str, offset: int) -> None:
    check_klines(kept(make), now_ms, interval, 3, offset * 900_000)


@functools.cache
def kept(make: Make) -> SymbolMarket:
    """One market for many examples: history calls change nothing."""
    return make()


@one_of_each_kind
@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"])
def test_longer_bars_are_the_sum_of_minutes(make: Make, interval: str) -> None:
    market, now_ms = kept(make), FIRST_MS + 12_345
    wanted = market.klines(now_ms, interval, limit=2)[0]
    minutes = market.klines(now_ms, "1m", limit=50_000, start_ms=wanted.open_ms, end_ms=wanted.close_ms)
    assert minutes[0].open_ms == wanted.open_ms
    assert minutes[-1].close_ms == wanted.close_ms
    traded = [bar for bar in minutes if bar.trades]
    assert len(traded) >= 5
    assert wanted == Kline(
        wanted.open_ms, wanted.close_ms, traded[0].open, max(bar.high for bar in traded),
        min(bar.low for bar in traded), traded[-1].close, sum(bar.volume for bar in traded),
        sum(bar.quote_volume for bar in traded), sum(bar.trades for bar in traded),
        sum(bar.taker_buy_base for bar in traded), sum(bar.taker_buy_quote for bar in traded),
        traded[0].first_id, traded[-1].last_id,
    )  # fmt: skip


@one_of_each_kind
def test_the_whole_history_of_months_adds_up_to_that_of_days(make: Make) -> None:
    market, now_ms = kept(make), FIRST_MS
    months = market.klines(now_ms, "1M", limit=1_000)
    days = market.klines(now_ms, "1d", limit=10_000)
    assert months[0].open_ms == days[0].open_ms == EPOCH_MS
    assert len(months) > 70
    assert sum(bar.volume for bar in months) == sum(bar.volume for bar in days)
    assert sum(bar.quote_volume for bar in months) == sum(bar.quote_volume for bar in days)
    assert sum(bar.trades for bar in months) == sum(bar.trades for bar in days)
    assert max(bar.high for bar in months) == max(bar.high for bar in days)


@one_of_each_kind
@pytest.mark.parametrize("interval", INTERVALS)
def test_the_last_bar_is_still_forming_and_equals_kline_at(make: Make, interval: str) -> None:
    market, now_ms = kept(make), FIRST_MS + 34_567
    forming = market.kline_at(now_ms, interval)
    assert market.klines(now_ms, interval, limit=1) == [forming]
    assert forming.open_ms == open_time(now_ms, interval) <= now_ms <= forming.close_ms
    if forming.trades:
        assert forming.close == market.trades(now_ms, limit=1)[0].price


@one_of_each_kind
def test_bars_do_not_change_after_their_end(make: Make) -> None:
    market, end_ms = kept(make), open_time(FIRST_MS, "1m")
    closed = market.klines(end_ms, "1m", limit=1, end_ms=end_ms - 1)
    assert closed == market.klines(end_ms + 10**7, "1m", limit=1, end_ms=end_ms - 1)
    assert closed[0].trades > 0


@one_of_each_kind
def test_klines_follow_the_range_rule(make: Make) -> None:
    market, now_ms, hour = kept(make), FIRST_MS, 3_600_000
    at = open_time(now_ms, "1h") - 100 * hour

    def opens(limit: int, start_ms: int | None = None, end_ms: int | None = None) -> list[int]:
        klines = market.klines(now_ms, "1h", limit=limit, start_ms=start_ms, end_ms=end_ms)
        return [(kline.open_ms - at) // hour for kline in klines]

    assert opens(3) == [98, 99, 100]
    assert opens(3, start_ms=at) == [0, 1, 2]
    assert opens(3, start_ms=at + 1) == [1, 2, 3]
    assert opens(3, end_ms=at) == [-2, -1, 0]
    assert opens(9, start_ms=at, end_ms=at + 2 * hour) == [0, 1, 2]
    assert opens(2, start_ms=at, end_ms=at + 9 * hour) == [0, 1]
    assert opens(9, start_ms=at + 1, end_ms=at) == []
    assert opens(9, start_ms=now_ms + hour) == []
    assert opens(2, end_ms=now_ms + 10 * hour) == [99, 100]


@one_of_each_kind
def test_trades_follow_the_range_rule(make: Make) -> None:
    market, now_ms = kept(make), FIRST_MS
    newest = market.trades(now_ms, limit=50)
    assert [trade.id for trade in newest] == list(range(newest[0].id, newest[0].id + 50))
    assert newest[-1].at_ms <= now_ms
    assert market.trades(now_ms, limit=3, from_id=newest[10].id) == newest[10:13]
    assert market.trades(now_ms, limit=9, from_id=newest[-2].id) == newest[-2:]
    assert market.trades(now_ms, limit=9, from_id=newest[-1].id + 1) == []
    at_ms = newest[20].at_ms
    inside = [trade for trade in newest if trade.at_ms >= at_ms]
    assert market.trades(now_ms, limit=100, start_ms=at_ms) == inside
    assert market.trades(now_ms, limit=2, start_ms=at_ms) == inside[:2]
    assert market.trades(now_ms, limit=2, end_ms=at_ms)[-1].at_ms <= at_ms
    assert market.trades(now_ms, limit=4, from_id=-5) == market.trades(now_ms, limit=4, from_id=0)


@one_of_each_kind
def test_there_is_nothing_before_2020(make: Make) -> None:
    market = kept(make)
    first = market.klines(FIRST_MS, "1d", limit=2, start_ms=0)
    assert [bar.open_ms for bar in first] == [EPOCH_MS, EPOCH_MS + 86_400_000]
    assert market.klines(FIRST_MS, "1d", limit=5, end_ms=EPOCH_MS - 1) == []
    assert market.trades(FIRST_MS, limit=5, end_ms=EPOCH_MS - 1) == []
    oldest = market.trades(FIRST_MS, limit=1, from_id=0)
    assert oldest[0].at_ms >= EPOCH_MS
    assert market.window(EPOCH_MS + 60_000, 86_400_000).previous_close == oldest[0].price
    with pytest.raises(ValueError, match="2020"):
        make().advance(EPOCH_MS - 1)


@one_of_each_kind
def test_an_unknown_interval_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="unknown interval"):
        kept(make).klines(FIRST_MS, "1H", limit=5)
