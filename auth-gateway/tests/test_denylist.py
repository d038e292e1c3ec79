"""Whether a session ended: what this process, the others through Redis, and the database say."""

from datetime import datetime, timedelta

import pytest

from auth_gateway.denylist import CATCH_UP_S, Denylist
from shared.errors import Unavailable
from shared.testing.fakes import FakeClock

pytestmark = pytest.mark.unit
LIFETIME_S = 900.0


class Told:
    """Redis, as far as denials go: it can be away, and it can forget."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.away = False

    def tell(self, session_id: str, ttl_s: float) -> None:
        if not self.away:
            self.ids.add(session_id)

    def told(self, session_id: str) -> bool | None:
        return None if self.away else session_id in self.ids


class Ended:
    """The database: sessions and when each ended."""

    def __init__(self, clock: FakeClock) -> None:
        self.at: dict[str, datetime] = {}
        self.away, self.looks, self._clock = False, 0, clock

    def end(self, session_id: str) -> None:
        self.at[session_id] = self._clock.now()

    def has_ended(self, session_id: str) -> bool:
        return session_id in self.since(datetime.min.replace(tzinfo=self._clock.now().tzinfo))

    def since(self, moment: datetime) -> list[str]:
        if self.away:
            raise Unavailable("the database is away")
        self.looks += 1
        return [session_id for session_id, at in self.at.items() if at > moment]


class Fleet:
    """Two processes over one Redis and one database."""

    def __init__(self) -> None:
        self.clock, self.at_hand = FakeClock(), False
        self.redis, self.database = Told(), Ended(self.clock)
        self.one, self.other = self.process(), self.process()

    def process(self) -> Denylist:
        database = self.database
        return Denylist(
            LIFETIME_S, self.redis, self.glance, database.has_ended, database.since, self.clock.now,
            self.clock.monotonic,
        )  # fmt: skip

    def glance(self, session_id: str) -> bool | None:
        """At a file that is at hand, unless it can't be read just now."""
        return self.database.has_ended(session_id) if self.at_hand and not self.database.away else None

    def end(self, session_id: str) -> None:
        """As a logout at the first process does it."""
        self.database.end(session_id)
        self.one.add(session_id)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_an_end_is_known_to_every_process_at_once(fleet: Fleet) -> None:
    assert "s" not in fleet.other
    fleet.end("s")
    assert "s" in fleet.one
    assert "s" in fleet.other
    assert "t" not in fleet.other


def test_with_redis_away_each_check_asks_the_database(fleet: Fleet) -> None:
    fleet.redis.away = True
    assert "s" not in fleet.other
    fleet.end("s")
    assert "s" in fleet.other
    fleet.database.away = True
    with pytest.raises(Unavailable):
        assert "t" in fleet.other


def test_a_database_at_hand_tells_each_check_whatever_redis_says(fleet: Fleet) -> None:
    fleet.at_hand = True
    assert "s" not in fleet.other
    fleet.database.end("s")
    assert "s" in fleet.other
    fleet.database.away = True
    assert "s" in fleet.other
    assert "t" not in fleet.other, "Redis can be asked"


def test_an_end_that_redis_missed_is_known_soon_after_its_return(fleet: Fleet) -> None:
    assert "s" not in fleet.other
    fleet.redis.away = True
    fleet.end("s")
    fleet.redis.away = False
    fleet.clock.advance(CATCH_UP_S)
    assert "s" in fleet.other


def test_what_redis_forgot_stays_closed_for_a_process_that_begins(fleet: Fleet) -> None:
    fleet.end("s")
    fleet.clock.advance(LIFETIME_S - 1)
    fleet.redis.ids.clear()
    assert "s" in fleet.process()


def test_the_database_is_asked_now_and_then_however_many_checks_there_are(fleet: Fleet) -> None:
    for number in range(1000):
        assert f"s{number}" not in fleet.one
    assert fleet.database.looks == 1
    fleet.clock.advance(CATCH_UP_S)
    assert "s" not in fleet.one
    assert fleet.database.looks == 2


def test_with_the_database_away_redis_word_counts_and_is_made_up_for_later(fleet: Fleet) -> None:
    fleet.database.away = True
    assert "s" not in fleet.one
    fleet.database.end("s")
    fleet.clock.advance(CATCH_UP_S)
    fleet.database.away = False
    assert "s" in fleet.one


def test_an_end_dated_before_the_last_look_and_committed_after_it_is_seen(fleet: Fleet) -> None:
    assert "s" not in fleet.other
    fleet.database.at["s"] = fleet.clock.now() - timedelta(seconds=5)
    fleet.clock.advance(CATCH_UP_S)
    assert "s" in fleet.other
