"""Refresh tokens that many tabs share: each is exchanged once, and whoever comes late gets what followed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import Unauthorized, Unavailable
from shared.testing.fakes import FakeClock
from shared.testing.net import wait_until
from trading_dashboard.sessions import GRACE_S, Sessions, Tokens

pytestmark = pytest.mark.unit
HERE = "192.0.2.1"
LIFETIME_S = 900.0


class Gateway:
    """Exchanges each token once, as the real one; a second time ends the session."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.exchanged: list[str] = []
        self.over = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def renew(self, refresh: str, _address: str) -> Tokens:
        self.over |= refresh in self.exchanged
        self.exchanged.append(refresh)
        self.may_answer.wait(10)
        if self.over:
            raise Unauthorized("this refresh token is not in force; log in again")
        return self.tokens(len(self.exchanged))

    def tokens(self, number: int) -> Tokens:
        return Tokens(f"access-{number}", f"refresh-{number}", self.clock.monotonic() + LIFETIME_S)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def sessions(gateway: Gateway) -> Sessions:
    sessions = Sessions(gateway.renew, gateway.clock.monotonic)
    sessions.keep(gateway.tokens(0))
    return sessions


def test_a_token_in_force_costs_no_exchange(gateway: Gateway, sessions: Sessions) -> None:
    assert sessions.tokens("refresh-0", HERE).access == "access-0"
    assert gateway.exchanged == []


def test_one_that_ends_is_exchanged_and_its_follower_serves_whoever_still_comes_with_the_old_one(
    gateway: Gateway, sessions: Sessions
) -> None:
    gateway.clock.advance(LIFETIME_S)
    assert sessions.in_force("refresh-0") is None
    assert sessions.tokens("refresh-0", HERE).refresh == "refresh-1"
    assert sessions.tokens("refresh-0", HERE).refresh == "refresh-1"
    assert sessions.tokens("refresh-1", HERE).access == "access-1"
    in_force = sessions.in_force("refresh-0")
    assert in_force is not None
    assert in_force.access == "access-1"
    assert gateway.exchanged == ["refresh-0"]


def test_all_tabs_at_once_share_one_exchange(gateway: Gateway, sessions: Sessions) -> None:
    gateway.clock.advance(LIFETIME_S)
    gateway.may_answer.clear()
    with ThreadPoolExecutor(8) as tabs:
        asked = [tabs.submit(sessions.tokens, "refresh-0", HERE) for _ in range(8)]
        gateway.may_answer.set()
        assert {answer.result().refresh for answer in asked} == {"refresh-1"}
    assert gateway.exchanged == ["refresh-0"]


def test_nobody_waits_long_for_another_ones_exchange(
    gateway: Gateway, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_dashboard.sessions.WAIT_S", 0.05)
    gateway.clock.advance(LIFETIME_S)
    gateway.may_answer.clear()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(sessions.tokens, "refresh-0", HERE)
        wait_until(lambda: gateway.exchanged == ["refresh-0"])
        with pytest.raises(Unavailable):
            sessions.tokens("refresh-0", HERE)
        gateway.may_answer.set()
        assert first.result().refresh == "refresh-1"


def test_one_that_the_gateway_takes_no_more_is_exchanged_before_its_time_and_once(
    gateway: Gateway, sessions: Sessions
) -> None:
    for _ in range(3):
        assert sessions.tokens("refresh-0", HERE, refused="access-0").access == "access-1"
    assert gateway.exchanged == ["refresh-0"]


def test_after_the_grace_an_old_one_goes_to_the_gateway_which_ends_the_session(
    gateway: Gateway, sessions: Sessions
) -> None:
    sessions.tokens("refresh-0", HERE, refused="access-0")
    gateway.clock.advance(GRACE_S + 1)
    with pytest.raises(Unauthorized):
        sessions.tokens("refresh-0", HERE)
    assert gateway.over


def test_a_process_that_knows_nothing_yet_exchanges(gateway: Gateway) -> None:
    anew = Sessions(gateway.renew, gateway.clock.monotonic)
    assert anew.tokens("refresh-0", HERE).refresh == "refresh-1"


def test_what_was_forgotten_is_in_force_no_more(sessions: Sessions) -> None:
    sessions.forget("refresh-0")
    assert sessions.in_force("refresh-0") is None
