"""The newest price per symbol: trades and 24 h tickers merged, numbered, dated by the exchange, and honestly aged.

Prices are floats: they are shown, never summed. Exact decimals live in order books.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from shared.clock import Clock, to_iso
from websocket_streaming.exchange_time import ExchangeTime

SILENT_AFTER_S = 8.0  # the contract: then REST is asked, and again as often while the symbol is silent
STALE_AFTER_S = 10.0  # silent and unconfirmed for that long is stale; leaves REST 2 s to confirm
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


class Symbol(NamedTuple):
    """A symbol on its market, e.g. ("spot", "BTCUSDT")."""

    market: str
    name: str


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. Ids rise by symbol; `event_ms` is the exchange's event time in Unix milliseconds."""

    price: float
    trade_id: int
    event_ms: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """Rolling 24 h figures. `trade_id` is the last trade they include, `price` its price; change in percent."""

    price: float
    trade_id: int
    event_ms: int
    volume: float
    high: float
    low: float
    change: float
    change_pct: float


@dataclass(slots=True)
class _Held:
    price: float
    trade_id: int
    event_ms: int
    received_at: float
    ticker: Ticker | None = None
    verified_at: float | None = None  # when REST last said that nothing newer exists
    suspect: bool = False  # REST knew newer trades than the stream brought


@dataclass(slots=True)
class _Market:
    connected: bool = False
    held: dict[str, _Held] = field(default_factory=dict)


class PriceBook:
    """Holds the newest price of each symbol. Every method that changes one says whether there is news to send."""

    def __init__(self, clock: Clock, exchange_time: ExchangeTime, epoch: str, venue: str = "") -> None:
        self._clock = clock
        self._exchange_time = exchange_time
        self.venue, self.epoch = venue, epoch
        self._markets: dict[str, _Market] = {}
        self._seqs: dict[Symbol, int] = {}  # outlive the price: numbers never repeat within an epoch

    def on_trade(self, symbol: Symbol, trade: Trade) -> bool:
        """A trade from the stream. One that isn't newer than the held one only proves that the stream lives."""
        held = self._held(symbol)
        if held is None:
            self._put(symbol, _Held(trade.price, trade.trade_id, trade.event_ms, self._clock.monotonic()))
            return False
        if trade.trade_id < held.trade_id:
            return False
        self._touch(held, trade.event_ms)
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
            self._touch(held, ticker.event_ms)
            held.price, held.trade_id = ticker.price, ticker.trade_id
        return True

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
            held.verified_at, held.suspect = self._clock.monotonic(), False
            return False
        if ticker.trade_id < held.trade_id != trade_id_when_asked:
            return False
        self._replace(symbol, ticker)
        self._markets[symbol.market].held[symbol.name].suspect = True
        return True

    def restore(self, symbol: Symbol, ticker: Ticker, age_s: float) -> None:
        """Take figures kept from an earlier run, `age_s` old; anything newer replaces them."""
        received_at = self._clock.monotonic() - age_s
        self._put(symbol, _Held(ticker.price, ticker.trade_id, ticker.event_ms, received_at, ticker))

    def drop(self, symbol: Symbol) -> None:
        """Forget a symbol that nobody wants any more; its numbering goes on if it comes back."""
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

    def ticker(self, symbol: Symbol) -> Ticker | None:
        """The newest price with the newest 24 h figures, None while one of them is missing."""
        held = self._held(symbol)
        if held is None or held.ticker is None:
            return None
        day = held.ticker
        return Ticker(
            held.price, held.trade_id, held.event_ms, day.volume, day.high, day.low, day.change, day.change_pct
        )

    def age_s(self, symbol: Symbol) -> float | None:
        """Seconds since the newest event, by the exchange's clock; at least those since it arrived. None: not held."""
        held = self._held(symbol)
        return self._age_s(held) if held else None

    def is_stale(self, symbol: Symbol) -> bool:
        """True when the price may no longer be the market's: upstream away, trades missed, or silent, unconfirmed."""
        held = self._held(symbol)
        if held is None or held.suspect or not self.is_connected(symbol.market):
            return True
        unconfirmed_s = self._age_s(held)
        if held.verified_at is not None:
            unconfirmed_s = min(unconfirmed_s, self._clock.monotonic() - held.verified_at)
        return unconfirmed_s > STALE_AFTER_S

    @property
    def symbols(self) -> list[Symbol]:
        """Everything that is held."""
        return [Symbol(market, name) for market, known in self._markets.items() for name in known.held]

    def next_update(self, symbol: Symbol) -> dict[str, Any] | None:
        """The `price_update` to send, with the next number; None while figures are missing."""
        if self.ticker(symbol) is not None:
            self._seqs[symbol] = self._seqs.get(symbol, 0) + 1
        return self.update(symbol)

    def update(self, symbol: Symbol) -> dict[str, Any] | None:
        """The `price_update` as it stands, with the number of the last one sent."""
        ticker = self.ticker(symbol)
        if ticker is None:
            return None
        return self.document(symbol, ticker, self.is_stale(symbol))

    def document(self, symbol: Symbol, ticker: Ticker, stale: bool) -> dict[str, Any]:
        """The contract's `price_update`; `seq` is 0 for a symbol that was never streamed in this epoch."""
        return {
            "symbol": symbol.name,
            "price": ticker.price,
            "volume": ticker.volume,
            "high": ticker.high,
            "low": ticker.low,
            "change": ticker.change,
            "changePercent": ticker.change_pct,
            "timestamp": to_iso(EPOCH_START + timedelta(milliseconds=ticker.event_ms)),
            "venue": self.venue,
            "market": symbol.market,
            "seq": self._seqs.get(symbol, 0),
            "epoch": self.epoch,
            "stale": stale,
        }

    def _touch(self, held: _Held, event_ms: int) -> None:
        held.event_ms, held.received_at, held.suspect = event_ms, self._clock.monotonic(), False

    def _age_s(self, held: _Held) -> float:
        since_arrival_s = self._clock.monotonic() - held.received_at
        return max(since_arrival_s, self._exchange_time.age_s(held.event_ms) or 0.0)

    def _held(self, symbol: Symbol) -> _Held | None:
        known = self._markets.get(symbol.market)
        return known.held.get(symbol.name) if known else None

    def _replace(self, symbol: Symbol, ticker: Ticker) -> None:
        now = self._clock.monotonic()
        self._put(symbol, _Held(ticker.price, ticker.trade_id, ticker.event_ms, now, ticker))

    def _put(self, symbol: Symbol, held: _Held) -> None:
        self._market(symbol.market).held[symbol.name] = held

    def _market(self, market: str) -> _Market:
        return self._markets.setdefault(market, _Market())
