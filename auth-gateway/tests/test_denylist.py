"""Which sessions ended, here and elsewhere."""

import pytest

from auth_gateway.denylist import TRUST_S, Denylist
from shared.errors import Unavailable
from shared.testing.fakes import FakeClock

pytestmark = pytest.mark.unit


class Elsewhere:
    """Another process and the database: what they would say, and how often they were asked."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.asked, self.redis_is_there = 0, True

    def tell(self, session_id: str, ttl_s: float) -> None:
        self.ended.add(session_id)

    def told(self, session_id: str) -> bool | None:
        self.asked += 1
        return session_id in self.ended if self.redis_is_there else None

    def in_database(self, session_id: str) -> bool:
        raise Unavailable("the database is away")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def denylist(clock: FakeClock, elsewhere: Elsewhere) -> Denylist:
    return Denylist(900, elsewhere, elsewhere.in_database, clock.monotonic)


def test_a_session_found_in_force_is_not_asked_for_again_within_a_second(
    denylist: Denylist, elsewhere: Elsewhere
) -> None:
    assert "one" not in denylist
    assert "one" not in denylist
    assert elsewhere.asked == 1


def test_one_that_ended_elsewhere_is_known_a_second_later(
    denylist: Denylist, elsewhere: Elsewhere, clock: FakeClock
) -> None:
    assert "one" not in denylist
    elsewhere.ended.add("one")
    clock.advance(TRUST_S)
    assert "one" in denylist


def test_one_that_ends_here_has_ended_at_once_though_it_was_just_found_in_force(denylist: Denylist) -> None:
    assert "one" not in denylist
    denylist.add("one")
    assert "one" in denylist


def test_nothing_opens_where_nobody_can_tell(denylist: Denylist, elsewhere: Elsewhere) -> None:
    elsewhere.redis_is_there = False
    with pytest.raises(Unavailable):
        assert "one" not in denylist
