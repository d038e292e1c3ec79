"""Which commands go out for which wishes, and what their answers change."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.binance_subscriptions import COMMAND_GAP_S, MAX_STREAMS, NAMES_PER_COMMAND, Subscriptions
from shared.errors import InvalidInput

pytestmark = pytest.mark.unit


def sent(subscriptions: Subscriptions, now: float = 0.0) -> list[dict[str, Any]]:
    """Every command, sent as soon as it may be."""
    found = []
    while subscriptions._queue:
        command = subscriptions.next_command(now)
        now += COMMAND_GAP_S
        assert command is not None
        found.append(orjson.loads(command))
    return found


def test_wishes_that_pile_up_go_out_together_in_their_order() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(["a@trade"])
    subscriptions.add(["b@trade", "a@trade"])
    subscriptions.remove(["a@trade", "unknown@trade"])
    subscriptions.add(["a@trade"])
    assert [(command["method"], command["params"]) for command in sent(subscriptions)] == [
        ("SUBSCRIBE", ["a@trade", "b@trade"]),
        ("UNSUBSCRIBE", ["a@trade"]),
        ("SUBSCRIBE", ["a@trade"]),
    ]


def test_at_most_five_messages_a_second_of_at_most_200_names() -> None:
    subscriptions = Subscriptions()
    subscriptions.add([f"s{n}@trade" for n in range(500)])
    times = [step / 100 for step in range(200)]
    commands = [(now, command) for now in times if (command := subscriptions.next_command(now))]
    assert [len(orjson.loads(command)["params"]) for _, command in commands] == [NAMES_PER_COMMAND] * 2 + [100]
    assert all(later - now >= 0.2 for (now, _), (later, _) in pairwise(commands))


def test_a_connection_holds_1024_streams_and_a_wish_for_more_changes_nothing() -> None:
    subscriptions = Subscriptions()
    subscriptions.add([f"s{n}" for n in range(MAX_STREAMS)])
    with pytest.raises(InvalidInput):
        subscriptions.add(["one more"])
    subscriptions.add(["s0"])
    assert len(subscriptions.wanted) == MAX_STREAMS


def test_a_new_connection_asks_for_all_that_is_wanted_and_nothing_else() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(["a", "b"])
    sent(subscriptions)
    subscriptions.remove(["a"])
    subscriptions.restart(now=50.0)
    assert [(command["method"], command["params"]) for command in sent(subscriptions, 50.0)] == [("SUBSCRIBE", ["b"])]


def test_a_command_without_an_answer_is_overdue() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(["a"])
    (command,) = sent(subscriptions, 100.0)
    assert not subscriptions.is_overdue(109.0)
    assert subscriptions.is_overdue(111.0)
    subscriptions.take_answer({"result": None, "id": command["id"]})
    assert not subscriptions.is_overdue(111.0)


@given(
    names=st.lists(st.from_regex(r"[a-z]{1,6}@trade", fullmatch=True), min_size=1, max_size=30, unique=True),
    bad=st.sets(st.integers(0, 29), max_size=3),
    nested=st.booleans(),
)
def test_malformed_names_are_dropped_and_all_others_get_through(names: list[str], bad: set[int], nested: bool) -> None:
    malformed = {names[n] for n in bad if n < len(names)}
    subscriptions = Subscriptions()
    subscriptions.add(names)
    accepted: set[str] = set()
    now = 0.0
    while commands := sent(subscriptions, now):
        now += 1000
        for command in commands:
            refusal = {"code": 2, "msg": "Invalid request: invalid stream"}
            if not malformed & set(command["params"]):
                accepted |= set(command["params"])
                subscriptions.take_answer({"result": None, "id": command["id"]})
            elif nested:
                subscriptions.take_answer({"error": refusal, "id": command["id"]})
            else:
                subscriptions.take_answer({**refusal, "id": command["id"]})
    assert accepted == set(subscriptions.wanted) == set(names) - malformed


def test_answers_to_nothing_change_nothing() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(["a"])
    subscriptions.take_answer({"id": None, "error": {"code": 3, "msg": "Invalid json"}})
    subscriptions.take_answer({"result": None, "id": 99})
    subscriptions.take_answer({"code": 2, "msg": "?", "id": "text"})
    assert list(subscriptions.wanted) == ["a"]
