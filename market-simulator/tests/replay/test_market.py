"""Replays: recorded minutes come back exactly, trades agree with them, defects of the recording are named."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_simulator.klines.kline_json import kline_json
from market_simulator.market import BookTicker, DepthUpdate, Event, Kline, Trade
from market_simulator.order_book import OrderBook
from market_simulator.replay.bars import ReplayBars, make_bars
from market_simulator.replay.market import ReplayMarket

START_MS = 1_621_425_600_000  # 2021-05-19T12:00:00Z
MINUTE_MS = 60_000
Row = tuple[float, float, float, float, float]


def bars_of(rows: dict[int, Row]) -> ReplayBars:
    """Rows by minute from START_MS on."""
    return make_bars("BTC", "USDT", [START_MS + minute * MINUTE_MS for minute in rows], np.array(list(rows.values())))


ROWS: dict[int, Row] = {
    0: (40_000.0, 40_010.5, 39_990.25, 40_001.0, 12.345678),
    1: (40_001.0, 40_001.0, 40_001.0, 40_001.0, 0.0),
    2: (39_900.0, 39_900.0, 39_000.0, 39_100.0, 250.5),
    3: (39_100.0, 39_100.0, 39_100.0, 39_100.0, 0.000001),
    # minutes 4 to 9 are missing
    10: (38_000.0, 38_500.0, 37_000.0, 38_400.0, 900.0),
    11: (38_400.01, 38_400.01, 38_400.01, 38_400.01, 1.0),
    12: (38_400.0, 38_900.0, 38_300.0, 38_888.88, 77.7),
}
END_MS = START_MS + 13 * MINUTE_MS


def market_of(rows: dict[int, Row] | None = None) -> ReplayMarket:
    return ReplayMarket(bars_of(rows or ROWS), seed=3)


def recounted(market: ReplayMarket, opened: int, length_ms: int = MINUTE_MS) -> tuple[int, ...]:
    """Open, high, low, close and volume of a bar's trades, in units of 1e-8."""
    trades = market.trades(END_MS + 10**9, limit=100_000, start_ms=opened, end_ms=opened + length_ms - 1)
    prices = [trade.price for trade in trades]
    return prices[0], max(prices), min(prices), prices[-1], sum(trade.quantity for trade in trades)


def units(row: Row) -> tuple[int, ...]:
    return tuple(round(Decimal(repr(figure)) * 10**8) for figure in row)


def figures(bar: Kline) -> tuple[int, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def test_klines_are_the_recorded_bars_and_nothing_else() -> None:
    bars = market_of().klines(END_MS, "1m", limit=1000)
    assert [(bar.open_ms - START_MS) // MINUTE_MS for bar in bars] == list(ROWS)
    assert [figures(bar) for bar in bars] == [units(row) for row in ROWS.values()]
    assert json.loads(kline_json(market_of().klines_table(END_MS, "1m", limit=1)))[0][4] == "38888.88000000"


def test_the_trades_of_each_minute_give_its_bar() -> None:
    market = market_of()
    traded = {minute: row for minute, row in ROWS.items() if row[4]}
    for minute, row in traded.items():
        assert recounted(market, START_MS + minute * MINUTE_MS) == units(row)
    trades = market.trades(END_MS, limit=100_000, from_id=0)
    assert [trade.id for trade in trades] == list(range(1, len(trades) + 1))
    minutes = {(trade.at_ms - START_MS) // MINUTE_MS for trade in trades}
    assert minutes == set(traded)
    assert {trade.buyer_is_maker for trade in trades} == {True, False}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 40),
        st.tuples(st.lists(st.integers(200, 10**7), min_size=4, max_size=4), st.integers(0, 10**9)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0, 2, 5, 7]),
    st.sampled_from([0, 1, 3]),
)
def test_any_bars_come_back_from_klines_and_from_trades(
    drawn: dict[int, tuple[list[int], int]], price_places: int, volume_places: int
) -> None:
    rows: dict[int, Row] = {}
    for minute, (prices, volume) in sorted(drawn.items()):
        opened, high, low, closed = prices[0], max(prices), min(prices), prices[1]
        scaled = [price / 10**price_places for price in (opened, high, low, closed)]
        rows[minute] = scaled[0], scaled[1], scaled[2], scaled[3], (volume + 1) / 10**volume_places
    market = market_of(rows)
    bars = market.klines(START_MS + 10**8, "1m", limit=1000)
    assert [figures(bar) for bar in bars] == [units(row) for row in rows.values()]
    for minute, row in rows.items():
        assert recounted(market, START_MS + minute * MINUTE_MS) == units(row)


