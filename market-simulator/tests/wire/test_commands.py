"""Commands: what is accepted, and the code of everything else (binance-wire.md 3.3)."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.wire.commands import METHODS, Command, CommandError, parse_command

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1}', Command("SUBSCRIBE", 1, ("a@trade",))),
        ('{"method":"UNSUBSCRIBE","params":["a@trade"],"id":"x1"}', Command("UNSUBSCRIBE", "x1", ("a@trade",))),
        ('{"method":"LIST_SUBSCRIPTIONS","id":null}', Command("LIST_SUBSCRIPTIONS", None)),
        ('{"method":"LIST_SUBSCRIPTIONS","params":[]}', Command("LIST_SUBSCRIPTIONS", None)),
        (
            '{"method":"SET_PROPERTY","params":["combined",true],"id":5}',
            Command("SET_PROPERTY", 5, (), "combined", True),
        ),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":-7}', Command("GET_PROPERTY", -7, (), "combined")),
    ],
)
def test_documented_commands(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        ('{"method":"SET_PROPERTY","params":["nope",true],"id":1}', 0, 1),
        ('{"method":"GET_PROPERTY","params":["nope"],"id":1}', 0, 1),
        ('{"method":"SET_PROPERTY","params":["combined","true"],"id":1}', 1, 1),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, 1),
        ('{"method":"SET_PROPERTY","params":[7,true],"id":1}', 2, 1),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 2, 1),
        ('{"method":"GET_PROPERTY","params":["combined",true],"id":1}', 2, 1),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a@trade"],"id":1}', 2, 1),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2, 1),
        ('{"method":"SUBSCRIBE","id":1}', 2, 1),
        ('{"method":"SUBSCRIBE","params":"a@trade","id":1}', 2, 1),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, 1),
        ('{"method":"subscribe","params":["a@trade"],"id":1}', 2, 1),
        ('{"method":3,"id":1}', 2, 1),
        ('{"id":1}', 2, 1),
        ('{"method":"LIST_SUBSCRIPTIONS","id":1.5}', 2, None),
        ('{"method":"LIST_SUBSCRIPTIONS","id":true}', 2, None),
        ('{"method":"LIST_SUBSCRIPTIONS","id":"' + "x" * 37 + '"}', 2, None),
        ('{"method":"LIST_SUBSCRIPTIONS","id":9223372036854775808}', 2, None),
        ("[1]", 2, None),
        ("ping", 3, None),
        ("", 3, None),
        ('{"method":', 3, None),
        ('{"method":NaN}', 3, None),
    ],
)
def test_everything_else_has_its_code(text: str, code: int, id: Any) -> None:
    with pytest.raises(CommandError) as caught:
        parse_command(text)
    assert (caught.value.code, caught.value.id) == (code, id)


def test_errors_are_flat_or_nested() -> None:
    error = CommandError(2, "Invalid request: invalid stream", 4)
    assert error.document(False) == {"code": 2, "msg": "Invalid request: invalid stream", "id": 4}
    assert error.document(True) == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 4}


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_text_breaks_the_parser(text: str | bytes) -> None:
    with contextlib.suppress(CommandError):
        assert parse_command(text).method in METHODS
