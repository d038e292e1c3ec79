"""The exact book of integers."""

from hypothesis import given
from hypothesis import strategies as st

from market_simulator.order_book import BookSide, OrderBook, difference

LEVELS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=60)


@given(LEVELS)
def test_a_side_holds_the_last_quantity_of_each_price_in_order(levels: list[tuple[int, int]]) -> None:
    side, expected = BookSide(), dict[int, int]()
    for price, quantity in levels:
        side.apply(price, quantity)
        expected[price] = quantity
    left = sorted((price, quantity) for price, quantity in expected.items() if quantity)
    assert side.ascending() == left
    assert side.descending() == left[::-1]
    assert side.highest() == (left[-1] if left else None)
    assert side.lowest() == (left[0] if left else None)
    assert len(side) == len(left)


@given(LEVELS, LEVELS)
def test_the_difference_of_two_sides_turns_one_into_the_other(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    before, after = BookSide(dict(first).items()), BookSide(dict(second).items())
    changed = difference(before.quantities, after.quantities)
    for price, quantity in changed:
        assert before.quantities.get(price, 0) != quantity, "a level that did not change"
        before.apply(price, quantity)
    assert before.ascending() == after.ascending()


def test_the_first_levels_of_a_book_come_best_first() -> None:
    book = OrderBook([(9, 1), (10, 2), (8, 3)], [(12, 1), (11, 2), (13, 0)])
    assert book.best() == ((10, 2), (11, 2))
    assert book.bids.descending(2) == [(10, 2), (9, 1)]
    assert book.asks.ascending(5) == [(11, 2), (12, 1)]


def test_deleting_an_unknown_level_changes_nothing() -> None:
    book = OrderBook([(10, 2)], [(11, 2)])
    book.apply([(9, 0)], [(12, 0)])
    assert book.best() == ((10, 2), (11, 2))
    assert (len(book.bids), len(book.asks)) == (1, 1)
