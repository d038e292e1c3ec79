"""Moments are UTC in one form, and a fake clock behaves as the system's does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import MAX_AHEAD, MIN_TIME, Clock, SystemClock, check_range, parse_time, to_iso
from shared.testing.fakes import FakeClock

pytestmark = pytest.mark.unit

NOW = datetime(2025, 11, 1, 12, tzinfo=UTC)


def test_a_moment_leaves_in_utc_with_microseconds_and_z() -> None:
    istanbul = timezone(timedelta(hours=3))
    assert to_iso(datetime(2025, 11, 1, 13, 47, 1, 535448, istanbul)) == "2025-11-01T10:47:01.535448Z"
    assert to_iso(datetime(2025, 11, 1, tzinfo=UTC)) == "2025-11-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-01T10:47:01.535448Z", "2025-11-01T10:47:01.535448Z"),
        ("2025-11-01T10:47:01.535448", "2025-11-01T10:47:01.535448Z"),
        ("2025-11-01T13:47:01+03:00", "2025-11-01T10:47:01.000000Z"),
        ("2025-11-01 10:47", "2025-11-01T10:47:00.000000Z"),
        ("2025-11-01", "2025-11-01T00:00:00.000000Z"),
        ("2025-10-31T22:00:00-05:30", "2025-11-01T03:30:00.000000Z"),
    ],
)
def test_any_offset_is_read_and_a_missing_one_means_utc(text: str, expected: str) -> None:
    assert to_iso(parse_time(text)) == expected


@pytest.mark.parametrize("text", ["", "now", "1730457000", "2025-13-01", "2025-11-01T25:00Z", "\x00", "9" * 5000])
def test_what_is_no_time_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time in ISO 8601"):
        parse_time(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_moment_past_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must lie between"):
        parse_time(text)


@given(st.text(max_size=40))
def test_any_text_gives_a_utc_moment_or_a_value_error(text: str) -> None:
    try:
        assert parse_time(text).tzinfo is UTC
    except ValueError:
        return


@given(st.datetimes(min_value=datetime(2009, 1, 1), timezones=st.just(UTC)))
def test_what_leaves_comes_back_as_the_same_moment(moment: datetime) -> None:
    assert parse_time(to_iso(moment)) == moment


@pytest.mark.parametrize("moment", [MIN_TIME, NOW, NOW + MAX_AHEAD])
def test_the_range_holds_its_ends(moment: datetime) -> None:
    check_range(moment, NOW)


@pytest.mark.parametrize(
    "moment", [MIN_TIME - timedelta(microseconds=1), NOW + MAX_AHEAD + timedelta(microseconds=1)]
)
def test_outside_the_range_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match=r"must lie between 2009-01-01 and now \+ 24 h"):
        check_range(moment, NOW)


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
def test_a_clock_tells_utc_and_its_sleep_moves_its_monotonic_time(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    clock.sleep(0.0625)  # a binary fraction: the fake adds exactly
    assert clock.monotonic() - before >= 0.0625


def test_the_fakes_wall_clock_jumps_without_time_passing() -> None:
    clock = FakeClock(NOW)
    clock.jump_wall_clock(-3600)
    assert (clock.now(), clock.monotonic()) == (NOW - timedelta(hours=1), FakeClock(NOW).monotonic())
    clock.advance(5)
    assert clock.now() == NOW - timedelta(minutes=59, seconds=55)
