"""The book that a client rebuilds from a snapshot and its updates, held against what it is told beside them."""

from collections.abc import Sequence
from itertools import pairwise

from market_simulator.market import BookTicker, BookView, DepthUpdate, Event
from market_simulator.order_book import OrderBook


def replay(before: BookView, events: Sequence[Event]) -> tuple[OrderBook, int]:
    """Rebuild the book as a client does; the number of bookTickers that had a depth update's id, and equalled it."""
    book, update_id, compared = OrderBook(before.bids, before.asks), before.last_update_id, 0
    told = [event for event in events if isinstance(event, BookTicker)]
    assert all(later.update_id > earlier.update_id for earlier, later in pairwise(told))
    tickers = {event.update_id: event for event in told}
    for event in events:
        if not isinstance(event, DepthUpdate):
            continue
        assert event.first_id == update_id + 1
        update_id = event.last_id
        book.apply(event.bids, event.asks)
        bid, ask = book.best()
        assert bid is not None
        assert ask is not None
        assert bid[0] < ask[0], f"crossed at {update_id}"
        if ticker := tickers.get(update_id):
            assert (ticker.bid, ticker.ask) == (bid, ask), f"bookTicker {update_id}"
            compared += 1
    return book, compared
