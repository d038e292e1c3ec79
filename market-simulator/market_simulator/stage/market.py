"""A market on stage: any SymbolMarket with the scenarios that change its book and its trades' sizes and sides.

Its events pass through here. Which effects are in force is decided after each depth update, by its event time, and
holds for all ids beyond that update's and beyond every bookTicker seen by then: what a bookTicker has shown already,
the depth update that covers it shows too.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from market_simulator.klines.kline_table import KlineTable
from market_simulator.market import (
    BookTicker,
    BookView,
    DepthUpdate,
    Event,
    Kline,
    Level,
    Preparable,
    Repricing,
    SymbolInfo,
    SymbolMarket,
    Trade,
    Window,
)
from market_simulator.order_book import OrderBook, difference
from market_simulator.stage.effects import BookEffect, Moment, Side
from market_simulator.stage.washed_history import WashedHistory
from market_simulator.stage.washing import WashTrading

MAX_PLANTED = 100


@dataclass(frozen=True, slots=True)
class _Cast:
    """The effects in force for update ids above `after_id`."""

    after_id: int
    effects: tuple[BookEffect, ...]


_EMPTY = _Cast(0, ())


class Stage(SymbolMarket, Protocol):
    """A market that scenarios can change: a StagedMarket, or a session's market around one."""

    def affect(self, effect: BookEffect) -> None: ...
    def calm(self, effect: BookEffect) -> None: ...
    def wash(self, washing: WashTrading) -> None: ...
    def end_wash(self, washing: WashTrading) -> None: ...
    def shown_id(self, id: int) -> int: ...


