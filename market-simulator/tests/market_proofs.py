"""What every market must keep, recorded or generated: checks shared by the market tests.

Each returns how many things it compared, so that a test can insist that something was compared at all.
"""

from collections.abc import Sequence

from market_simulator.intervals import later_open
from market_simulator.market import (
    BookTicker,
    BookView,
    DepthUpdate,
    Event,
    Kline,
    SymbolMarket,
    Trade,
)
from market_simulator.order_book import OrderBook

FIRST_MS = 1_786_200_000_000  # 2026-08-08T14:40:00Z


def advance(market: SymbolMarket, from_ms: int, to_ms: int, step_ms: int = 20) -> tuple[BookView, list[Event]]:
    """The book at `from_ms` and everything that happened until `to_ms`, taken in small steps as a server does."""
    assert market.advance(from_ms) == []
    before = market.book()
    events: list[Event] = []
    for at_ms in range(from_ms + step_ms, to_ms + step_ms, step_ms):
        events += market.advance(min(at_ms, to_ms))
    return before, events


def replay(before: BookView, events: Sequence[Event]) -> tuple[OrderBook, int]:
    """Rebuild the book as a client does; each bookTicker with a depth update's id must equal it, and no id is missing."""
    book, update_id, compared = OrderBook(before.bids, before.asks), before.last_update_id, 0
    tops = {update_id: book.best()}
    tickers = [event for event in events if isinstance(event, BookTicker)]
    for event in events:
        if isinstance(event, DepthUpdate):
            assert event.first_id == update_id + 1, f"update {event.first_id} follows {update_id}"
            book.apply(event.bids, event.asks)
            update_id = event.last_id
            bid, ask = tops[update_id] = book.best()
            assert bid is not None
            assert ask is not None
            assert bid[0] < ask[0], f"crossed at {update_id}: {bid} {ask}"
    for ticker in tickers:
        if ticker.update_id in tops:
            assert (ticker.bid, ticker.ask) == tops[ticker.update_id], f"bookTicker {ticker.update_id}"
            compared += 1
    return book, compared


def check_ids(events: Sequence[Event]) -> int:
    """Trade ids without a hole, bookTicker ids rising, times not falling."""
    trades = [event for event in events if isinstance(event, Trade)]
    for previous, trade in zip(trades, trades[1:], strict=False):
        assert trade.id == previous.id + 1
        assert trade.at_ms >= previous.at_ms
    tickers = [event.update_id for event in events if isinstance(event, BookTicker)]
    assert tickers == sorted(set(tickers))
    return len(trades)


def recount(trades: Sequence[Trade], opened: int, following: int, previous_close: int) -> Kline:
    """One bar from its trades, by adding them up."""
    inside = [trade for trade in trades if opened <= trade.at_ms < following]
    if not inside:
        price = previous_close
        return Kline(opened, following - 1, price, price, price, price, 0, 0, 0, 0, 0, -1, -1)
    prices = [trade.price for trade in inside]
    bought = [trade for trade in inside if not trade.buyer_is_maker]
    return Kline(
        opened, following - 1, prices[0], max(prices), min(prices), prices[-1],
        sum(trade.quantity for trade in inside), sum(trade.price * trade.quantity for trade in inside), len(inside),
        sum(trade.quantity for trade in bought), sum(trade.price * trade.quantity for trade in bought),
        inside[0].id, inside[-1].id,
    )  # fmt: skip


def all_trades(market: SymbolMarket, now_ms: int, start_ms: int, end_ms: int) -> list[Trade]:
    """The trades in [start_ms, end_ms]."""
    return market.trades(now_ms, limit=10_000_000, start_ms=start_ms, end_ms=end_ms)


def check_klines(market: SymbolMarket, now_ms: int, interval: str, bars: int, offset_ms: int = 0) -> int:
    """The newest bars equal what recounting the trades gives."""
    klines = market.klines(now_ms, interval, limit=bars, offset_ms=offset_ms)
    trades = all_trades(market, now_ms, klines[0].open_ms, now_ms)
    before = market.trades(now_ms, limit=1, end_ms=klines[0].open_ms - 1)
    close = before[0].price if before else klines[0].open
    for kline in klines:
        following = later_open(kline.open_ms, interval, 1, offset_ms)
        assert kline == recount(trades, kline.open_ms, following, close)
        close = kline.close
    return len(trades)


def check_window(market: SymbolMarket, now_ms: int, length_ms: int) -> int:
    """The rolling window equals what recounting its trades gives."""
    window = market.window(now_ms, length_ms)
    trades = all_trades(market, now_ms, now_ms - length_ms, now_ms)
    bar = recount(trades, now_ms - length_ms, now_ms + 1, window.previous_close)
    assert (window.open_ms, window.close_ms) == (now_ms - length_ms, now_ms)
    assert (window.open, window.high, window.low, window.last) == (bar.open, bar.high, bar.low, bar.close)
    assert (window.volume, window.quote_volume, window.count) == (bar.volume, bar.quote_volume, bar.trades)
    assert (window.first_id, window.last_id) == (bar.first_id, bar.last_id)
    before = market.trades(now_ms, limit=1, end_ms=window.open_ms - 1)
    assert [window.previous_close] == [trade.price for trade in before]
    assert window.last_quantity == (trades[-1].quantity if trades else 0)
    return len(trades)
