"""The series of bars: each final once, missing ones owed until REST tells them."""

import random

from hypothesis import given
from hypothesis import strategies as st

from websocket_streaming.bar_series import BarSeries
from websocket_streaming.ticks import Bar

MINUTE = 60_000


def bar(number: int, trades: int = 1, final: bool = False) -> Bar:
    start = number * MINUTE
    return Bar(start, start + MINUTE - 1, 1.0, 2.0, 0.5, 1.5, float(trades), 1.0, trades, final)


def test_a_bar_grows_is_final_once_and_does_not_go_back() -> None:
    series = BarSeries()
    steps = [bar(1), bar(1, 2), bar(1), bar(1, 3, final=True), bar(1, 3, final=True), bar(1, 2), bar(2)]
    assert [bool(series.on_bar(step)) for step in steps] == [True, True, False, True, False, False, True]
    assert series.owed_from(0) is None


def test_a_bar_whose_last_state_was_lost_is_owed_and_comes_from_rest_once() -> None:
    series = BarSeries()
    series.on_bar(bar(1))
    series.on_bar(bar(2))
    assert series.owed_from(0) == MINUTE
    assert series.fill([bar(1, 5, final=True), bar(2)], MINUTE) == [bar(1, 5, final=True), bar(2)]
    assert series.owed_from(0) is None
    assert series.on_bar(bar(1, 5, final=True)) == []


def test_bars_that_were_missed_whole_are_owed_too() -> None:
    series = BarSeries()
    series.on_bar(bar(1, final=True))
    series.on_bar(bar(4))
    assert series.owed_from(0) == 2 * MINUTE
    rows = [bar(2, final=True), bar(3, final=True), bar(4)]
    assert [one.final for one in series.fill(rows, 2 * MINUTE)] == [True, True, False]
    assert [one.open_ms // MINUTE for one in series.bars] == [1, 2, 3, 4]


def test_a_late_final_state_from_the_stream_is_taken() -> None:
    series = BarSeries()
    series.on_bar(bar(1))
    series.on_bar(bar(2))
    assert series.on_bar(bar(1, 9, final=True)) == [bar(1, 9, final=True)]
    assert series.owed_from(0) is None


def test_a_bar_that_ended_by_the_exchanges_clock_is_owed() -> None:
    series = BarSeries()
    series.on_bar(bar(1))
    assert series.owed_from(2 * MINUTE - 1) is None
    assert series.owed_from(2 * MINUTE) == MINUTE


def test_where_the_exchange_was_out_no_bar_is_owed() -> None:
    series = BarSeries()
    series.on_bar(bar(1, final=True))
    series.on_bar(bar(9))
    series.fill([bar(8, final=True), bar(9)], 2 * MINUTE)
    assert series.owed_from(0) is None


def test_history_is_no_news() -> None:
    series = BarSeries()
    rows = [*(bar(number, final=True) for number in range(5)), bar(5)]
    assert series.fill(rows) == [bar(5)]
    assert len(series.bars) == 6
    late = BarSeries()
    late.on_bar(bar(5, 2))
    assert late.fill(rows) == []
    assert len(late.bars) == 6


@given(st.integers(0, 2**32))
def test_whatever_is_lost_repeated_or_swapped_each_bar_is_final_exactly_once(seed: int) -> None:
    rng = random.Random(seed)
    truth = [bar(number, 3, final=True) for number in range(20)]
    frames = [bar(n, t, final=t == 3) for n in range(20) for t in (1, 2, 3) for _ in range(rng.choice([0, 1, 1, 2]))]
    for _ in range(rng.randrange(8)):
        at = rng.randrange(len(frames) - 1)
        frames[at], frames[at + 1] = frames[at + 1], frames[at]
    series, out, first = BarSeries(), [], frames[0].open_ms // MINUTE
    for frame in frames:
        out += series.on_bar(frame)
        if rng.random() < 0.1 and (start := series.owed_from(frame.open_ms)) is not None:
            out += series.fill(truth[start // MINUTE : frame.open_ms // MINUTE], start)
    while (start := series.owed_from(20 * MINUTE)) is not None:
        out += series.fill(truth[start // MINUTE :], start)
    last = max(frame.open_ms for frame in frames) // MINUTE
    finals = [one.open_ms // MINUTE for one in out if one.final]
    assert sorted(finals) == list(range(first, max(last + 1, max(finals) + 1)))
