"""A value of the future reaches its one receiver, whether it waits or is called, and however early it came."""

import threading

import pytest

from shared.errors import InvalidInput
from shared.later import Later

pytestmark = pytest.mark.unit


def test_a_receiver_is_called_when_the_value_comes() -> None:
    later: Later[int] = Later()
    got: list[object] = []
    later.then(got.append)
    assert got == []
    later.resolve(1)
    assert got == [1]


def test_a_value_that_is_there_reaches_its_receiver_at_once() -> None:
    got: list[object] = []
    Later.of(1).then(got.append)
    assert got == [1]
    assert Later.of(2).result() == 2


def test_who_waits_gets_the_value_of_another_thread() -> None:
    later: Later[str] = Later()
    threading.Thread(target=later.resolve, args=("x",)).start()
    assert later.result() == "x"


def test_an_exception_is_raised_where_it_is_waited_for() -> None:
    later: Later[int] = Later()
    later.resolve(InvalidInput("no"))
    with pytest.raises(InvalidInput, match="no"):
        later.result()


def test_map_changes_the_value_and_hands_exceptions_on() -> None:
    assert Later.of(2).map(lambda n: n + 1).result() == 3
    failed: Later[int] = Later()
    mapped = failed.map(lambda n: n + 1)
    failed.resolve(InvalidInput("no"))
    with pytest.raises(InvalidInput, match="no"):
        mapped.result()
    with pytest.raises(ZeroDivisionError):
        Later.of(0).map(lambda n: 1 // n).result()
