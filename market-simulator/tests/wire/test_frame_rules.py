"""Lies about frames as pure decisions: which one is left out, repeated, held, aged or broken, and the record of it."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_simulator.wire.frame_rules import (
    MAX_HELD,
    MAX_RECORDED,
    BadJson,
    Delay,
    Duplicate,
    Frame,
    FrameRule,
    FrameRules,
    OldTimes,
    Reorder,
    Silence,
    Target,
)
from market_simulator.wire.streams import parse_stream

TRADES, OTHERS = parse_stream("btcusdt@trade"), parse_stream("ethusdt@trade")


def frame(id: int, channel: Any = TRADES) -> Frame:
    return Frame(channel, id, lambda scale: {"e": "trade", "E": id * 100 * scale, "t": id, "s": "BTCÜSDT"})


def send(rules: FrameRules, count: int, channel: Any = TRADES) -> list[Any]:
    """Frames 0, 1, 2 … at 100 ms each: the ids that come out, in order."""
    sent: list[Frame] = []
    for id in range(count):
        sent += rules.due(id * 100)
        sent += rules.pass_on(frame(id, channel), id * 100)
    return [one.id for one in sent]


def with_rule(*some: FrameRule) -> FrameRules:
    rules = FrameRules()
    for one in some:
        rules.add(one)
    return rules


MAKERS: list[Callable[[int], Any]] = [
    lambda seed: Silence(Target(TRADES), seed, 0.3),
    lambda seed: Duplicate(Target(TRADES), seed, 0.3),
    lambda seed: Reorder(Target(TRADES), seed, 0.3, places=2),
    lambda seed: Delay(Target(TRADES), seed, delay_ms=700),
    lambda seed: OldTimes(Target(TRADES), seed, 0.3, age_ms=5_000),
    lambda seed: BadJson(Target(TRADES), seed, 0.3),
]
every_rule = pytest.mark.parametrize("make", MAKERS)


@every_rule
def test_the_same_seed_strikes_the_same_frames_and_its_record_names_them(make: Any) -> None:
    first, second = make(5), make(5)
    assert send(with_rule(first), 300) == send(with_rule(second), 300)
    assert first.truth() == second.truth()
    assert first.truth()["frames"] == len(first.truth()["newest"]) > 50
    assert {one["symbol"] for one in first.truth()["newest"]} == {"BTCUSDT"}


@every_rule
def test_other_streams_are_left_alone(make: Any) -> None:
    rule = make(5)
    rules = with_rule(rule)
    other = frame(3, OTHERS)
    assert rules.pass_on(other, 0) == [other]
    assert rule.truth()["frames"] == 0


def test_silence_leaves_out_exactly_what_it_names() -> None:
    rule = Silence(Target(symbol="BTCUSDT"), 1, 0.5)
    sent = send(with_rule(rule), 200)
    assert sorted(sent + [one["id"] for one in rule.newest]) == list(range(200))
    everything = Silence(Target(), 1)
    assert send(with_rule(everything), 20) == []


def test_duplicates_come_right_after_the_first() -> None:
    rule = Duplicate(Target(TRADES), 1, 0.5)
    sent = send(with_rule(rule), 200)
    twice = {one["id"] for one in rule.newest}
    assert sent == [id for id in range(200) for _ in range(1 + (id in twice))]
    assert 50 < len(twice) < 150


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_a_reordered_frame_comes_so_many_places_later_and_none_is_lost(seed: int, places: int) -> None:
    rule = Reorder(Target(TRADES), seed, 0.4, places=places)
    rules = with_rule(rule)
    sent = send(rules, 60) + [one.id for one in rules.remove(rule, 6_000)]
    assert sorted(sent) == list(range(60))
    struck = {one["id"] for one in rule.newest}
    for id in struck:
        behind = [other for other in sent[: sent.index(id)] if other > id]
        assert len(behind) == min(places, 59 - id)
    kept = [id for id in sent if id not in struck]
    assert kept == sorted(kept)


def test_a_frame_held_for_one_that_never_comes_is_sent_after_a_while() -> None:
    rules = with_rule(Reorder(Target(TRADES), 1))
    assert rules.pass_on(frame(1), 0) == []
    assert rules.due(9_999) == []
    assert [one.id for one in rules.due(10_000)] == [1]


def test_a_slow_feed_keeps_its_order_is_late_by_its_delay_and_bounded() -> None:
    rule = Delay(Target(TRADES), 1, delay_ms=1_000)
    rules = with_rule(rule)
    assert send(rules, 30) == list(range(20))
    assert [one.id for one in rules.remove(rule, 3_000)] == list(range(20, 30))
    endless = Delay(Target(TRADES), 1, delay_ms=10**9)
    sent = send(with_rule(endless), MAX_HELD + 50)
    assert sent == list(range(50)), "the oldest go early"
    assert endless.truth()["sent_early"] == 50
    assert len(endless.truth()["newest"]) == MAX_RECORDED


def test_old_event_times_lie_back_by_their_age_in_both_units_and_nothing_else_changes() -> None:
    rules = with_rule(OldTimes(Target(), 1, age_ms=60_000))
    (aged,) = rules.pass_on(frame(900), 0)
    assert aged.build(1) == {**frame(900).build(1), "E": 90_000 - 60_000}
    assert aged.build(1000)["E"] == 30_000_000
    timeless = Frame(TRADES, 1, lambda _: {"u": 1})
    assert rules.pass_on(timeless, 0) == [timeless]
    (array,) = rules.pass_on(Frame(TRADES, 1, lambda scale: [{"E": 70_000 * scale}, {"E": 80_000 * scale}]), 0)
    assert array.build(1) == [{"E": 10_000}, {"E": 20_000}]


@given(st.integers(0, 2**32))
def test_broken_text_is_never_json_and_always_utf8(seed: int) -> None:
    rules = with_rule(BadJson(Target(), seed))
    text = json.dumps(frame(7).build(1), ensure_ascii=False).encode()
    for _ in range(10):
        (broken,) = rules.pass_on(frame(7), 0)
        assert broken.spoil is not None
        with pytest.raises(json.JSONDecodeError):
            json.loads(broken.spoil(text).decode("utf-8"))


@given(st.lists(st.sampled_from(range(len(MAKERS))), min_size=2, max_size=4), st.integers(0, 2**20))
def test_rules_combine_and_only_silence_loses_frames(chosen: list[int], seed: int) -> None:
    some: list[Any] = [MAKERS[number](seed + place) for place, number in enumerate(chosen)]
    rules = with_rule(*some)
    sent = send(rules, 80)
    for rule in some:
        sent += [one.id for one in rules.remove(rule, 8_000)]
    assert len(rules) == 0
    counts = Counter(sent)
    assert set(counts) <= set(range(80))
    if not any(isinstance(rule, Silence) for rule in some):
        assert set(counts) == set(range(80))
    if not any(isinstance(rule, Duplicate) for rule in some):
        assert set(counts.values()) <= {1}


def test_a_rule_that_is_not_in_force_ends_without_effect() -> None:
    assert FrameRules().remove(Silence(Target(), 1), 0) == []
