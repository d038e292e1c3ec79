"""Simulated time."""

from datetime import UTC, datetime

import pytest

from market_simulator.sim_clock import SimClock
from shared.testing.fakes import FakeClock

pytestmark = pytest.mark.unit

NOON = datetime(2025, 11, 1, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def test_at_speed_1_it_is_real_time_whatever_the_start() -> None:
    clock = FakeClock(NOON)
    sim = SimClock(clock, 1.0, datetime(2024, 1, 1, tzinfo=UTC))
    clock.advance(1.5)
    assert sim.now_ms() == NOON_MS + 1500


def test_it_runs_k_times_as_fast_from_the_start_on() -> None:
    clock = FakeClock(NOON)
    sim = SimClock(clock, 10.0, datetime(2025, 11, 1, 11, tzinfo=UTC))
    assert sim.now_ms() == NOON_MS + 9 * 3_600_000
    clock.advance(1)
    assert sim.now_ms() == NOON_MS + 9 * 3_600_000 + 10_000


def test_without_a_start_it_begins_with_the_process() -> None:
    clock = FakeClock(NOON)
    sim = SimClock(clock, 2.0)
    clock.advance(3)
    assert sim.now_ms() == NOON_MS + 6000


def test_setting_the_hosts_clock_moves_nothing() -> None:
    clock = FakeClock(NOON)
    sim = SimClock(clock)
    clock.jump_wall_clock(3600)
    assert sim.now_ms() == NOON_MS
    assert sim.real_s() == NOON.timestamp()
