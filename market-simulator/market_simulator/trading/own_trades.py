"""Trades of our own orders amid a market's: they take ids of their own, and the ids after them shift by one each.

An own trade stands behind all that the market's history knows at its instant, so nothing told already changes.
"""

from bisect import bisect_left, bisect_right
from dataclasses import replace

from market_simulator.market import Kline, SymbolMarket, Trade, Window


class OwnTrades:
    """The history calls of a market with own trades. They are bounded by who adds them (orders.MAX_FILLS)."""

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._trades: list[Trade] = []
        self._ids: list[int] = []
        self._times: list[int] = []
        self._anchors: list[int] = []  # the market's trade that each own one follows, by the market's own id

    def __len__(self) -> int:
        return len(self._trades)

    def add(self, price: int, quantity: int, buyer_is_maker: bool, at_ms: int) -> tuple[Trade, int]:
        """A trade at an instant not before the last one's; returns it and the market's trade that it follows."""
        newest = self._market.trades(at_ms, limit=1)
        anchor = newest[-1].id if newest else -1
        trade = Trade(anchor + 1 + len(self._trades), price, quantity, at_ms, at_ms, buyer_is_maker)
        self._trades.append(trade)
        self._ids.append(trade.id)
        self._times.append(at_ms)
        self._anchors.append(anchor)
        return trade, anchor

    def shown_id(self, id: int) -> int:
        """The id under which the market's trade is shown."""
        return id + bisect_left(self._anchors, id) if id >= 0 else id

    def shown(self, trade: Trade) -> Trade:
        """The market's trade under its shown id."""
        id = self.shown_id(trade.id)
        return trade if id == trade.id else replace(trade, id=id)

    def trades(
        self, now_ms: int, *, limit: int, from_id: int | None, start_ms: int | None, end_ms: int | None
    ) -> list[Trade]:
        """As SymbolMarket.trades."""
        first, last = 0, bisect_right(self._times, now_ms if end_ms is None else min(now_ms, end_ms))
        if from_id is not None:
            first = bisect_left(self._ids, from_id)
            from_id -= first
        elif start_ms is not None:
            first = bisect_left(self._times, start_ms)
        theirs = self._market.trades(now_ms, limit=limit, from_id=from_id, start_ms=start_ms, end_ms=end_ms)
        merged = sorted([*map(self.shown, theirs), *self._trades[first:last]], key=lambda trade: trade.id)
        return merged[-limit:] if from_id is None and start_ms is None else merged[:limit]

    def bar(self, bar: Kline, now_ms: int) -> Kline:
        """The market's bar with our trades in it."""
        own = self._within(bar.open_ms, min(bar.close_ms, now_ms))
        if not own:
            if bar.first_id >= 0:
                return replace(bar, first_id=self.shown_id(bar.first_id), last_id=self.shown_id(bar.last_id))
            price = self._price_before(bar.open_ms, now_ms, bar.open)
            return replace(bar, open=price, high=price, low=price, close=price)
        prices, ids = self._edges(own, bar.first_id, bar.last_id, bar.open, bar.close)
        highest, lowest = max(trade.price for trade in own), min(trade.price for trade in own)
        bought = [trade for trade in own if not trade.buyer_is_maker]
        return replace(
            bar,
            open=prices[0],
            close=prices[1],
            high=max(highest, bar.high) if bar.trades else highest,
            low=min(lowest, bar.low) if bar.trades else lowest,
            volume=bar.volume + sum(trade.quantity for trade in own),
            quote_volume=bar.quote_volume + sum(trade.price * trade.quantity for trade in own),
            trades=bar.trades + len(own),
            taker_buy_base=bar.taker_buy_base + sum(trade.quantity for trade in bought),
            taker_buy_quote=bar.taker_buy_quote + sum(trade.price * trade.quantity for trade in bought),
            first_id=ids[0],
            last_id=ids[1],
        )

    def window(self, window: Window, now_ms: int) -> Window:
        """The market's window with our trades in it."""
        own = self._within(window.open_ms, window.close_ms)
        previous = self._price_before(window.open_ms, now_ms, window.previous_close)
        if not own:
            if window.last_id < 0:
                return replace(
                    window, open=previous, high=previous, low=previous, last=previous, previous_close=previous
                )
            first, last = self.shown_id(window.first_id), self.shown_id(window.last_id)
            return replace(window, first_id=first, last_id=last, previous_close=previous)
        prices, ids = self._edges(own, window.first_id, window.last_id, window.open, window.last)
        highest, lowest = max(trade.price for trade in own), min(trade.price for trade in own)
        return replace(
            window,
            open=prices[0],
            last=prices[1],
            high=max(highest, window.high) if window.count else highest,
            low=min(lowest, window.low) if window.count else lowest,
            last_quantity=own[-1].quantity if ids[1] == own[-1].id else window.last_quantity,
            volume=window.volume + sum(trade.quantity for trade in own),
            quote_volume=window.quote_volume + sum(trade.price * trade.quantity for trade in own),
            first_id=ids[0],
            last_id=ids[1],
            count=window.count + len(own),
            previous_close=previous,
        )

    def _within(self, start_ms: int, end_ms: int) -> list[Trade]:
        return self._trades[bisect_left(self._times, start_ms) : bisect_right(self._times, end_ms)]

    def _edges(
        self, own: list[Trade], first_id: int, last_id: int, opened: int, closed: int
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """(open, close) and (first id, last id) of the market's range (ids -1: empty) and ours together."""
        if first_id < 0:
            return (own[0].price, own[-1].price), (own[0].id, own[-1].id)
        first, last = self.shown_id(first_id), self.shown_id(last_id)
        return (
            (own[0].price if own[0].id < first else opened, own[-1].price if own[-1].id > last else closed),
            (min(first, own[0].id), max(last, own[-1].id)),
        )

    def _price_before(self, at_ms: int, now_ms: int, price: int) -> int:
        """The last price before an instant; `price` is the market's."""
        count = bisect_left(self._times, at_ms)
        if not count:
            return price
        theirs = self._market.trades(now_ms, limit=1, end_ms=at_ms - 1)
        newer = bool(theirs) and theirs[-1].id > self._anchors[count - 1]
        return price if newer else self._trades[count - 1].price
