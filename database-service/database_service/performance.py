"""Closed trades of bots: what they hold, and what they earned.

Money is computed in `Decimal` from the numbers as they were written (0.1 means 0.1); answers hold plain JSON numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from database_service.idempotency import Key, Verdict
from shared.clock import to_iso
from shared.errors import InvalidInput

MAX_AMOUNT = 1e15  # bound of any price, quantity or profit: products and sums of such stay far inside a double
ROUTE = "/performance/track"  # of a trade's key
PRECISION = 60  # digits; two doubles of 17 digits multiply to 34
Side = Literal["LONG", "SHORT"]
OPTIONAL = (
    "bot_id", "symbol", "side", "entry_price", "exit_price", "quantity", "fees", "leverage", "signal_id", "metadata",
)  # fmt: skip


def exact(number: float) -> Decimal:
    """The decimal that was written, not the binary fraction nearest to it."""
    return Decimal(repr(number))


def net_pnl(side: Side, entry_price: float, exit_price: float, quantity: float, fees: float) -> Decimal:
    """Profit in quote currency: (exit − entry) × quantity for LONG, the reverse for SHORT, less fees.

    Leverage does not enter: `quantity` is what was held, whatever part of it was borrowed.
    """
    with localcontext() as context:
        context.prec = PRECISION
        move = exact(exit_price) - exact(entry_price)
        return (move if side == "LONG" else -move) * exact(quantity) - exact(fees)


def pnl_percent(pnl: Decimal, entry_price: float, quantity: float) -> float:
    """Profit in percent of what the position cost at entry (not of the margin)."""
    with localcontext() as context:
        context.prec = PRECISION
        return float(pnl / (exact(entry_price) * exact(quantity)) * 100)


def earned(
    pnl: float | None,
    pnl_pct: float | None,
    side: Side | None,
    entry_price: float | None,
    exit_price: float | None,
    quantity: float | None,
    fees: float | None,
) -> tuple[Decimal, float | None]:
    """Profit and profit in percent: those that were given (net already), else computed where the parts are there.

    Raises InvalidInput if a computed one is out of bounds, or if there is nothing to compute the profit from.
    """
    net = None if pnl is None else exact(pnl)
    if entry_price is not None and exit_price is not None and quantity is not None and side is not None:
        net = net_pnl(side, entry_price, exit_price, quantity, fees or 0.0) if net is None else net
        pnl_pct = pnl_percent(net, entry_price, quantity) if pnl_pct is None else pnl_pct
    if net is None:
        raise InvalidInput.field("pnl", "give it, or side, entry_price, exit_price and quantity")
    if abs(net) > MAX_AMOUNT:
        raise InvalidInput.field("pnl", f"must be at most {MAX_AMOUNT:g} either way")
    return net, pnl_pct if pnl_pct is not None and abs(pnl_pct) <= MAX_AMOUNT else None


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A closed trade, checked. `pnl` is net of fees, in quote currency; `pnl_pct` in percent."""

    performance_id: str
    strategy: str
    pnl: Decimal
    closed_at: datetime
    opened_at: datetime | None = None
    pnl_pct: float | None = None
    bot_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    entry_price: float | None = None
    exit_price: float | None = None
    quantity: float | None = None
    fees: float | None = None
    leverage: float | None = None
    signal_id: str | None = None
    metadata: Mapping[str, Any] | None = None

    def stored(self) -> "StoredTrade":
        """The trade as stores keep it."""
        return StoredTrade(
            self.performance_id, self.closed_at, self.strategy, self.symbol, self.bot_id, self.pnl, self._document()
        )

    def _document(self) -> str:
        fields: dict[str, Any] = {
            "performance_id": self.performance_id,
            "strategy": self.strategy,
            "pnl": float(self.pnl),
            "closed_at": to_iso(self.closed_at),
        }
        if self.opened_at is not None:
            fields["opened_at"] = to_iso(self.opened_at)
        if self.pnl_pct is not None:
            fields["pnl_pct"] = self.pnl_pct
        fields |= {name: value for name in OPTIONAL if (value := getattr(self, name)) is not None}
        return orjson.dumps(fields).decode()


class TradeLine(NamedTuple):
    """What statistics need of a trade."""

    closed_at: datetime
    strategy: str
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class StoredTrade:
    """A trade as stores keep it: what statistics filter by, and its whole JSON text."""

    performance_id: str
    closed_at: datetime
    strategy: str
    symbol: str | None
    bot_id: str | None
    pnl: Decimal
    document: str

    @property
    def line(self) -> TradeLine:
        """What statistics need."""
        return TradeLine(self.closed_at, self.strategy, self.pnl)


@dataclass(frozen=True, slots=True)
class TradeSubmission:
    """One trade to be stored, with the client's Idempotency-Key if there is one."""

    trade: ClosedTrade
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades are wanted, by closing time: `start` inclusive, `end` exclusive; None asks for nothing."""

    strategy: str | None = None
    symbol: str | None = None
    bot_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def admits(self, trade: StoredTrade) -> bool:
        """True if the trade is wanted."""
        return (
            self.strategy in (None, trade.strategy)
            and self.symbol in (None, trade.symbol)
            and self.bot_id in (None, trade.bot_id)
            and (self.start is None or trade.closed_at >= self.start)
            and (self.end is None or trade.closed_at < self.end)
        )


@dataclass(frozen=True, slots=True)
class Trades:
    """The wanted trades in the order they were closed. Consume it where it was made: it holds a connection.

    `complete` is False where the database is away and only what waits for it is known. Raises Unavailable in the
    middle if the database goes away then.
    """

    lines: Iterator[TradeLine]
    complete: bool = True

    def __iter__(self) -> Iterator[TradeLine]:
        return self.lines


class TradeStore(Protocol):
    """What performance needs of a place that stores trades. Every call raises Unavailable if the place is away."""

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """Store all, in one transaction; one verdict each, in order. A known key gives the first id, or a refusal."""
        ...

    def trades(self, wanted: TradeFilter) -> Trades:
        """The wanted trades."""
        ...
