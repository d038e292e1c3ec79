"""The exchange's clock: ages hold whatever the host's wall clock does."""

import pytest

from shared.testing.fakes import FakeClock
from websocket_streaming.exchange_time import ExchangeTime

SERVER_MS = 1_762_000_000_000


def test_age_is_unknown_until_the_exchange_was_asked() -> None:
    assert ExchangeTime(FakeClock()).age_s(SERVER_MS) is None


def test_age_follows_the_monotonic_clock_and_ignores_wall_clock_jumps() -> None:
    clock = FakeClock()
    exchange_time = ExchangeTime(clock)
    exchange_time.anchor(SERVER_MS, clock.monotonic(), clock.monotonic())
    clock.jump_wall_clock(-3600)
    clock.advance(5)
    assert exchange_time.age_s(SERVER_MS) == 5.0


def test_an_event_from_the_future_has_age_zero() -> None:
    clock = FakeClock()
    exchange_time = ExchangeTime(clock)
    exchange_time.anchor(SERVER_MS, clock.monotonic(), clock.monotonic())
    assert exchange_time.age_s(SERVER_MS + 60_000) == 0.0


def test_the_reading_is_taken_as_of_the_middle_of_the_request() -> None:
    clock = FakeClock()
    exchange_time = ExchangeTime(clock)
    asked_at = clock.monotonic()
    clock.advance(2)
    exchange_time.anchor(SERVER_MS, asked_at, clock.monotonic())
    assert exchange_time.age_s(SERVER_MS) == 1.0


def test_a_slow_answer_does_not_replace_a_sharp_one_until_that_is_old() -> None:
    clock = FakeClock()
    exchange_time = ExchangeTime(clock)
    exchange_time.anchor(SERVER_MS, clock.monotonic(), clock.monotonic())
    blurred = (SERVER_MS - 900_000, clock.monotonic() - 4, clock.monotonic())
    exchange_time.anchor(*blurred)
    assert exchange_time.age_s(SERVER_MS) == 0.0
    clock.advance(3601)
    exchange_time.anchor(SERVER_MS - 900_000, clock.monotonic() - 4, clock.monotonic())
    assert exchange_time.age_s(SERVER_MS - 900_000) == 2.0


def test_of_readings_close_to_each_other_the_sharpest_counts() -> None:
    clock = FakeClock()
    exchange_time = ExchangeTime(clock)
    exchange_time.anchor(SERVER_MS - 1000, clock.monotonic() - 2, clock.monotonic())
    assert exchange_time.age_s(SERVER_MS) == 0.0  # right by 1 s at best
    exchange_time.anchor(SERVER_MS, clock.monotonic() - 0.02, clock.monotonic())
    assert exchange_time.is_sharp
    exchange_time.anchor(SERVER_MS - 500, clock.monotonic() - 0.1, clock.monotonic())
    assert exchange_time.age_s(SERVER_MS) == pytest.approx(0.01)
