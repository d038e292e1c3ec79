"""Where klines begin and end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.klines.intervals import INTERVALS, later_open, open_time

HOUR = 3_600_000
INSTANTS = st.integers(1_500_000_000_000, 2_500_000_000_000)
OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: quarters * HOUR // 4)


def moment(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def ms(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000)


@given(INSTANTS, st.sampled_from(INTERVALS), OFFSETS)
def test_every_instant_lies_in_exactly_one_bar(at_ms: int, interval: str, offset_ms: int) -> None:
    opened = open_time(at_ms, interval, offset_ms)
    following = later_open(opened, interval, 1, offset_ms)
    assert opened <= at_ms < following
    assert open_time(following - 1, interval, offset_ms) == opened
    assert open_time(following, interval, offset_ms) == following


@given(INSTANTS, st.sampled_from(INTERVALS), OFFSETS, st.integers(-500, 500))
def test_steps_forth_and_back_cancel(at_ms: int, interval: str, offset_ms: int, bars: int) -> None:
    opened = open_time(at_ms, interval, offset_ms)
    there = later_open(opened, interval, bars, offset_ms)
    assert later_open(there, interval, -bars, offset_ms) == opened


@given(INSTANTS, OFFSETS)
def test_days_weeks_and_months_are_cut_at_local_midnight(at_ms: int, offset_ms: int) -> None:
    for interval in ("1d", "1w", "1M"):
        local = moment(open_time(at_ms, interval, offset_ms) + offset_ms)
        assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
        assert interval != "1w" or local.weekday() == 0
        assert interval != "1M" or local.day == 1


def test_known_bars() -> None:
    at_ms = ms(2026, 8, 8, 14, 40, 31)
    assert open_time(at_ms, "1s") == at_ms
    assert open_time(at_ms, "15m") == ms(2026, 8, 8, 14, 30)
    assert open_time(at_ms, "4h") == ms(2026, 8, 8, 12)
    assert open_time(at_ms, "1w") == ms(2026, 8, 3)
    assert open_time(at_ms, "1M") == ms(2026, 8, 1)
    assert open_time(at_ms, "1d", 10 * HOUR) == ms(2026, 8, 8, 14)
    assert later_open(ms(2026, 11, 1), "1M", 3) == ms(2027, 2, 1)
    assert open_time(at_ms, "3d") % (72 * HOUR) == 0


def test_intervals_are_case_sensitive() -> None:
    assert open_time(ms(2026, 8, 8), "1m") != open_time(ms(2026, 8, 8), "1M")
    for unknown in ("1H", "1D", "2m", "", "1 m"):
        with pytest.raises(ValueError, match="unknown interval"):
            open_time(0, unknown)
