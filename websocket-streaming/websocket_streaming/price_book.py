"""The newest price per symbol: trades and 24 h tickers merged, dated by the exchange, and honestly aged.

Prices are floats: they are shown, never summed. Exact decimals live in order books.
"""

from dataclasses import dataclass, field
from typing import Any

from shared.clock import Clock
from websocket_streaming.exchange_time import ExchangeTime, iso_of
from websocket_streaming.freshness import Freshness
from websocket_streaming.ticks import MarkPrice, Symbol, Ticker, Trade

# What an update is made of, price, event_ms, stale, 24 h figures, mark price: while it is the same, so is the update.
State = tuple[float, int, bool, Ticker, MarkPrice | None]


@dataclass(slots=True)
class _Held:
    price: float
    trade_id: int
    fresh: Freshness
    ticker: Ticker | None = None
    mark: MarkPrice | None = None


@dataclass(slots=True)
class _Market:
    connected: bool = False
    held: dict[str, _Held] = field(default_factory=dict)


class PriceBook:
    """Holds the newest price of each symbol. Every method that changes one says whether there is news to send."""

    def __init__(self, clock: Clock, exchange_time: ExchangeTime) -> None:
        self._clock = clock
        self._exchange_time = exchange_time
        self._markets: dict[str, _Market] = {}

    def on_trade(self, symbol: Symbol, trade: Trade) -> bool:
        """A trade from the stream. One that isn't newer than the held one only proves that the stream lives."""
        held = self._held(symbol)
        if held is None:
            self._put(symbol, _Held(trade.price, trade.trade_id, self._fresh(trade.event_ms)))
            return False
        if trade.trade_id < held.trade_id:
            return False
        held.fresh.touch(trade.event_ms)
        if trade.trade_id == held.trade_id:
            return False
        held.price, held.trade_id = trade.price, trade.trade_id
        return held.ticker is not None

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> bool:
        """24 h set the price only when they know a later trade than the held one."""
        held = self._held(symbol)
        if held is None:
            self._replace(symbol, ticker)
            return True
        if held.ticker and (ticker.trade_id, ticker.event_ms) < (held.ticker.trade_id, held.ticker.event_ms):
            return False
        held.ticker = ticker
        if ticker.trade_id >= held.trade_id:
            held.fresh.touch(ticker.event_ms)
            held.price, held.trade_id = ticker.price, ticker.trade_id
        return True

    def on_mark(self, symbol: Symbol, mark: MarkPrice) -> bool:
        """A perpetual's mark price and funding. It says nothing of trades, so it makes no price fresh."""
        held = self._held(symbol)
        if held is None or (held.mark and mark.event_ms < held.mark.event_ms):
            return False
        held.mark = mark
        return held.ticker is not None

    def on_check(self, symbol: Symbol, ticker: Ticker, trade_id_when_asked: int) -> bool:
        """What REST said of a silent symbol; `trade_id_when_asked` is what was held before asking.

        Nothing newer than the stream brought: confirmed, not stale. Otherwise the stream missed trades: the figures
        are taken, and the symbol stays suspect until the stream brings something again. A lower id than before
        means that the exchange has begun anew; it is taken too, unless the stream went on meanwhile.
        """
        held = self._held(symbol)
        if held is None:
            return False
        if trade_id_when_asked <= ticker.trade_id <= held.trade_id:
            held.fresh.confirm()
            return False
        if ticker.trade_id < held.trade_id != trade_id_when_asked:
            return False
        self._replace(symbol, ticker, held.mark)
        self._markets[symbol.market].held[symbol.name].fresh.suspect = True
        return True

    def restore(self, symbol: Symbol, ticker: Ticker, age_s: float) -> None:
        """Take figures kept from an earlier run, `age_s` old; anything newer replaces them."""
        self._put(symbol, _Held(ticker.price, ticker.trade_id, self._fresh(ticker.event_ms, age_s), ticker))

    def drop(self, symbol: Symbol) -> None:
        """Forget a symbol that nobody wants any more."""
        self._market(symbol.market).held.pop(symbol.name, None)

    def set_connected(self, market: str, connected: bool) -> bool:
        """The market's upstream came or went; True when that is a change."""
        known = self._market(market)
        changed, known.connected = known.connected != connected, connected
        return changed

    def is_connected(self, market: str) -> bool:
        """Whether the market's upstream is there."""
        return self._market(market).connected

    def trade_id(self, symbol: Symbol) -> int | None:
        """The newest trade's id, None when nothing is held."""
        held = self._held(symbol)
        return held.trade_id if held else None

    def event_ms(self, symbol: Symbol) -> int:
        """When the newest event was, by the exchange's clock; 0 when nothing is held."""
        held = self._held(symbol)
        return (held.fresh.event_ms or 0) if held else 0

    def price(self, symbol: Symbol) -> float | None:
        """The newest price, None while it or the 24 h figures are missing."""
        held = self._held(symbol)
        return held.price if held and held.ticker else None

    def ticker(self, symbol: Symbol) -> Ticker | None:
        """The newest price with the newest 24 h figures, None while one of them is missing."""
        held = self._held(symbol)
        if held is None or held.ticker is None:
            return None
        day, event_ms = held.ticker, held.fresh.event_ms or held.ticker.event_ms
        return Ticker(held.price, held.trade_id, event_ms, day.volume, day.high, day.low, day.change, day.change_pct)

    def age_s(self, symbol: Symbol) -> float | None:
        """Seconds since the newest event, by the exchange's clock; at least those since it arrived. None: not held."""
        held = self._held(symbol)
        return held.fresh.age_s if held else None

    def event_age_s(self, event_ms: int) -> float:
        """Seconds since that moment of the exchange; 0 while its clock is unknown."""
        return self._exchange_time.age_s(event_ms) or 0.0

    def is_stale(self, symbol: Symbol) -> bool:
        """True when the price may no longer be the market's: upstream away, trades missed, or silent, unconfirmed."""
        held = self._held(symbol)
        return held is None or not self.is_connected(symbol.market) or held.fresh.is_stale

    @property
    def symbols(self) -> list[Symbol]:
        """Everything that is held."""
        return [Symbol(market, name) for market, known in self._markets.items() for name in known.held]

    def state(self, symbol: Symbol) -> tuple[State, float] | None:
        """All that an update says, and its age in seconds; None while figures are missing."""
        known = self._markets.get(symbol.market)
        held = known.held.get(symbol.name) if known else None
        if known is None or held is None or held.ticker is None:
            return None
        age_s, stale = held.fresh.look()
        event_ms = held.fresh.event_ms or held.ticker.event_ms
        return (held.price, event_ms, stale or not known.connected, held.ticker, held.mark), age_s

    def update(self, symbol: Symbol) -> dict[str, Any] | None:
        """The `price_update` as it stands, number and epoch aside; None while figures are missing."""
        found = self.state(symbol)
        return document(symbol, found[0]) if found else None

    def _fresh(self, event_ms: int, age_s: float = 0.0) -> Freshness:
        return Freshness(self._clock, self._exchange_time, event_ms, age_s)

    def _held(self, symbol: Symbol) -> _Held | None:
        known = self._markets.get(symbol.market)
        return known.held.get(symbol.name) if known else None

    def _replace(self, symbol: Symbol, ticker: Ticker, mark: MarkPrice | None = None) -> None:
        self._put(symbol, _Held(ticker.price, ticker.trade_id, self._fresh(ticker.event_ms), ticker, mark))

    def _put(self, symbol: Symbol, held: _Held) -> None:
        self._market(symbol.market).held[symbol.name] = held

    def _market(self, market: str) -> _Market:
        return self._markets.setdefault(market, _Market())


def document(symbol: Symbol, state: State) -> dict[str, Any]:
    """The contract's `price_update`, number, epoch and venue aside; perpetuals have their mark price beside it."""
    price, event_ms, stale, day, mark = state
    update = {
        "symbol": symbol.name,
        "price": price,
        "volume": day.volume,
        "high": day.high,
        "low": day.low,
        "change": day.change,
        "changePercent": day.change_pct,
        "timestamp": iso_of(event_ms),
        "market": symbol.market,
        "stale": stale,
    }
    if mark:
        update |= {
            "mark_price": mark.mark_price,
            "index_price": mark.index_price,
            "funding_rate": mark.funding_rate,
            "next_funding_time": iso_of(mark.next_funding_ms),
        }
    return update
