"""Limits: weights by the minute, bans that grow, sockets and messages."""

import pytest

from market_simulator.wire.errors import ExchangeError
from market_simulator.wire.limits import CONNECTS, REFUSALS_BEFORE_BAN, ConnectLimit, MessageRate, WeightLimit

pytestmark = pytest.mark.unit

MINUTE = 1_700_000_040.0  # a whole minute


def refusal(limit: WeightLimit, now_s: float, weight: int = 1) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        limit.spend("a", weight, now_s)
    return caught.value


def test_weight_is_counted_by_the_wall_clocks_minute_and_per_address() -> None:
    limit = WeightLimit(100)
    assert limit.spend("a", 60, MINUTE + 59) == 60
    assert limit.spend("b", 10, MINUTE + 59) == 10
    assert limit.spend("a", 60, MINUTE + 60) == 60


def test_over_budget_is_429_until_the_minute_ends() -> None:
    limit = WeightLimit(100)
    limit.spend("a", 100, MINUTE + 20)
    error = refusal(limit, MINUTE + 20)
    assert (error.status, error.code, error.headers["Retry-After"]) == (429, -1003, "40")
    assert limit.spend("a", 1, MINUTE + 20 + 40) == 1, "who waits as told is served"


def test_going_on_is_418_and_each_ban_is_longer() -> None:
    limit = WeightLimit(1)
    now, lengths = MINUTE, []
    for _ in range(3):
        statuses = [refusal(limit, now, 2).status for _ in range(REFUSALS_BEFORE_BAN)]
        assert set(statuses) == {429}
        banned = refusal(limit, now, 2)
        assert (banned.status, banned.code) == (418, -1003)
        lengths.append(int(banned.headers["Retry-After"]))
        assert refusal(limit, now + 61).status == 418, "a new minute doesn't end a ban"
        now += (lengths[-1] // 60 + 1) * 60
    assert lengths == [120, 240, 480]


def test_addresses_are_bounded() -> None:
    limit, sockets = WeightLimit(), ConnectLimit()
    for number in range(10_050):
        limit.spend(str(number), 1, MINUTE)
        sockets.enter(str(number), 0.0)
    assert limit.used("10049", MINUTE) == 1
    assert limit.used("0", MINUTE) == 0, "the oldest was forgotten"


def test_the_connection_after_300_waits_for_the_window() -> None:
    limit = ConnectLimit()
    for _ in range(CONNECTS):
        limit.enter("a", 0.0)
    with pytest.raises(ExchangeError) as caught:
        limit.enter("a", 299.0)
    assert caught.value.code == -1034
    limit.enter("b", 299.0)
    limit.enter("a", 300.0)


def test_five_messages_fit_into_a_second_and_the_sixth_does_not() -> None:
    rate = MessageRate()
    assert [rate.allows(0.1 * number) for number in range(6)] == [True] * 5 + [False]
    steady = MessageRate()
    assert all(steady.allows(0.25 * number) for number in range(100))