class StagedMarket:
    """As the SymbolMarket within, which nobody else may advance, but for the effects and wash tradings planted here."""

    def __init__(self, market: SymbolMarket) -> None:
        self.info: SymbolInfo = market.info
        self._market = market
        self._planted: list[BookEffect] = []
        self._cast, self._next_casts = _EMPTY, deque[_Cast]()
        self._book: OrderBook | None = None  # the market's own, followed while anything is planted
        self._update_id = 0  # of `_book`
        self._shown: tuple[Side, Side] | None = None  # what clients have instead
        self._newest_ticker_id = 0
        self._told: tuple[Level, Level] | None = None  # the newest bookTicker's
        self._reached_ms = 0
        self._history = WashedHistory(market)

    # Planting

    def affect(self, effect: BookEffect) -> None:
        """Plant one; `advance` comes first, and it shows within two depth updates. ValueError: too many are planted."""
        if len(self._planted) >= MAX_PLANTED:
            raise ValueError(f"no more than {MAX_PLANTED} effects at a time")
        if self._book is None:
            self._load()
        self._planted.append(effect)

    def calm(self, effect: BookEffect) -> None:
        """End an effect before its time; it is over within two depth updates."""
        effect.end_ms = min(effect.end_ms, self._reached_ms)
        self._planted = [one for one in self._planted if one is not effect]

    def wash(self, washing: WashTrading) -> None:
        """Plant one; `advance` comes first, and it changes no trade up to that instant. ValueError: too many run."""
        self._history.wash(washing, self._reached_ms)

    def end_wash(self, washing: WashTrading) -> None:
        """End a wash trading before its time: trades after the instant that `advance` reached are left alone."""
        self._history.end(washing, self._reached_ms)

    def shown_id(self, id: int) -> int:
        """The id under which a trade of the market within is shown: the same."""
        return id

    def reprice(self, repricing: Repricing) -> None:
        """As SymbolMarket.reprice."""
        self._market.reprice(repricing)

    # The live book

    def advance(self, to_ms: int) -> list[Event]:
        """As SymbolMarket.advance."""
        events = self._market.advance(to_ms)
        self._reached_ms = to_ms
        if self._book is None and self._history.is_plain:
            newest = next((event for event in reversed(events) if isinstance(event, BookTicker)), None)
            if newest is not None:
                self._newest_ticker_id, self._told = newest.update_id, (newest.bid, newest.ask)
            return events
        if not events:
            self._follow_jump()
        return [shown for event in events for shown in self._passed(event)]

    def _passed(self, event: Event) -> tuple[Event, ...]:
        if isinstance(event, Trade):
            return (self._history.label(event),)
        if isinstance(event, DepthUpdate):
            return (event,) if self._book is None else self._updated(self._book, event)
        if event.update_id <= self._newest_ticker_id:
            return ()  # `_untold` was quicker
        self._newest_ticker_id = event.update_id
        effects = self._cast_of(event.update_id).effects
        ticker = replace(event, bid=_top(event.bid, effects), ask=_top(event.ask, effects)) if effects else event
        self._told = ticker.bid, ticker.ask
        return (ticker,)

    def _updated(self, book: OrderBook, event: DepthUpdate) -> tuple[Event, ...]:
        while self._next_casts and event.last_id > self._next_casts[0].after_id:
            self._recast(self._next_casts.popleft(), event)
        self._update_id = event.last_id
        is_changed = bool(self._cast.effects) or self._shown is not None
        if is_changed:
            before = self._shown or (dict(book.bids.quantities), dict(book.asks.quantities))
            book.apply(event.bids, event.asks)
            after = self._show(book, Moment(event.last_id, event.event_ms))
            bids, asks = (difference(*sides) for sides in zip(before, after, strict=True))
            event = replace(event, bids=bids, asks=asks)
        else:
            book.apply(event.bids, event.asks)
        self._planted = [effect for effect in self._planted if effect.end_ms >= event.event_ms]
        self._decide(max(self._newest_ticker_id, event.last_id), event.event_ms)
        if not self._planted and not self._next_casts and self._shown is None:
            self._book = None
        return (*self._untold(event, book), event) if is_changed else (event,)

    def _untold(self, event: DepthUpdate, book: OrderBook) -> tuple[BookTicker, ...]:
        """A bookTicker for a best level that only an effect has changed, unless one ran ahead of this update."""
        bid, ask = book.best()
        if bid is None or ask is None or self._newest_ticker_id >= event.last_id:
            return ()
        bid, ask = _top(bid, self._cast.effects), _top(ask, self._cast.effects)
        if (bid, ask) == self._told:
            return ()
        self._newest_ticker_id, self._told = event.last_id, (bid, ask)
        return (BookTicker(event.last_id, bid, ask, event.at_ms, event.event_ms),)

    def _show(self, book: OrderBook, moment: Moment) -> tuple[Side, Side]:
        bids, asks = book.bids.quantities, book.asks.quantities
        for effect in self._cast.effects:
            bids, asks = effect.show(moment, bids, asks)
        sides = dict(bids), dict(asks)
        self._shown = sides if self._cast.effects else None
        return sides

    def _decide(self, after_id: int, at_ms: int) -> None:
        """Who is in force beyond this id."""
        effects = tuple(
            sorted(
                (effect for effect in self._planted if effect.start_ms <= at_ms < effect.end_ms),
                key=lambda effect: effect.adds,
            )
        )
        if effects != (self._next_casts[-1] if self._next_casts else self._cast).effects:
            self._next_casts.append(_Cast(after_id, effects))

    def _recast(self, cast: _Cast, event: DepthUpdate) -> None:
        for effect in self._cast.effects:
            if effect not in cast.effects:
                effect.over(Moment(event.last_id, event.event_ms))
        self._cast = cast

    def _cast_of(self, update_id: int) -> _Cast:
        return next((cast for cast in reversed(self._next_casts) if update_id > cast.after_id), self._cast)

    def _load(self) -> None:
        view = self._market.book()
        self._book, self._update_id = OrderBook(view.bids, view.asks), view.last_update_id

    def _follow_jump(self) -> None:
        """The market was placed elsewhere without events: nobody follows its ids across, so all holds at once."""
        if self._book is None or self._market.best().update_id == self._update_id:
            return
        self._load()
        self._newest_ticker_id = self._update_id
        self._planted = [effect for effect in self._planted if effect.end_ms > self._reached_ms]
        self._next_casts.clear()
        self._decide(self._update_id, self._reached_ms)
        moment = Moment(self._update_id, self._reached_ms)
        if self._next_casts:
            self._recast(self._next_casts.popleft(), DepthUpdate(*moment[:1] * 2, moment.event_ms, (), ()))
        self._show(self._book, moment)

    def book(self) -> BookView:
        """As SymbolMarket.book."""
        view = self._market.book()
        if self._shown is None:
            return view
        bids, asks = self._shown
        return replace(view, bids=sorted(bids.items(), reverse=True), asks=sorted(asks.items()))

    def best(self) -> BookTicker:
        """As SymbolMarket.best."""
        best = self._market.best()
        if self._shown is None:
            return best
        return replace(best, bid=_top(best.bid, self._cast.effects), ask=_top(best.ask, self._cast.effects))

    # The past

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
        return self._history.trades(now_ms, limit=limit, from_id=from_id, start_ms=start_ms, end_ms=end_ms)

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
        return self._history.klines(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )

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
        """As Tabled.klines_table; None once a trade was washed."""
        return self._history.klines_table(
            now_ms, interval, limit=limit, start_ms=start_ms, end_ms=end_ms, offset_ms=offset_ms
        )

    def kline_at(self, now_ms: int, interval: str, offset_ms: int = 0) -> Kline:
        """As SymbolMarket.kline_at."""
        return self._history.kline_at(now_ms, interval, offset_ms)

    def window(self, now_ms: int, length_ms: int) -> Window:
        """As SymbolMarket.window."""
        return self._history.window(now_ms, length_ms)

    def prepare(self, now_ms: int) -> Iterator[None]:
        """As Preparable.prepare; nothing where the market within needs none."""
        if isinstance(self._market, Preparable):
            yield from self._market.prepare(now_ms)

    def status(self, now_ms: int) -> dict[str, object]:
        """As SymbolMarket.status."""
        return self._market.status(now_ms)


def _top(level: Level, effects: Sequence[BookEffect]) -> Level:
    for effect in effects:
        level = effect.top(level)
    return level
