"""Numbers of updates, and what a client that was away gets of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.testing.fakes import FakeClock
from websocket_streaming.journal import KEPT_S, MAX_KEPT_OF_TOPIC, Journal
from websocket_streaming.topics import Position, Topic

BTC, ETH = Topic("price", "spot", "BTCUSDT"), Topic("trades", "spot", "ETHUSDT")


class Desk:
    """A journal and what left it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.published: list[int] = []
        self.sent: list[int] = []
        self.room = True
        self.on_publish: list[Any] = []
        self.journal = Journal(self, "e1", self.clock)
        self.journal.open(BTC)

    def publish(self, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        if self.on_publish:
            self.on_publish.pop()()
        self.published.append(document["seq"])

    def send(self, name: str, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        self.sent.append(document["seq"])

    def has_room(self, name: str) -> bool:
        return self.room

    def say(self, count: int = 1, topic: Topic = BTC) -> None:
        for _ in range(count):
            self.journal.publish(topic, "price_update", {"price": 1.0})

    def replay(self, seq: int, epoch: str = "e1", topic: Topic = BTC) -> bool:
        return topic in self.journal.replay("client", {topic: Position(epoch, seq)})


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_numbers_rise_by_one_and_say_their_epoch_and_venue(desk: Desk) -> None:
    desk.journal.venue = "simulator"
    document: dict[str, Any] = {"price": 1.0}
    desk.say(2)
    desk.journal.publish(BTC, "price_update", document)
    assert document == {"price": 1.0, "venue": "simulator", "seq": 3, "epoch": "e1"}
    assert desk.journal.stamped(BTC, {}) == {"venue": "simulator", "seq": 3, "epoch": "e1"}


def test_who_was_away_gets_all_since(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(3)
    desk.journal.unfollow(BTC)
    desk.say(4)
    assert desk.replay(3)
    assert desk.sent == [4, 5, 6, 7]
    desk.sent.clear()
    assert desk.replay(7), "nothing was missed"
    assert desk.sent == []


@pytest.mark.parametrize(("epoch", "seq"), [("e0", 2), ("e1", 9), ("e1", 0), ("e1", -1), ("e1", 10**30), ("", 0)])
def test_a_position_that_is_none_of_this_epochs_cannot_be_served(desk: Desk, epoch: str, seq: int) -> None:
    desk.journal.follow(BTC)
    desk.say(3)
    assert not desk.replay(seq, epoch)
    assert desk.sent == []


def test_what_left_while_nobody_listened_for_long_is_not_kept(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(1)
    desk.journal.unfollow(BTC)
    desk.clock.advance(KEPT_S + 1)
    desk.say(2)
    assert not desk.replay(1)


def test_updates_older_than_a_minute_are_let_go(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(5)
    desk.clock.advance(KEPT_S + 1)
    desk.say(2)
    assert not desk.replay(3)
    assert desk.replay(5)
    assert desk.sent == [6, 7]


def test_what_was_kept_for_listeners_long_gone_costs_the_new_ones_nothing(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(50)
    desk.journal.unfollow(BTC)
    desk.clock.advance(KEPT_S + 1)
    desk.say(1)
    desk.journal.follow(BTC)
    desk.say(10)
    assert desk.replay(52)
    assert desk.sent == list(range(53, 62))


def test_updates_that_nobody_hears_are_numbered_and_never_seem_to_be_kept(desk: Desk) -> None:
    assert not desk.journal.is_heard(BTC)
    desk.journal.pass_over(BTC, 3)
    desk.journal.follow(BTC)
    assert desk.journal.is_heard(BTC)
    desk.say(1)
    desk.journal.unfollow(BTC)
    desk.clock.advance(KEPT_S - 1)
    assert desk.journal.is_heard(BTC)
    desk.clock.advance(2)
    assert not desk.journal.is_heard(BTC)
    desk.journal.pass_over(BTC)
    assert (desk.journal.seq(BTC), desk.replay(3)) == (5, False)


def test_a_topic_keeps_a_bounded_number(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(MAX_KEPT_OF_TOPIC + 10)
    assert not desk.replay(9)
    assert desk.replay(20)
    assert desk.sent[0] == 21


def test_a_topic_that_was_closed_meanwhile_never_seems_to_follow_on(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(3)
    desk.journal.close(BTC)
    desk.journal.open(BTC)
    assert not desk.replay(3)
    desk.say(1)
    assert desk.published[-1] > 3


def test_nothing_leaves_on_a_topic_that_is_closed(desk: Desk) -> None:
    desk.say(1, ETH)
    assert desk.published == []


def test_what_comes_while_a_client_takes_what_it_missed_is_sent_too(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(3)
    real = desk.send

    def send(name: str, topic: Topic, event: str, document: Mapping[str, Any]) -> None:
        real(name, topic, event, document)
        if document["seq"] == 2:
            desk.say(1)

    desk.send = send  # type: ignore[method-assign]  # a spy
    assert desk.replay(1)
    assert desk.sent == [2, 3, 4]


def test_a_client_that_takes_nothing_is_given_up(desk: Desk) -> None:
    desk.journal.follow(BTC)
    desk.say(3)
    desk.room = False
    assert not desk.replay(1)
    assert desk.clock.monotonic() > 1000 + KEPT_S / 2


def test_updates_leave_in_the_order_of_their_numbers_even_if_one_is_published_within_another(desk: Desk) -> None:
    desk.on_publish = [lambda: desk.say(1)]
    desk.say(2)
    assert desk.published == [1, 2, 3]
