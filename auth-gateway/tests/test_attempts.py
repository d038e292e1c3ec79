"""Guessing a password ends, and nobody is locked out by somebody else's guesses."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth_gateway.attempts import MAX_FAILURES, STRANGERS_TRIES, Attempts
from shared.errors import RateLimited
from shared.redis_cache import RedisCache

pytestmark = pytest.mark.unit


class Memory(dict[str, Any]):
    """Keeps what it is given, for ever."""

    def set(self, key: str, value: object, ttl: float) -> bool:
        assert ttl > 0
        self[key] = value
        return True

    def increment(self, key: str, ttl: float) -> int:
        assert ttl > 0
        self[key] = self.get(key, 0) + 1
        return int(self[key])


@pytest.fixture
def guessed() -> Attempts:
    """A name whose owner logged in from one place, and that was then guessed at from a hundred others."""
    attempts = Attempts(Memory())
    attempts.succeeded("name", "192.0.2.1")
    for number in range(MAX_FAILURES):
        attempts.failed("name", f"198.51.100.{number}")
    return attempts


def tries(attempts: Attempts, address: str, most: int = 50) -> int:
    """How many wrong guesses are let through from there."""
    for number in range(most):
        try:
            attempts.check("name", address)
        except RateLimited:
            return number
        attempts.failed("name", address)
    return most


def test_below_the_bound_nobody_is_stopped_here() -> None:
    attempts = Attempts(Memory())
    assert tries(attempts, "192.0.2.9", MAX_FAILURES - 1) == MAX_FAILURES - 1


def test_past_it_the_place_that_is_known_may_and_each_other_has_some_tries(guessed: Attempts) -> None:
    assert tries(guessed, "192.0.2.1") == 50
    assert tries(guessed, "203.0.113.1") == STRANGERS_TRIES
    assert tries(guessed, "203.0.113.1") == 0
    assert tries(guessed, "203.0.113.2") == STRANGERS_TRIES
    guessed.check("another name", "203.0.113.1")


def test_of_guesses_at_the_same_moment_each_one_counts() -> None:
    attempts = Attempts(RedisCache(enabled=False))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: attempts.failed("name", f"198.51.100.{number}"), range(MAX_FAILURES)))
    assert tries(attempts, "203.0.113.1") == STRANGERS_TRIES


def test_an_ipv6_network_is_one_stranger(guessed: Attempts) -> None:
    assert tries(guessed, "2001:db8::1") == STRANGERS_TRIES
    assert tries(guessed, "2001:db8::2") == 0


def test_an_owner_who_comes_in_begins_anew_and_is_known_from_there(guessed: Attempts) -> None:
    guessed.check("name", "203.0.113.7")
    guessed.succeeded("name", "203.0.113.7")
    for number in range(MAX_FAILURES):
        guessed.failed("name", f"198.51.100.{number}")
    assert tries(guessed, "203.0.113.7") == 50
