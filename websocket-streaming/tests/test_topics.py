"""Wishes: whatever a client sends is read, never raised at."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from websocket_streaming.topics import MAX_DETAILS, Position, Topic, read_symbol, read_wish

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
FIELDS = st.sampled_from(["symbols", "channels", "market", "last", "interval"])


def test_lower_case_is_accepted_and_the_price_channel_on_spot_is_meant_by_default() -> None:
    wish = read_wish({"symbols": ["btcusdt", "BTCUSDT", "ethusdt"]})
    assert (wish.symbols, wish.channels, wish.market) == (["BTCUSDT", "ETHUSDT"], ["price"], "spot")
    assert wish.problems == []


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (None, "payload"), ([], "payload"), ("BTCUSDT", "payload"), (float("nan"), "payload"), ({}, "symbols"),
        ({"symbols": []}, "symbols"), ({"symbols": "BTCUSDT"}, "symbols"), ({"symbols": {"a": 1}}, "symbols"),
        ({"symbols": ["X"], "market": 5}, "market"), ({"symbols": ["X"], "market": "moon"}, "market"),
        ({"symbols": ["X"], "channels": "price"}, "channels"), ({"symbols": ["X"], "channels": []}, "channels"),
        ({"symbols": ["X"], "channels": [None]}, "channels"), ({"symbols": ["X"], "last": []}, "last"),
    ],
)  # fmt: skip
def test_a_malformed_wish_names_the_field(payload: Any, field: str) -> None:
    problems = read_wish(payload).problems
    assert [(problem.code, problem.details[0]["field"]) for problem in problems] == [("validation_error", field)]


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"symbol": ["BTCUSDT"], "symbols": ["ETHUSDT"]}, ["symbol"]), ({"symbols": ["X"], "chanels": 5}, ["chanels"]),
        ({"symbols": ["X"], "Market": "futures", "": 1}, ["Market", ""]), ({"symbols": ["X"], 5: 1}, ["a int"]),
    ],
)  # fmt: skip
def test_a_field_that_does_not_exist_is_named_with_those_that_do_while_the_rest_is_meant(
    payload: Any, named: list[str]
) -> None:
    wish = read_wish(payload)
    (problem,) = wish.problems
    assert problem.code == "validation_error"
    assert [detail["field"] for detail in problem.details] == named
    assert all("symbols, channels, market, interval, last" in detail["message"] for detail in problem.details)
    assert wish.topics == [Topic("price", "spot", payload["symbols"][0])]


def test_an_error_about_ten_thousand_fields_stays_small() -> None:
    (problem,) = read_wish({"symbols": ["X"]} | {f"{number}" * 50: 1 for number in range(10_000)}).problems
    assert len(problem.details) == MAX_DETAILS
    assert "and 9997 more" in problem.message
    assert len(str(problem.payload())) < 4000


@pytest.mark.parametrize("key", ["prices:BTCUSDT", "BTCUSDT", "price", "price:", "price:a b", ""])
def test_a_position_of_what_can_be_no_topic_is_named(key: str) -> None:
    (problem,) = read_wish({"symbols": ["BTCUSDT"], "last": {key: {"epoch": "e", "seq": 1}}}).problems
    assert problem.details[0]["field"] == "last"
    assert key in problem.message


def test_every_channel_of_both_markets_is_served_and_klines_have_an_interval() -> None:
    wish = read_wish({"symbols": ["btcusdt"], "market": "futures", "channels": ["klines", "liquidations"]})
    assert wish.topics == [Topic("klines", "futures", "BTCUSDT", "1m"), Topic("liquidations", "futures", "BTCUSDT")]
    assert read_wish({"symbols": ["X"], "channels": ["klines"], "interval": "1M"}).topics[0].interval == "1M"
    assert wish.problems == []


def test_spot_has_no_liquidations_while_the_other_channels_are_meant() -> None:
    wish = read_wish({"symbols": ["BTCUSDT"], "channels": ["price", "liquidations"]})
    assert wish.channels == ["price"]
    assert [problem.details[0]["field"] for problem in wish.problems] == ["channels"]


@pytest.mark.parametrize(
    ("market", "interval"), [("spot", "7m"), ("futures", "1s"), ("spot", None), ("spot", ["1m"]), ("spot", "1H")]
)
def test_a_wrong_interval_is_named_while_the_other_channels_are_meant(market: str, interval: Any) -> None:
    wish = read_wish({"symbols": ["X"], "channels": ["klines", "price"], "interval": interval, "market": market})
    assert [problem.details[0]["field"] for problem in wish.problems] == ["interval"]
    assert wish.channels == ["price"]


def test_positions_are_read_per_channel_symbol_and_interval() -> None:
    last = {"price:btcusdt": {"epoch": "e", "seq": 7}, "klines:BTCUSDT:5m": {"epoch": "e", "seq": 3}, "trades:X": 5}
    wish = read_wish({"symbols": ["BTCUSDT"], "channels": ["price", "klines"], "interval": "5m", "last": last})
    assert [wish.position(topic) for topic in wish.topics] == [Position("e", 7), Position("e", 3)]
    assert wish.position(Topic("trades", "spot", "X")) == Position("", 0)
    assert wish.position(Topic("price", "spot", "ETHUSDT")) is None


def test_wrong_symbols_are_named_and_the_valid_rest_is_meant() -> None:
    wish = read_wish({"symbols": ["BTCUSDT", 5, "a b", "", "X" * 33, None, float("nan")]})
    assert wish.symbols == ["BTCUSDT"]
    assert len(wish.problems) == 1
    assert len(wish.problems[0].details) == 6


def test_an_error_about_ten_thousand_symbols_stays_small() -> None:
    wish = read_wish({"symbols": ["no symbol"] * 10_000})
    assert len(wish.problems[0].details) == MAX_DETAILS
    assert "and 9997 more" in wish.problems[0].message


@pytest.mark.parametrize(("text", "symbol"), [("币安人生usdt", "币安人生USDT"), ("btcusdt_260925", "BTCUSDT_260925")])
def test_symbols_may_hold_any_scripts_letters_and_an_underscore(text: str, symbol: str) -> None:
    assert read_symbol(text) == symbol


@settings(max_examples=300)
@given(JSON | st.dictionaries(FIELDS, JSON, max_size=5))
def test_whatever_was_sent_is_read(payload: Any) -> None:
    wish = read_wish(payload)
    assert all(read_symbol(symbol) == symbol for symbol in wish.symbols)
    assert len(wish.problems) <= 10
    assert all(problem.payload().keys() == {"code", "message", "details"} for problem in wish.problems)
