"""Subscriptions: the first opens, last closes, each client has its bound."""

from hypothesis import given
from hypothesis import strategies as st

from websocket_streaming.subscriptions import Subscriptions
from websocket_streaming.topics import Topic


def topic(symbol: str, channel: str = "price") -> Topic:
    return Topic(channel, "spot", symbol)


def test_the_first_client_opens_and_the_last_one_closes() -> None:
    subscriptions = Subscriptions([], 200)
    assert subscriptions.add("a", [topic("X")]) == [topic("X")]
    assert subscriptions.add("b", [topic("X")]) == []
    assert subscriptions.remove("a", [topic("X")]) == []
    assert subscriptions.drop("b") == [topic("X")]
    assert not subscriptions.is_wanted(topic("X"))


def test_permanent_topics_stay_open_and_show_zero() -> None:
    subscriptions = Subscriptions([topic("BTCUSDT")], 200)
    assert subscriptions.add("a", [topic("BTCUSDT")]) == []
    assert subscriptions.drop("a") == []
    assert subscriptions.wanted == [topic("BTCUSDT")]
    assert subscriptions.by_symbol == {"BTCUSDT": 0}


def test_asking_twice_counts_once() -> None:
    subscriptions = Subscriptions([], 200)
    subscriptions.add("a", [topic("X"), topic("X")])
    subscriptions.add("a", [topic("X")])
    assert (subscriptions.total, subscriptions.by_symbol) == (1, {"X": 1})


def test_a_client_has_room_for_so_many_symbols_and_channels_of_one_symbol_count_once() -> None:
    subscriptions = Subscriptions([], 2)
    subscriptions.add("a", [topic("X")])
    wished = [topic("X"), topic("X", "trades"), topic("Y"), topic("Z"), topic("Y", "trades")]
    fitting = [topic("X"), topic("X", "trades"), topic("Y"), topic("Y", "trades")]
    assert subscriptions.room("a", wished) == fitting
    assert subscriptions.room("b", [topic("X"), topic("Y"), topic("Z")]) == [topic("X"), topic("Y")]


def test_forgetting_what_nobody_asked_for_is_harmless() -> None:
    subscriptions = Subscriptions([topic("X")], 200)
    assert subscriptions.remove("nobody", [topic("X"), topic("Y")]) == []
    assert subscriptions.drop("nobody") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("XYZ"), st.sampled_from(["add", "remove", "drop"]))))
def test_counts_agree_with_a_plain_set_of_pairs(steps: list[tuple[str, str, str]]) -> None:
    subscriptions, model = Subscriptions([topic("X")], 200), set[tuple[str, str]]()
    for client, symbol, step in steps:
        if step == "add":
            subscriptions.add(client, [topic(symbol)])
            model.add((client, symbol))
        elif step == "remove":
            subscriptions.remove(client, [topic(symbol)])
            model.discard((client, symbol))
        else:
            subscriptions.drop(client)
            model = {pair for pair in model if pair[0] != client}
    assert subscriptions.total == len(model)
    for symbol in "XYZ":
        assert set(subscriptions.clients(topic(symbol))) == {client for client, wanted in model if wanted == symbol}
    assert {wanted.symbol for wanted in subscriptions.wanted} == {"X"} | {symbol for _, symbol in model}
