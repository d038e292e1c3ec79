"""What the wire asks of a USDT-M perpetual beyond a SymbolMarket: values and the Protocol `FuturesMarket`.

Prices and quantities in units of 1e-8, rates and shares too (10_000 is 0.01 %). Everything is a pure function of
(tape, seed, instant). Lists are oldest first, by the range rule of binance-wire.md 2.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from market_simulator.market import Kline, SymbolInfo, SymbolMarket

FUNDING_MS = 28_800_000  # 8 h, at 00:00, 08:00 and 16:00 UTC
RATE_CAP = 2_000_000  # ±2 %: fundingInfo's adjustedFundingRateCap and -Floor
INTEREST_RATE = 10_000  # 0.01 % a period
DATA_MS = 30 * 86_400_000  # /futures/data keeps 30 days

PriceKind = Literal["mark", "index", "premium"]
CrowdKind = Literal["global_accounts", "top_accounts", "top_positions"]


@dataclass(frozen=True, slots=True)
class FuturesInfo(SymbolInfo):
    """One perpetual. The precisions are decimals and neither tick nor step (binance-wire.md 8.3)."""

    price_precision: int
    quantity_precision: int
    most_quantity: int
    most_market_quantity: int
    least_notional: int
    percent_price: int  # PERCENT_PRICE: prices within 1 ± this share of the mark price
    usual_open_interest: int
    onboard_ms: int = 1_577_836_800_000
    contract_type: Literal["PERPETUAL"] = "PERPETUAL"


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """As premiumIndex and the markPrice streams show it. `rate` is the one that `next_funding_ms` would charge now."""

    at_ms: int
    mark: int
    index: int
    settle: int
    average: int
    rate: int
    next_funding_ms: int


@dataclass(frozen=True, slots=True)
class Funding:
    """One charged funding."""

    at_ms: int
    rate: int
    mark: int


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Contracts open at an instant; `value` in quote currency, units of 1e-8."""

    at_ms: int
    quantity: int
    value: int


@dataclass(frozen=True, slots=True)
class LongShort:
    """Which share of the crowd is long; the rest is short. To four decimals, as the wire shows it."""

    at_ms: int
    long: int
    short: int

    @property
    def ratio(self) -> int:
        """Longs for each short."""
        return self.long * 10**8 // self.short


@dataclass(frozen=True, slots=True)
class TakerVolume:
    """What takers bought and sold in the period that opens at `at_ms`, in base units."""

    at_ms: int
    bought: int
    sold: int


@dataclass(frozen=True, slots=True)
class Basis:
    """Futures and index price at an instant; `basis` is their difference, `rate` its share of the index."""

    at_ms: int
    futures: int
    index: int

    @property
    def basis(self) -> int:
        return self.futures - self.index

    @property
    def rate(self) -> int:
        return self.basis * 10**8 // self.index


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A liquidation order, filled at once. `side` SELL: a long was liquidated, BUY: a short."""

    at_ms: int
    side: Literal["BUY", "SELL"]
    price: int
    average_price: int
    quantity: int


class Figures(Protocol):
    """What is asked of a perpetual beside its trades and its book. All calls change nothing."""

    def mark_price(self, now_ms: int) -> MarkPrice:
        """Mark and index price and the funding ahead."""
        ...

    def price_klines(self, kind: PriceKind, now_ms: int, interval: str, *, limit: int,
                     start_ms: int | None = None, end_ms: int | None = None) -> list[Kline]:
        """Bars of the mark price, the index price or the premium; volumes and counts are 0, ids -1."""
        ...

    def fundings(self, now_ms: int, *, limit: int,
                 start_ms: int | None = None, end_ms: int | None = None) -> list[Funding]:
        """What was charged."""
        ...

    def open_interest(self, now_ms: int) -> OpenInterest:
        """At this instant."""
        ...

    def open_interests(self, now_ms: int, period: str, *, limit: int,
                       start_ms: int | None = None, end_ms: int | None = None) -> list[OpenInterest]:
        """At the ends of whole periods within the last 30 days. `period` is a kline interval, here and below."""
        ...

    def long_shorts(self, kind: CrowdKind, now_ms: int, period: str, *, limit: int,
                    start_ms: int | None = None, end_ms: int | None = None) -> list[LongShort]:
        """At the ends of whole periods within the last 30 days."""
        ...

    def taker_volumes(self, now_ms: int, period: str, *, limit: int,
                      start_ms: int | None = None, end_ms: int | None = None) -> list[TakerVolume]:
        """Of whole periods within the last 30 days; sums of this market's own trades."""
        ...

    def bases(self, now_ms: int, period: str, *, limit: int,
              start_ms: int | None = None, end_ms: int | None = None) -> list[Basis]:
        """At the ends of whole periods within the last 30 days."""
        ...

    def liquidations(self, from_ms: int, to_ms: int) -> list[Liquidation]:
        """Those in (from_ms, to_ms], at most one in 1000 ms; at most a minute's worth at a time."""
        ...


class FuturesMarket(SymbolMarket, Protocol):
    """One perpetual: a SymbolMarket whose `info` is `contract`."""

    contract: FuturesInfo

    @property
    def figures(self) -> Figures:
        """What only futures have."""
        ...
