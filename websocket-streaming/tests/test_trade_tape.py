"""The tape of trades: each once, in the order of ids; holes are found, filled, or given up and counted."""

import random

from hypothesis import given
from hypothesis import strategies as st

from websocket_streaming.ticks import Trade
from websocket_streaming.trade_tape import TradeTape


def trade(id: int) -> Trade:
    return Trade(100.0, id, 1, 1.0, 1, False)


def ids(trades: list[Trade]) -> list[int]:
    return [one.trade_id for one in trades]


def test_trades_in_order_go_on_at_once_and_repeats_do_not() -> None:
    tape = TradeTape()
    assert [ids(tape.on_trade(trade(id))) for id in (5, 6, 6, 5, 7)] == [[5], [6], [], [], [7]]
    assert (tape.hole, tape.gaps_found) == (None, 0)


def test_what_comes_after_a_hole_waits_until_rest_fills_it() -> None:
    tape = TradeTape()
    for id in (1, 4, 5):
        tape.on_trade(trade(id))
    assert (tape.hole, tape.gaps_found, tape.gaps_filled) == ((2, 3), 1, 0)
    assert ids(tape.fill([trade(2), trade(3)])) == [2, 3, 4, 5]
    assert (tape.hole, tape.gaps_found, tape.gaps_filled) == (None, 1, 1)


def test_trades_that_only_came_in_another_order_fill_the_hole_themselves() -> None:
    tape = TradeTape()
    came = [ids(tape.on_trade(trade(id))) for id in (1, 3, 5, 2, 4, 6)]
    assert came == [[1], [], [], [2, 3], [4, 5], [6]]
    assert (tape.hole, tape.gaps_found) == (None, tape.gaps_filled)


def test_a_trade_that_others_know_is_a_hole_too() -> None:
    tape = TradeTape()
    tape.on_trade(trade(1))
    holes = []
    for id in (1, 3, 4):
        tape.expect(id)
        holes.append(tape.hole)
    assert holes == [None, (2, 3), (2, 4)]
    assert ids(tape.fill([trade(2), trade(3)])) == [2, 3]
    assert tape.hole == (4, 4)
    assert ids(tape.on_trade(trade(4))) == [4]
    assert tape.gaps_found == tape.gaps_filled == 1


def test_a_hole_that_cannot_be_filled_is_given_up_and_said_how_large_it_was() -> None:
    tape = TradeTape()
    for id in (1, 4, 8):
        tape.on_trade(trade(id))
    missing, placed = tape.give_up()
    assert (missing, ids(placed)) == (2, [4])
    assert tape.hole == (5, 7)
    assert ids(list(tape.trades)) == [4], "the tape shows no hole"
    assert (tape.gaps_found, tape.gaps_filled) == (2, 0)


def test_history_goes_before_what_is_held_and_only_where_it_fits() -> None:
    tape = TradeTape()
    tape.on_trade(trade(10))
    tape.prepend([trade(id) for id in (8, 9, 10, 11)])
    assert ids(list(tape.trades)) == [8, 9, 10]
    tape.prepend([trade(id) for id in (4, 5, 6)])
    assert ids(list(tape.trades)) == [8, 9, 10]
    empty = TradeTape()
    empty.prepend([trade(1), trade(2)])
    assert ids(empty.on_trade(trade(3))) == [3]


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_whatever_is_lost_repeated_or_swapped_comes_out_whole_and_once(seed: int, count: int) -> None:
    rng = random.Random(seed)
    sent = [trade(id) for id in range(1, count + 1)]
    frames = [sent[0], *(frame for frame in sent[1:] for _ in range(rng.choice([0, 1, 1, 1, 2])))]
    for _ in range(rng.randrange(5)):
        if len(frames) > 2:
            at = rng.randrange(1, len(frames) - 1)
            frames[at], frames[at + 1] = frames[at + 1], frames[at]
    tape, out = TradeTape(), []
    for frame in frames:
        out += tape.on_trade(frame)
        if tape.hole and rng.random() < 0.3:
            first, last = tape.hole
            out += tape.fill(sent[first - 1 : last])
    tape.expect(count)
    while tape.hole:
        first, last = tape.hole
        out += tape.fill(sent[first - 1 : last])
    assert out == sent
    assert tape.gaps_found == tape.gaps_filled
