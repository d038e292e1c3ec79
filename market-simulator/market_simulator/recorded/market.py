"""A recorded market: one tape in endless laps since 2020, its ids shifted lap by lap so that they never break."""

from bisect import bisect_right
from dataclasses import replace

from market_simulator.live import EPOCH_MS, LiveMarket, moved, moved_difference
from market_simulator.market import BookTicker, BookView, DepthUpdate, Event, SymbolInfo
from market_simulator.order_book import OrderBook
from market_simulator.recorded.tape import DEPTH, TICKER, Tape
from market_simulator.recorded.trades import RecordedTrades


def recorded_trades(info: SymbolInfo, tape: Tape) -> RecordedTrades:
    """A tape's trades in endless laps. Nothing in them changes, so any number of markets may share them."""
    return RecordedTrades(tape, info.tick_size, EPOCH_MS)


class RecordedMarket(LiveMarket):
    """One symbol's tape as a SymbolMarket. Position p is event p % n of lap p // n; lap 0 starts at EPOCH_MS."""

    def __init__(self, info: SymbolInfo, tape: Tape, source: RecordedTrades | None = None) -> None:
        """`source`: the tape's trades, where another market has summed them up already."""
        self._source = source or recorded_trades(info, tape)
        super().__init__(info, self._source)
        self._tape = tape
        self._position = 0  # of the next event
        self._book = OrderBook()  # as on the tape; `_shift` is added when it is shown
        self._update_id = 0
        self._updated = 0, 0  # the last update's T and E
        self._shift = 0
        self._view: BookView | None = None  # of this book until the next update: thousands of levels take 150 µs

    def _position_at(self, at_ms: int) -> int:
        lap, offset = divmod(at_ms - EPOCH_MS, self._tape.lap_ms)
        return lap * len(self._tape.events) + bisect_right(self._tape.events.emitted_ms, offset)

    def _segment_shift(self, lap: int, segment: int) -> int:
        laps, segment = divmod(segment, len(self._tape.depth))
        start_ms = EPOCH_MS + (lap + laps) * self._tape.lap_ms
        return self._history.shift_at(start_ms + self._tape.segment_ms[segment])

    def _place(self, at_ms: int) -> None:
        tape, self._view = self._tape, None
        self._position = self._position_at(at_ms)
        lap, index = divmod(self._position - 1, len(tape.events))
        while tape.events.kinds[index] != DEPTH:
            index -= 1
        update = tape.events.indexes[index]
        sides = dict(tape.start_bids), dict(tape.start_asks)
        for number in range(1, update + 1):
            for side, levels in zip(sides, tape.depth.levels(number), strict=True):
                side.update(levels)
        self._book = OrderBook(*(side.items() for side in sides))
        self._update_id = tape.depth.last_ids[update] + lap * tape.id_span
        start_ms = EPOCH_MS + lap * tape.lap_ms
        self._updated = start_ms + tape.depth.at_ms[update], start_ms + tape.depth.event_ms[update]
        self._shift = self._segment_shift(lap, update)

    def _step(self, from_ms: int, to_ms: int) -> list[Event]:  # noqa: ARG002  the position says where from
        start, self._position = self._position, self._position_at(to_ms)
        return [self._happen(*divmod(position, len(self._tape.events))) for position in range(start, self._position)]

    def _happen(self, lap: int, index: int) -> Event:
        events = self._tape.events
        kind, number, segment = events.kinds[index], events.indexes[index], self._tape.segments[index]
        shift = self._segment_shift(lap, segment)
        if kind == DEPTH:
            return self._update(lap, number, shift)
        if kind == TICKER:
            ticker = self._tape.tickers[number]
            bid, ask = moved((ticker.bid, ticker.ask), shift)
            start_ms = EPOCH_MS + lap * self._tape.lap_ms
            times = start_ms + ticker.at_ms, start_ms + ticker.event_ms
            return BookTicker(ticker.update_id + lap * self._tape.id_span, bid, ask, *times)
        trade = self._source.trade(lap * len(self._tape.trades) + number)
        return replace(trade, price=trade.price + shift) if shift else trade

    def _update(self, lap: int, number: int, shift: int) -> DepthUpdate:
        update, ids = self._tape.depth[number], lap * self._tape.id_span
        self._view = None
        if shift == self._shift:
            self._book.apply(update.bids, update.asks)
            bids, asks = tuple(moved(update.bids, shift)), tuple(moved(update.asks, shift))
        else:
            before = dict(self._book.bids.quantities), dict(self._book.asks.quantities)
            self._book.apply(update.bids, update.asks)
            bids = moved_difference(before[0].items(), self._shift, self._book.bids.quantities.items(), shift)
            asks = moved_difference(before[1].items(), self._shift, self._book.asks.quantities.items(), shift)
            self._shift = shift
        self._update_id = update.last_id + ids
        start_ms = EPOCH_MS + lap * self._tape.lap_ms
        at_ms, event_ms = self._updated = start_ms + update.at_ms, start_ms + update.event_ms
        return DepthUpdate(
            update.first_id + ids, self._update_id, event_ms, bids, asks, update.previous_id + ids, at_ms
        )

    def book(self) -> BookView:
        """As SymbolMarket.book."""
        if self._view is None:
            bids, asks = self._book.bids.descending(), self._book.asks.ascending()
            bids, asks = moved(bids, self._shift), moved(asks, self._shift)
            self._view = BookView(self._update_id, bids, asks, *self._updated)
        return self._view

    def best(self) -> BookTicker:
        """As SymbolMarket.best."""
        bid, ask = self._book.best()
        if bid is None or ask is None:
            raise RuntimeError("the tape's book has an empty side, or advance was never called")
        (bid, ask) = moved((bid, ask), self._shift)
        return BookTicker(self._update_id, bid, ask, *self._updated)

    def status(self, now_ms: int) -> dict[str, object]:
        """As SymbolMarket.status."""
        lap = (now_ms - EPOCH_MS) // self._tape.lap_ms
        prices = self._tape.trades.prices
        return {
            "kind": self.info.kind,
            "lap": lap,
            "next_seam_at": EPOCH_MS + (lap + 1) * self._tape.lap_ms,
            "seam_jump_pct": round((prices[0] - prices[-1]) / prices[-1] * 100, 4),
            "note": "24h figures are of the loop",
        }
