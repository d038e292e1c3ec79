"""A session that was found in force is asked for again as soon as anybody has written, and not before."""

from collections.abc import Callable

import pytest

from auth_gateway.stores.in_force import InForce
from shared.errors import Unavailable

pytestmark = pytest.mark.unit


class World:
    """A database that counts what it is asked; `written` None: it does not tell of changes."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.asked: list[str] = []
        self.written: int | None = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def has_ended(self, session_id: str) -> bool:
        self.asked.append(session_id)
        ended = session_id in self.ended
        self.meanwhile()
        return ended

    def end(self, session_id: str) -> None:
        self.ended.add(session_id)
        self.written = (self.written or 0) + 1


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def in_force(world: World) -> InForce:
    return InForce(world.has_ended, lambda: world.written)


def test_it_is_asked_once_while_nobody_writes(world: World, in_force: InForce) -> None:
    assert [in_force.has_ended("s") for _ in range(3)] == [False] * 3
    assert world.asked == ["s"]


def test_one_that_ended_is_known_at_the_next_check(world: World, in_force: InForce) -> None:
    assert not in_force.has_ended("s")
    world.end("s")
    assert in_force.has_ended("s")


def test_one_that_ends_while_it_is_asked_for_is_known_at_the_next_check(world: World, in_force: InForce) -> None:
    world.meanwhile = lambda: world.end("s")
    assert not in_force.has_ended("s")
    assert in_force.has_ended("s")


def test_a_database_that_does_not_tell_of_changes_is_asked_each_time(world: World, in_force: InForce) -> None:
    world.written = None
    assert [in_force.has_ended("s") for _ in range(2)] == [False] * 2
    assert world.asked == ["s", "s"]


def test_a_database_that_is_away_says_so(in_force: InForce, world: World) -> None:
    def away() -> None:
        raise Unavailable("the database is away")

    world.meanwhile = away
    with pytest.raises(Unavailable):
        in_force.has_ended("s")
