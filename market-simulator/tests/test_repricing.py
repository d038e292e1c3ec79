"""Price paths of scenarios, and the record of those planted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.repricing import Cancelled, Repricings, flash_crash, gap, pump

TICK = 1_000_000


@given(st.integers(1_000, 600_000), st.integers(1, 100_000), st.integers(0, 2**32))
def test_a_flash_crash_falls_to_its_depth_and_recovers_to_exactly_nothing(duration: int, depth: int, seed: int) -> None:
    crash = flash_crash(5_000, duration, depth, TICK, seed)
    path = [crash.shift(at_ms) for at_ms in range(5_000, 5_000 + duration, 125)]
    assert min(path) == -depth * TICK
    assert max(path) <= 0
    assert all(shift % TICK == 0 for shift in path)
    assert path.index(min(path)) <= len(path) // 3 + 4, "it falls fast"
    assert crash.shift(4_999) == crash.shift(5_000 + duration) == crash.shift(10**15) == 0


@given(st.integers(5_000, 600_000), st.integers(1, 100_000), st.integers(0, 2**32))
def test_a_pump_climbs_to_its_height_is_dumped_and_leaves_nothing(duration: int, height: int, seed: int) -> None:
    path = pump(5_000, duration, height, TICK, seed)
    shifts = [path.shift(at_ms) for at_ms in range(5_000, 5_000 + duration, 125)]
    top = shifts.index(max(shifts))
    assert shifts[top] == height * TICK
    assert min(shifts) >= 0
    assert all(shift % TICK == 0 for shift in shifts)
    assert 0.4 < top / len(shifts) < 0.65, "it climbs slowly"
    assert max(shifts[int(len(shifts) * 0.8) :]) <= height * TICK * 0.25, "it falls fast"
    assert path.shift(4_999) == path.shift(5_000 + duration) == 0
    assert pump(5_000, duration, height, TICK, seed) == path


@given(st.integers(1, 600_000), st.integers(-(10**6), 10**6).filter(bool))
def test_a_gap_is_there_at_once_and_stays_until_its_end(duration: int, size: int) -> None:
    path = gap(5_000, duration, size, TICK)
    assert path.shift(5_000) == path.shift(5_000 + duration - 1) == size * TICK
    assert path.shift(4_999) == path.shift(5_000 + duration) == 0


def test_a_pump_or_gap_of_nothing_is_refused() -> None:
    for length, height in ((4_999, 5), (60_000, 0)):
        with pytest.raises(ValueError, match="pump needs"):
            pump(0, length, height, TICK, 1)
    for length, size in ((10, 0), (0, 5)):
        with pytest.raises(ValueError, match="gap needs"):
            gap(0, length, size, TICK)


def test_the_same_seed_gives_the_same_crash() -> None:
    assert flash_crash(0, 30_000, 900, TICK, 4) == flash_crash(0, 30_000, 900, TICK, 4)
    assert flash_crash(0, 30_000, 900, TICK, 4) != flash_crash(0, 30_000, 900, TICK, 5)


@pytest.mark.parametrize(("duration", "depth"), [(999, 5), (1_000, 0), (60_000, -3)])
def test_a_crash_without_time_or_depth_is_refused(duration: int, depth: int) -> None:
    with pytest.raises(ValueError, match="flash crash needs"):
        flash_crash(0, duration, depth, TICK, 1)


def test_a_cancelled_repricing_ends_at_once_and_its_past_stays() -> None:
    repricings, crash = Repricings(), flash_crash(10_000, 20_000, 100, TICK, 1)
    repricings.add(crash, 9_000)
    repricings.add(Cancelled(crash, 18_000), 17_999)
    assert repricings.shift_at(17_999) == crash.shift(17_999) != 0
    assert all(repricings.shift_at(at_ms) == 0 for at_ms in range(18_000, 31_000, 100))
    assert repricings.ranges() == [(10_000, 30_000)]


def test_overlapping_repricings_add_up() -> None:
    repricings = Repricings()
    first, second = flash_crash(0, 20_000, 100, TICK, 1), flash_crash(5_000, 20_000, 70, TICK, 2)
    repricings.add(first, -1)
    repricings.add(second, -1)
    assert repricings.shift_at(12_000) == first.shift(12_000) + second.shift(12_000)
    assert repricings.ranges() == [(0, 25_000)]


def test_what_was_shown_already_is_not_repriced() -> None:
    repricings = Repricings()
    repricings.add(flash_crash(0, 20_000, 100, TICK, 1), 10_000)
    assert repricings.shift_at(10_000) == 0
    assert repricings.shift_at(10_001) != 0


def test_the_oldest_repricing_makes_room_once_it_is_over() -> None:
    repricings = Repricings(limit=2)
    for start in (0, 10_000, 20_000):
        repricings.add(flash_crash(start, 5_000, 100, TICK, 1), start - 1)
    assert repricings.ranges() == [(10_000, 15_000), (20_000, 25_000)]


def test_a_repricing_and_its_cancellation_leave_together() -> None:
    repricings, crash = Repricings(limit=2), flash_crash(0, 5_000, 100, TICK, 1)
    repricings.add(crash, -1)
    repricings.add(Cancelled(crash, 2_000), 1_999)
    repricings.add(flash_crash(9_000, 5_000, 100, TICK, 1), 8_999)
    assert repricings.ranges() == [(9_000, 14_000)]
    assert all(repricings.shift_at(at_ms) == 0 for at_ms in range(0, 9_000, 50))


def test_too_many_repricings_at_a_time_are_refused() -> None:
    repricings = Repricings(limit=2)
    for _ in range(2):
        repricings.add(flash_crash(0, 5_000, 100, TICK, 1), 0)
    with pytest.raises(ValueError, match="no more than 2"):
        repricings.add(flash_crash(0, 5_000, 100, TICK, 1), 100)
