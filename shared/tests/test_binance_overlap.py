"""Two connections merged: no gap and no duplicate, however they lag behind one another."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.binance_overlap import MAX_HELD_BYTES, Overlap


def message(stream: str, **data: object) -> bytes:
    return orjson.dumps({"stream": stream, "data": data})


def trade(number: int, symbol: str = "btcusdt") -> bytes:
    return message(f"{symbol}@trade", e="trade", E=1, t=number)


@given(st.data())
def test_every_message_is_heard_once_and_in_order(data: st.DataObject) -> None:
    """The old one brings 0 … last, the next one first … end; the exchange loses nothing, so first ≤ last + 1."""
    last = data.draw(st.integers(0, 30))
    first = data.draw(st.integers(0, last + 1))
    end = data.draw(st.integers(max(first, last + 1), 40))
    old, following = [trade(n) for n in range(last + 1)], [trade(n) for n in range(first, end)]
    overlap, heard = Overlap(), []
    while old or following:
        if old and (not following or data.draw(st.booleans())):
            overlap.hear(old[0])
            heard.append(old.pop(0))
        else:
            overlap.hold(following.pop(0))
    assert heard + overlap.release() == [trade(n) for n in range(end)]


def test_they_have_met_when_the_old_one_has_brought_what_the_next_one_began_with() -> None:
    overlap = Overlap()
    met = [overlap.has_met]
    overlap.hold(trade(5))
    overlap.hold(trade(9, "ethusdt"))
    for text in (trade(4), trade(9, "ethusdt"), trade(5)):
        met.append(overlap.has_met)
        overlap.hear(text)
    assert [*met, overlap.has_met] == [True, False, False, False, True]


@pytest.mark.parametrize(
    "data",
    [
        {"e": "aggTrade", "a": 7}, {"e": "depthUpdate", "U": 5, "u": 7}, {"u": 7, "s": "BTCUSDT"},
        {"lastUpdateId": 7, "bids": []}, {"e": "24hrTicker", "E": 7}, {"e": "kline", "E": 7, "k": {}},
    ],
)  # fmt: skip
def test_every_kind_of_stream_says_its_place(data: dict[str, object]) -> None:
    overlap, text = Overlap(), message("x", **data)
    overlap.hear(text)
    overlap.hold(text)
    assert overlap.release() == []


def test_what_says_no_place_is_left_to_the_old_connection() -> None:
    overlap = Overlap()
    for text in (b"garbage", b"[]", b'{"stream":"x","data":[]}', message("x", e="trade"), message("x", E="late")):
        overlap.hear(text)
        overlap.hold(text)
    assert overlap.has_met
    assert overlap.release() == []


def test_what_is_held_has_a_bound() -> None:
    overlap = Overlap()
    text = message("x", E=1, filler="x" * 1_000_000)
    for _ in range(MAX_HELD_BYTES // len(text)):
        overlap.hold(text)
    before = overlap.is_full
    overlap.hold(text)
    assert (before, overlap.is_full) == (False, True)
