"""A session's market: any market on stage in which paper orders trade.

- Fills are trades with ids of their own; in this session the ids of all later trades shift (own_trades.py).
- The book changes with the market's own updates and keeps their ids: what an order does shows with the next one, as
  the exchange's 100 ms stream would tell it. Until then `book` and `best` show the book of the last update.
- While orders have anything to do with the book, bookTickers come with the depth updates, not ahead of them.
"""

from collections import deque
from dataclasses import replace

from market_simulator.klines.kline_table import KlineTable
from market_simulator.market import (
    BookTicker,
    BookView,
    DepthUpdate,
    Event,
    Kline,
    Level,
    Repricing,
    SymbolInfo,
    Trade,
    Window,
)
from market_simulator.order_book import OrderBook
from market_simulator.stage.effects import BookEffect
from market_simulator.stage.market import StagedMarket
from market_simulator.stage.washing import WashTrading
from market_simulator.trading.orders import Direction, Fees, Kind, Matching, Order
from market_simulator.trading.own_trades import OwnTrades
from shared.errors import Conflict


class SessionMarket:
    """As the StagedMarket within, which nobody else may advance, and with orders. Bounds: orders.MAX_…"""

    def __init__(self, market: StagedMarket, fees: Fees | None = None) -> None:
        self.info: SymbolInfo = market.info
        self._market = market
        self._own = OwnTrades(market)
        self._matching = Matching(market.info, fees or Fees(), self._trade)
        self._shown: OrderBook | None = None  # what clients have, while orders have to do with it
        self._update_id = 0  # of `_shown`
        self._told: tuple[Level, Level] | None = None  # the newest bookTicker of ours
        self._newest_ticker_id = 0
        self._untold: deque[tuple[int, Trade]] = deque()  # to be streamed after the market's trade of that id
        self._streamed_id = -1  # the market's newest trade that was streamed
        self._reached_ms: int | None = None

    # Orders

    def place(self, direction: Direction, kind: Kind, quantity: int, price: int | None = None) -> Order:
        """As Matching.place, at the instant that `advance` reached."""
        if self._reached_ms is None:
            raise Conflict("the market has not begun")
        if self._shown is None:
            self._follow()
        return self._matching.place(direction, kind, quantity, price, self._reached_ms)

    def cancel(self, id: int) -> Order:
        """As Matching.cancel."""
        return self._matching.cancel(id)

    def order(self, id: int) -> Order:
        """As Matching.find."""
        return self._matching.find(id)

    def orders(self) -> list[Order]:
        """All that are remembered, oldest first."""
        return list(self._matching.orders.values())

    def _trade(self, price: int, quantity: int, buyer_is_maker: bool) -> tuple[int, int]:
        trade, anchor = self._own.add(price, quantity, buyer_is_maker, self._reached_ms or 0)
        self._untold.append((anchor, trade))
        return trade.id, trade.at_ms

    # The live book

    def advance(self, to_ms: int) -> list[Event]:
        """As SymbolMarket.advance."""
        events = self._market.advance(to_ms)
        self._reached_ms = to_ms
        if not events:
            self._follow_jump()
        shown: list[Event] = []
        for event in events:
            if isinstance(event, Trade):
                shown += self._own_until(event.id - 1)
                shown.append(self._own.shown(event))
                self._streamed_id = event.id
                self._matching.on_trade(event)
            elif isinstance(event, DepthUpdate):
                shown += (event,) if self._shown is None else self._updated(self._shown, event)
            elif self._shown is None and event.update_id > self._newest_ticker_id:
                self._newest_ticker_id = event.update_id
                shown.append(event)
        return [*shown, *self._own_until(self._streamed_id)]

    def _own_until(self, id: int) -> list[Trade]:
        """Own trades that follow this one of the market, or an earlier one, and were not streamed yet."""
        trades = []
        while self._untold and self._untold[0][0] <= id:
            trades.append(self._untold.popleft()[1])
        return trades

    def _updated(self, book: OrderBook, event: DepthUpdate) -> list[Event]:
        self._matching.on_update(event)
        self._update_id = event.last_id
        if event.last_id <= self._newest_ticker_id:
            # a bookTicker of the market's own has told this update already: our orders show with the next one
            book.apply(event.bids, event.asks)
            return [event]
        changed: dict[bool, list[Level]] = {True: [], False: []}
        for is_bid, price, quantity in self._matching.take_changes():
            if quantity != (book.bids if is_bid else book.asks).quantities.get(price, 0):
                changed[is_bid].append((price, quantity))
        book.apply(changed[True], changed[False])
        event = replace(event, bids=tuple(changed[True]), asks=tuple(changed[False]))
        if self._matching.is_idle:
            self._shown = None
        return [*self._ticker(book, event), event]

    def _ticker(self, book: OrderBook, event: DepthUpdate) -> list[BookTicker]:
        bid, ask = book.best()
        self._newest_ticker_id = event.last_id
        if bid is None or ask is None or (bid, ask) == self._told:
            return []
        self._told = bid, ask
        return [BookTicker(event.last_id, bid, ask, event.at_ms, event.event_ms)]

    def _follow(self) -> None:
        view = self._market.book()
        self._shown, self._told = OrderBook(view.bids, view.asks), None
        self._update_id = view.last_update_id
        self._matching.restart(OrderBook(view.bids, view.asks))

    def _follow_jump(self) -> None:
        """The market was placed elsewhere without events."""
        if self._shown is None or self._market.best().update_id == self._update_id:
            return
        self._follow()
        self._newest_ticker_id = self._update_id
        levels = self._matching.take_changes()
        sides = [[level for is_bid, *level in levels if is_bid == side] for side in (True, False)]
        self._shown = OrderBook(*([(price, quantity) for price, quantity in side] for side in sides))

    def book(self) -> BookView:
        """As SymbolMarket.book."""
        view = self._market.book()
        if self._shown is None:
            return view
        return replace(view, bids=self._shown.bids.descending(), asks=self._shown.asks.ascending())

    def best(self) -> BookTicker:
        """As SymbolMarket.best."""
        best = self._market.best()
        bid, ask = (None, None) if self._shown is None else self._shown.best()
        return best if bid is None or ask is None else replace(best, bid=bid, ask=ask)

    # Scenarios

    def reprice(self, repricing: Repricing) -> None:
        """As SymbolMarket.reprice."""
        self._market.reprice(repricing)

    def affect(self, effect: BookEffect) -> None:
        """As StagedMarket.affect."""
        self._market.affect(effect)

    def calm(self, effect: BookEffect) -> None:
        """As StagedMarket.calm."""
        self._market.calm(effect)

    def wash(self, washing: WashTrading) -> None:
        """As StagedMarket.wash; the ids that it lists are the market's, before our own trades shift them."""
        self._market.wash(washing)

    def end_wash(self, washing: WashTrading) -> None:
        """As StagedMarket.end_wash."""
        self._market.end_wash(washing)

    # The past

    def shown_id(self, id: int) -> int:
        """The id under which this session shows a trade of the market within."""
        return self._own.shown_id(id)

    def trades(
        self,
        now_ms: int,
        *,
        limit: int,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[Trade]:
        """As SymbolMarket.trades."""
        return self._own.trades(now_ms, limit=limit, from_id=from_id, start_ms=start_ms, end_ms=end_ms)

    def klines(
        self,
        now_ms: int,
        interval: str,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
        offset_ms: int = 0,
    ) -> list[Kline]:
        """As SymbolMarket.klines."""
        bars = self._market.klines(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )
        return [self._own.bar(bar, now_ms) for bar in bars] if self._own else bars

    def klines_table(
        self,
        now_ms: int,
        interval: str,
        *,
        limit: int,
        start_ms: int | None = None,
        end_ms: int | None = None,
        offset_ms: int = 0,
    ) -> KlineTable | None:
        """As Tabled.klines_table; None with trades of our own, or washed ones."""
        if self._own:
            return None
        return self._market.klines_table(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )

    def kline_at(self, now_ms: int, interval: str, offset_ms: int = 0) -> Kline:
        """As SymbolMarket.kline_at."""
        return self._own.bar(self._market.kline_at(now_ms, interval, offset_ms), now_ms)

    def window(self, now_ms: int, length_ms: int) -> Window:
        """As SymbolMarket.window."""
        return self._own.window(self._market.window(now_ms, length_ms), now_ms)

    def status(self, now_ms: int) -> dict[str, object]:
        """As SymbolMarket.status, and how many trades are our own: the newest ids are shifted by that many."""
        resting = sum(order.is_open for order in self._matching.orders.values())
        return {**self._market.status(now_ms), "own_trades": len(self._own), "orders_resting": resting}
