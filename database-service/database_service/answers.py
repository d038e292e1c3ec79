"""What answers hold, for the documentation; the hall adds `success`."""

from typing import Any, Literal

from pydantic import Field

from shared.web.models import Answer

INCOMPLETE = (
    "stands there, false, where the database did not answer (it is away, or too slow while something waits for it): "
    "only what waits is known"
)


class SaveAnswer(Answer):
    """A signal is stored. `durable` stands there, false, where nothing durable is configured."""

    success: bool
    message: str
    signal_id: str


class RowResult(Answer):
    """What became of one row: its id, or the error that refused it (`code`, `message`, `details` as everywhere)."""

    index: int = Field(description="of the row, from 0")
    status: Literal["stored", "duplicate", "refused", "not_stored"]
    signal_id: str | None = None
    error: dict[str, Any] | None = None


class BatchAnswer(Answer):
    """A batch is stored. `durable` as in SaveAnswer. A 422 of `atomic` holds the counts and results beside `error`."""

    success: bool
    stored: int
    duplicates: int
    refused: int
    results: list[RowResult]


class Hits(Answer):
    """How many claims were right; the definitions stand in calibration.py."""

    judged: int
    right: int
    hit_rate: float | None = Field(description="percent")
    interval: list[float] | None = Field(description="Wilson's 95 % interval of the hit rate, percent")
    mean_confidence: float | None
    brier: float | None


class Band(Hits):
    """Claims of about the same confidence."""

    low: float = Field(alias="from", description="inclusive")
    high: float = Field(alias="to", description="exclusive, but for 1")


class HorizonHits(Hits):
    """All bands so long after the signals."""

    too_young: int
    unpriced: int
    bands: list[Band]


class StrategyCalibration(Answer):
    """One strategy's, by horizon (1h, 4h, 24h)."""

    signals: int
    horizons: dict[str, HorizonHits]


class CalibrationData(StrategyCalibration):
    """Of all signals, and by strategy. `complete` is false where there are more signals or prices than were asked."""

    by_strategy: dict[str, StrategyCalibration]
    hold_pct: float = Field(description="how far a HOLD's price may move, percent")
    complete: bool
    source: str


class CalibrationAnswer(Answer):
    """Calibration."""

    success: bool
    data: CalibrationData


class TrackAnswer(Answer):
    """A trade is stored. `durable` as in SaveAnswer."""

    success: bool
    message: str
    performance_id: str


class Signal(Answer):
    """A stored signal; the optional fields that were given stand beside these."""

    signal_id: str
    symbol: str
    signal_type: str
    confidence: float
    price: float
    timestamp: str
    compliant: bool
    violations: list[str]


class SignalAnswer(Answer):
    """One signal."""

    success: bool
    data: Signal
    source: str


class History(Answer):
    """One page of signals."""

    count: int
    source: str
    next_cursor: str | None
    signals: list[Signal]
    complete: bool | None = Field(None, description=INCOMPLETE)


class HistoryAnswer(Answer):
    """One page of signals, newest first."""

    success: bool
    data: History


class EquityPoint(Answer):
    """The cumulated profit after a trade."""

    timestamp: str
    equity: float


class Figures(Answer):
    """What trades say about a strategy; the definitions stand in statistics.py and the README."""

    trades: int
    wins: int
    losses: int
    win_rate: float | None = Field(description="percent")
    total_pnl: float
    average_pnl: float | None
    best: float | None
    worst: float | None
    profit_factor: float | None
    expectancy: float | None
    sharpe: float | None = Field(description="per trade, not annualised")
    sortino: float | None = Field(description="per trade, not annualised")
    max_drawdown: float
    max_drawdown_pct: float | None


class Statistics(Figures):
    """The figures of all wanted trades, and by strategy."""

    strategy: str | None
    equity_curve: list[EquityPoint]
    by_strategy: dict[str, Figures]
    source: str
    complete: bool | None = Field(None, description=INCOMPLETE)


class StatsAnswer(Answer):
    """Performance statistics."""

    success: bool
    data: Statistics


class SettingsAnswer(Answer):
    """A user's settings."""

    success: bool
    version: int
    settings: dict[str, Any]


class Conflict(Answer):
    """A signal or trade that was acknowledged while the database was away, and that it could not take as it was."""

    signal_id: str | None = Field(None, description="a signal's")
    performance_id: str | None = Field(None, description="a trade's")
    reason: str
    found_at: str
    document: dict[str, Any] = Field(description="as it was acknowledged")


class Conflicts(Answer):
    """The newest thousand."""

    count: int
    conflicts: list[Conflict]


class ConflictsAnswer(Answer):
    """Conflicts found while draining the spool."""

    success: bool
    data: Conflicts


class AuditHead(Answer):
    """The newest link of the audit chain. Keep it elsewhere."""

    sequence: int
    hash: str


class Audit(Answer):
    """What the check of the audit chain found."""

    valid: bool
    broken_at: int | None
    checked: int
    removed: int = Field(description="links whose signals retention removed")
    next: int | None = Field(description="`from` of the next call; null at the end")
    head: AuditHead
    note: str


class AuditAnswer(Answer):
    """The audit chain."""

    success: bool
    data: Audit