def test_longer_bars_are_those_of_the_trades_and_holes_have_none() -> None:
    market = market_of()
    five = market.klines(END_MS, "5m", limit=10)
    assert [(bar.open_ms - START_MS) // MINUTE_MS for bar in five] == [0, 10]
    for bar in five:
        assert figures(bar) == recounted(market, bar.open_ms, 5 * MINUTE_MS)
    assert len(market.klines(END_MS, "1h", limit=10)) == 1
    seconds = market.klines(END_MS, "1s", limit=1000)
    assert seconds[-1].close_ms == END_MS - 1
    assert len(market.klines(END_MS, "1s", limit=10_000)) == len(ROWS) * 60


def test_a_list_is_as_long_as_asked_for_over_a_hole() -> None:
    market = market_of()

    def minutes(limit: int, start: int | None = None, end: int | None = None) -> list[int]:
        at = [None if one is None else START_MS + one * MINUTE_MS for one in (start, end)]
        bars = market.klines(END_MS + 10**9, "1m", limit=limit, start_ms=at[0], end_ms=at[1])
        return [(bar.open_ms - START_MS) // MINUTE_MS for bar in bars]

    assert minutes(4) == [3, 10, 11, 12]
    assert minutes(3, start=2) == [2, 3, 10]
    assert minutes(3, start=5) == [10, 11, 12]
    assert minutes(3, end=6) == [1, 2, 3]
    assert minutes(9, start=4, end=9) == []
    assert minutes(9, start=13) == []


def followed(market: ReplayMarket, from_ms: int, to_ms: int) -> tuple[OrderBook, list[tuple[int, Event]]]:
    """The book rebuilt from the events, checked at each step, and when each event came."""
    market.advance(from_ms)
    view = market.book()
    book, update_id = OrderBook(view.bids, view.asks), view.last_update_id
    tickers: dict[int, BookTicker] = {}
    events: list[tuple[int, Event]] = []
    for at_ms in range(from_ms + 50, to_ms + 1, 50):
        for event in market.advance(at_ms):
            events.append((at_ms, event))
            if isinstance(event, BookTicker):
                tickers[event.update_id] = event
            elif isinstance(event, DepthUpdate):
                assert event.first_id == update_id + 1
                update_id = event.last_id
                book.apply(event.bids, event.asks)
                if ticker := tickers.get(update_id):
                    assert book.best() == (ticker.bid, ticker.ask)
    assert (book.bids.descending(), book.asks.ascending()) == (list(market.book().bids), list(market.book().asks))
    return book, events


def test_in_a_hole_the_exchange_is_silent_and_books_and_ids_hold_over_it() -> None:
    market, hole = market_of(), (START_MS + 4 * MINUTE_MS, START_MS + 10 * MINUTE_MS)
    assert not market.status(hole[0])["away"]
    assert market.status(hole[0] + 1)["away"]
    _, events = followed(market, hole[0] - 5_000, hole[1] + 5_000)
    assert [event for at_ms, event in events if hole[0] + 50 < at_ms < hole[1]] == []
    trades = [event for at_ms, event in events if at_ms >= hole[1] and isinstance(event, Trade)]
    assert len(trades) > 5
    assert trades[0].price == units(ROWS[10])[0]
    fresh = market_of()
    fresh.advance(hole[0] + 100_000)
    assert [event for at in range(hole[0] + 150_000, hole[1], 50_000) for event in fresh.advance(at)] == []
    assert fresh.advance(hole[1] + 5_000) == [event for at_ms, event in events if at_ms >= hole[1]]
    assert fresh.book() == market.book()


def test_before_its_start_and_after_its_end_a_replay_is_silent() -> None:
    market = market_of()
    _, events = followed(market, START_MS - 3_000, START_MS + 3_000)
    assert min(at_ms for at_ms, _ in events) >= START_MS - 100
    assert market.trades(START_MS - 1, limit=10) == []
    _, events = followed(market, END_MS - 1_000, END_MS + 20_000)
    assert max(at_ms for at_ms, _ in events) <= END_MS + 50
    assert market.status(END_MS)["ended"]
    assert market.trades(END_MS + 10**9, limit=1)[0].price == units(ROWS[12])[3]
    assert market.klines(END_MS + 10**9, "1m", limit=1)[0].open_ms == END_MS - MINUTE_MS
    assert market.kline_at(END_MS + 90_000, "1m").trades == 0
    assert market.window(END_MS + 10**9, 60_000).count == 0


def test_defects_are_counted_and_named() -> None:
    times = [START_MS + minute * MINUTE_MS for minute in (3, 0, 1, 1, 2)]
    rows = [
        (105.0, 105.0, 105.0, 105.0, 0.0),  # quoted elsewhere than at the close before
        (100.0, 101.0, 99.0, 100.5, 7.0),
        (100.5, 100.5, 100.5, 100.5, 1.0),  # still forming when it was first written
        (100.5, 102.0, 100.5, 101.5, 5.0),
        (101.5, 101.5, 101.5, 101.5, 0.12345678901),
    ]
    bars = make_bars("BTC", "USDT", times, np.array(rows))
    assert bars.duplicates_ms == (START_MS + MINUTE_MS,)
    assert (bars.rounded, bars.quoted, bars.holes) == (1, 1, ())
    assert [figures(bar) for bar in ReplayMarket(bars, 1).klines(END_MS, "1m", limit=9)] == [
        units(row) for row in (rows[1], rows[3], (101.5, 101.5, 101.5, 101.5, 0.12345679), (101.5,) * 4 + (0.0,))
    ]
    assert market_of().status(START_MS)["holes"] == [
        {"from": START_MS + 4 * MINUTE_MS, "to": START_MS + 10 * MINUTE_MS, "minutes": 6}
    ]


GOOD = (100.0, 101.0, 99.0, 100.5, 7.0)


@pytest.mark.parametrize(
    ("times", "rows", "why"),
    [
        ([], [], "no rows"),
        ([START_MS], [GOOD[:4]], "no rows"),
        ([START_MS + 1], [GOOD], "begin with a minute"),
        ([-60_000], [GOOD], "begin with a minute"),
        ([START_MS], [(100.0, 101.0, 99.0, 102.0, 7.0)], "outside"),
        ([START_MS], [(98.0, 101.0, 99.0, 100.0, 7.0)], "outside"),
        ([START_MS], [(100.0, float("nan"), 99.0, 100.0, 7.0)], "no price"),
        ([START_MS], [(0.0, 101.0, 0.0, 100.0, 7.0)], "no price"),
        ([START_MS], [(100.0, 101.0, 99.0, 100.0, -7.0)], "no price"),
        ([START_MS], [(100.0, 101.0, 99.0, 100.0, 1e300)], "no price"),
        ([START_MS], [(100.0, 101.0, 99.0, 100.0, 0.0)], "no bar with a volume"),
        ([START_MS], [(100.0, 101.0, 99.0, 100.0, 0.00000003)], "too little"),
        ([START_MS, START_MS + 10**14 // 60_000 * 60_000], [GOOD, GOOD], "spans"),
    ],
)
def test_what_is_no_set_of_minute_bars_is_refused(times: list[int], rows: list[Row], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_bars("BTC", "USDT", times, np.array(rows, dtype=np.float64))


def test_the_same_bars_and_seed_give_the_same_trades_and_another_seed_others() -> None:
    def trades(seed: int) -> list[Trade]:
        return ReplayMarket(bars_of(ROWS), seed).trades(END_MS, limit=10_000, from_id=0)

    assert trades(3) == trades(3)
    assert trades(3) != trades(4)
