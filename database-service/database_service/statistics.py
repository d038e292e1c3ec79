"""What a list of closed trades says about a strategy, in one pass and bounded memory.

All figures are per trade, over net profit in quote currency, not annualised: trades carry no holding period that is
comparable between strategies, so a factor such as √252 would pretend a regularity that is not there. Risk-free rate
and minimum acceptable return are 0. What is undefined is None, never NaN.

    win_rate          winning trades (pnl > 0) in percent of all; a trade of exactly 0 is neither won nor lost
    profit_factor     gross profit ÷ gross loss; None without a loss
    expectancy        average win × share of wins − average loss × share of losses (Tharp, Trade Your Way to Financial
                      Freedom, 1998, in currency instead of units of risk); it equals the average profit
    sharpe            mean ÷ sample standard deviation (n − 1) of profit per trade (Sharpe, The Sharpe Ratio, 1994, the
                      ex-post ratio); None below two trades or without variation
    sortino           mean ÷ downside deviation, the root of the mean over all trades of min(0, pnl)² (Sortino & Price,
                      Performance Measurement in a Downside Risk Framework, 1994); None without a loss
    max_drawdown      the deepest fall of cumulated profit from its highest point before, which begins at 0; positive,
                      in quote currency
    max_drawdown_pct  the deepest such fall in percent of the highest point; None while that never was above 0, since
                      the capital behind the trades is not known
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

from database_service.performance import PRECISION, TradeLine
from shared.clock import to_iso

MAX_CURVE = 1000  # points of an equity curve; a longer one is thinned out evenly
MAX_STRATEGIES = 100  # named in by_strategy; the totals still count every trade
ZERO = Decimal(0)


@dataclass(slots=True)
class Tally:
    """The figures of some trades, one after the other."""

    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    best: Decimal | None = None
    worst: Decimal | None = None
    peak: Decimal = ZERO
    drawdown: Decimal = ZERO
    drawdown_pct: float | None = None
    _mean: float = 0.0
    _squares: float = 0.0  # Welford: sum of squared distances from the mean
    _downside: float = 0.0

    @property
    def equity(self) -> Decimal:
        """The cumulated profit."""
        return self.gross_profit - self.gross_loss

    def add(self, pnl: Decimal) -> None:
        """One more trade, in the order of closing."""
        self.trades += 1
        if pnl > 0:
            self.wins += 1
            self.gross_profit += pnl
        elif pnl < 0:
            self.losses += 1
            self.gross_loss -= pnl
        self.best = pnl if self.best is None else max(self.best, pnl)
        self.worst = pnl if self.worst is None else min(self.worst, pnl)
        self._spread(float(pnl))
        self._fall()

    def _spread(self, pnl: float) -> None:
        distance = pnl - self._mean
        self._mean += distance / self.trades
        self._squares += distance * (pnl - self._mean)
        self._downside += min(0.0, pnl) ** 2

    def _fall(self) -> None:
        self.peak = max(self.peak, self.equity)
        fall = self.peak - self.equity
        self.drawdown = max(self.drawdown, fall)
        if self.peak > 0:
            self.drawdown_pct = max(self.drawdown_pct or 0.0, float(fall / self.peak * 100))

    def figures(self) -> dict[str, Any]:
        """The figures as the contract names them."""
        average = float(self.equity / self.trades) if self.trades else None
        return {
            "trades": self.trades,
            "wins": self.wins,
            "losses": self.losses,
            "win_rate": self.wins / self.trades * 100 if self.trades else None,
            "total_pnl": float(self.equity),
            "average_pnl": average,
            "best": None if self.best is None else float(self.best),
            "worst": None if self.worst is None else float(self.worst),
            "profit_factor": _finite(self.gross_profit / self.gross_loss) if self.losses else None,
            "expectancy": average,
            "sharpe": self._sharpe(),
            "sortino": self._sortino(),
            "max_drawdown": float(self.drawdown),
            "max_drawdown_pct": self.drawdown_pct,
        }

    def _sharpe(self) -> float | None:
        # Equal trades leave a rounding error of about 1e-16 × their size, which is no variation.
        if self.trades < 2 or self.best == self.worst:
            return None
        return _ratio(self._mean, math.sqrt(self._squares / (self.trades - 1)))

    def _sortino(self) -> float | None:
        return _ratio(self._mean, math.sqrt(self._downside / self.trades)) if self.losses else None


@dataclass(slots=True)
class Curve:
    """An equity curve of at most `MAX_CURVE` points besides the last: every `stride`-th point is kept."""

    stride: int = 1
    seen: int = 0
    points: list[tuple[datetime, Decimal]] = field(default_factory=list)
    last: tuple[datetime, Decimal] | None = None

    def add(self, moment: datetime, equity: Decimal) -> None:
        """One more point."""
        self.last = (moment, equity)
        if self.seen % self.stride == 0:
            self.points.append(self.last)
            if len(self.points) >= MAX_CURVE:
                self.points, self.stride = self.points[::2], self.stride * 2
        self.seen += 1

    def shown(self) -> list[dict[str, Any]]:
        """The points in order, the last always among them."""
        if self.last is None:
            return []
        points = self.points if (self.seen - 1) % self.stride == 0 else [*self.points, self.last]
        return [{"timestamp": to_iso(moment), "equity": float(equity)} for moment, equity in points]


def statistics(trades: Iterable[TradeLine]) -> dict[str, Any]:
    """The figures of `trades` (in the order of closing) as the contract's `data`, without `strategy` and `source`."""
    total, curve, strategies = Tally(), Curve(), dict[str, Tally]()
    with localcontext() as context:
        context.prec = PRECISION
        for trade in trades:
            total.add(trade.pnl)
            curve.add(trade.closed_at, total.equity)
            if trade.strategy in strategies or len(strategies) < MAX_STRATEGIES:
                strategies.setdefault(trade.strategy, Tally()).add(trade.pnl)
        return {
            **total.figures(),
            "equity_curve": curve.shown(),
            "by_strategy": {name: tally.figures() for name, tally in strategies.items()},
        }


def _ratio(value: float, divisor: float) -> float | None:
    return _finite(value / divisor) if divisor else None


def _finite(value: Decimal | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
