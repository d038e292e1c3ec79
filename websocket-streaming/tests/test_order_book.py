"""The order book: exact, sorted, and honest about how far it reaches."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from websocket_streaming.order_book import MAX_LEVELS, SHALLOW, BadLevel, OrderBook, Side, number, scaled
from websocket_streaming.ticks import Depth, Snapshot


def plain_text(value: Decimal) -> str:
    return format(value, "f")


PRICES = st.decimals(min_value="0.00000001", max_value="999999", places=8).map(plain_text)


def test_best_levels_come_first_with_the_exchanges_own_texts() -> None:
    snapshot = Snapshot(7, [("10.00", "1.50"), ("9.90", "2")], [("10.10", "3"), ("10.20", "4")])
    book = OrderBook(snapshot, 100)
    bids, asks = book.apply(Depth(1, 8, 9, [("9.95", "5"), ("9.90", "0.000")], [("10.05", "1"), ("77", "0")]))
    assert (bids, asks) == ([("9.95", "5"), ("9.90", "0.000")], [("10.05", "1")]), "an unknown level can't be deleted"
    assert book.bids.best(5) == [("10.00", "1.50"), ("9.95", "5")]
    assert book.asks.best(2) == [("10.05", "1"), ("10.10", "3")]
    assert (book.update_id, book.is_crossed) == (9, False)


def test_the_same_price_in_another_form_is_the_same_level() -> None:
    side = Side(-1, [("10.0", "1")], is_cut=False)
    side.apply([("10.00000000", "2")])
    assert side.best(5) == [("10.00000000", "2")]


def test_a_crossed_book_is_told() -> None:
    book = OrderBook(Snapshot(1, [("10", "1")], [("11", "1")]), 100)
    book.apply(Depth(1, 2, 2, [("11", "1")], []))
    assert book.is_crossed


def test_levels_beyond_a_cut_snapshot_are_left_out_and_nearing_the_border_is_told() -> None:
    levels = [(str(1000 - n), "1") for n in range(SHALLOW)]
    side = Side(-1, levels, is_cut=True)
    assert side.apply([(str(1000 - SHALLOW), "1"), ("1001", "1")]) == [("1001", "1")]
    shallow = [side.is_shallow]
    side.apply([("1001", "0"), ("1000", "0")])
    assert [*shallow, side.is_shallow] == [False, True]
    whole = Side(-1, levels[:3], is_cut=False)
    assert whole.apply([("1", "1")]) == [("1", "1")]
    assert not whole.is_shallow


def test_a_side_is_bounded_and_says_which_levels_it_let_go() -> None:
    side = Side(1, [(str(n), "1") for n in range(1, MAX_LEVELS + 1)], is_cut=False)
    changed = side.apply([("0.5", "1")])
    assert changed[0] == ("0.5", "1")
    assert {quantity for _, quantity in changed[1:]} == {"0"}
    assert len(side) == MAX_LEVELS + 1 - len(changed[1:])
    assert side.apply([(str(MAX_LEVELS + 5), "1")]) == [], "beyond the new border"


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1e5", "nan", "1_0", " 1", "1.2.3", "\u0661", "1" * 30, "0." + "1" * 11]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(BadLevel):
        scaled(text)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "x"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(BadLevel):
        Side(-1, [("1", text)], is_cut=False)


@given(PRICES | st.decimals(min_value=0, max_value="99999999999999", places=8).map(plain_text))
def test_a_number_leaves_with_exactly_the_exchanges_value(text: str) -> None:
    assert Decimal(orjson.dumps(number(text)).decode()) == Decimal(text)
    assert Decimal(scaled(text)) == Decimal(text).scaleb(10)


@given(st.lists(st.tuples(PRICES, st.sampled_from(["0", "0.00", "1", "2.5"])), max_size=60))
def test_a_side_equals_a_plain_dictionary(levels: list[tuple[str, str]]) -> None:
    plain: dict[Decimal, str] = {}
    bids, asks = Side(-1, [], is_cut=False), Side(1, [], is_cut=False)
    for price, quantity in levels:
        bids.apply([(price, quantity)])
        asks.apply([(price, quantity)])
        plain[Decimal(price)] = quantity
    held = sorted((price, quantity) for price, quantity in plain.items() if Decimal(quantity))
    assert [(Decimal(price), quantity) for price, quantity in asks.best(100)] == held
    assert [(Decimal(price), quantity) for price, quantity in bids.best(100)] == held[::-1]
