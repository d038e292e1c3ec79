"""Calibration: of the signals that were 80–90 % sure, how many were right?

    claim      a signal with a direction: BUY says that the price will be higher, SELL lower, HOLD that it stays within
               ± `HOLD_PCT`; all of the signal's own `price`. Other types claim nothing and are not counted.
    right      judged by the price 1 h, 4 h and 24 h after the signal's `timestamp`. An unchanged price makes BUY and
               SELL wrong. Fees and slippage don't enter: the forecast is judged, not a trade.
    hit_rate   right ÷ judged, in percent; `interval` is Wilson's 95 % score interval (Wilson, Probable Inference,
               1927; as in Brown, Cai & DasGupta, Interval Estimation for a Binomial Proportion, 2001), in percent
    brier      the mean of (confidence − outcome)², outcome 1 or 0 (Brier, Verification of Forecasts, 1950): 0 is
               perfect, 0.25 is what saying 50 % each time gets

A claim is `too_young` before its horizon has passed, `unpriced` where no price is known for it; neither is judged.
Well calibrated means: the mean confidence of a band lies inside its interval. Signals overlap in time, so they are not
independent and the true intervals are wider; two signals of one hour are nearly one observation.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from shared.errors import FleetError

Market = Literal["spot", "futures"]
BANDS = ((0.65, 0.70), (0.70, 0.80), (0.80, 0.90), (0.90, 1.00))  # from (inclusive), to (exclusive but for 1)
HORIZONS = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "24h": timedelta(hours=24)}
HOLD_PCT = 0.5
MIN_CONFIDENCE = BANDS[0][0]
Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile
MAX_STRATEGIES = 100  # named in by_strategy; the totals still count every signal
RULES: dict[str, Callable[[float], bool]] = {  # by the change of the price in percent
    "BUY": lambda change: change > 0,
    "SELL": lambda change: change < 0,
    "HOLD": lambda change: abs(change) <= HOLD_PCT,
}


class Claim(NamedTuple):
    """What calibration needs of a signal."""

    symbol: str
    signal_type: str
    confidence: float
    price: float
    timestamp: datetime
    strategy: str | None


class Prices(Protocol):
    """Where prices come from."""

    def at(self, symbol: str, moment: datetime) -> float | None:
        """The price that held at that past moment; None if it is not known."""
        ...


class AskedPrices(Prices, Protocol):
    """Prices that are asked of a market, within bounds."""

    @property
    def complete(self) -> bool:
        """False once a bound or the market kept a price from being asked."""
        ...

    @property
    def trouble(self) -> FleetError | None:
        """What the market said then, if it was that."""
        ...


class PriceSource(Protocol):
    """A market that remembers its prices."""

    def prices(self, market: Market) -> AskedPrices:
        """The prices for one calibration; each question may block."""
        ...


class PricePoint(NamedTuple):
    """A price that a client gives."""

    timestamp: datetime
    price: float


class GivenPrices:
    """Prices that came with the request: at a moment the newest one before it holds, for `max_age`."""

    def __init__(self, points: Iterable[tuple[str, PricePoint]], max_age: timedelta):
        self._max_age = max_age
        self._by_symbol: dict[str, list[PricePoint]] = {}
        for symbol, point in points:
            self._by_symbol.setdefault(symbol, []).append(point)
        for known in self._by_symbol.values():
            known.sort()

    def at(self, symbol: str, moment: datetime) -> float | None:
        """See `Prices.at`."""
        known = self._by_symbol.get(symbol, [])
        place = bisect_right(known, moment, key=lambda point: point.timestamp)
        newest = known[place - 1] if place else None
        return newest.price if newest is not None and moment - newest.timestamp <= self._max_age else None


@dataclass(slots=True)
class Score:
    """What was judged so far, of one band or of all."""

    judged: int = 0
    right: int = 0
    confidence: float = 0.0
    squares: float = 0.0

    def add(self, confidence: float, right: bool) -> None:
        """One more judged claim."""
        self.judged += 1
        self.right += right
        self.confidence += confidence
        self.squares += (confidence - right) ** 2

    def figures(self) -> dict[str, Any]:
        """As the answer has them; what is undefined is None."""
        n = self.judged
        return {
            "judged": n,
            "right": self.right,
            "hit_rate": self.right / n * 100 if n else None,
            "interval": wilson(self.right, n),
            "mean_confidence": self.confidence / n if n else None,
            "brier": self.squares / n if n else None,
        }


@dataclass(slots=True)
class Horizon:
    """The scores at one horizon."""

    bands: list[Score] = field(default_factory=lambda: [Score() for _ in BANDS])
    total: Score = field(default_factory=Score)
    too_young: int = 0
    unpriced: int = 0

    def add(self, claim: Claim, right: bool | None) -> None:
        """One more claim; `right` None: no price is known."""
        if right is None:
            self.unpriced += 1
            return
        self.bands[band_of(claim.confidence)].add(claim.confidence, right)
        self.total.add(claim.confidence, right)

    def figures(self) -> dict[str, Any]:
        """As the answer has them."""
        bands = [{"from": low, "to": high, **s.figures()} for (low, high), s in zip(BANDS, self.bands, strict=True)]
        return {**self.total.figures(), "too_young": self.too_young, "unpriced": self.unpriced, "bands": bands}


@dataclass(slots=True)
class Calibration:
    """All horizons, of all signals or of one strategy."""

    signals: int = 0
    horizons: dict[str, Horizon] = field(default_factory=lambda: {name: Horizon() for name in HORIZONS})

    def figures(self) -> dict[str, Any]:
        """As the answer has them."""
        return {
            "signals": self.signals,
            "horizons": {name: horizon.figures() for name, horizon in self.horizons.items()},
        }


def calibrate(claims: Iterable[Claim], prices: Prices, now: datetime) -> dict[str, Any]:
    """The figures of `claims` and of each strategy among them. May block as long as `prices` does."""
    total, strategies = Calibration(), dict[str, Calibration]()
    for claim in claims:
        if claim.signal_type not in RULES or claim.confidence < MIN_CONFIDENCE:
            continue
        counted = [total]
        if claim.strategy is not None and (claim.strategy in strategies or len(strategies) < MAX_STRATEGIES):
            counted.append(strategies.setdefault(claim.strategy, Calibration()))
        _judge(claim, prices, now, counted)
    by_strategy = {name: calibration.figures() for name, calibration in strategies.items()}
    return {**total.figures(), "by_strategy": by_strategy, "hold_pct": HOLD_PCT}


def _judge(claim: Claim, prices: Prices, now: datetime, counted: list[Calibration]) -> None:
    for calibration in counted:
        calibration.signals += 1
    for name, ahead in HORIZONS.items():
        horizons = [calibration.horizons[name] for calibration in counted]
        if claim.timestamp + ahead > now:
            for horizon in horizons:
                horizon.too_young += 1
            continue
        later = prices.at(claim.symbol, claim.timestamp + ahead)
        right = None if later is None else is_right(claim.signal_type, claim.price, later)
        for horizon in horizons:
            horizon.add(claim, right)


def is_right(signal_type: str, price: float, later: float) -> bool:
    """Did the price do what the signal said? For the types in `RULES`."""
    return RULES[signal_type]((later / price - 1) * 100)


def band_of(confidence: float) -> int:
    """The index in `BANDS`; `confidence` is at least `MIN_CONFIDENCE`."""
    return next((index for index, (_, high) in enumerate(BANDS) if confidence < high), len(BANDS) - 1)


def wilson(right: int, judged: int) -> list[float] | None:
    """The 95 % score interval of a share, in percent; None of nothing."""
    if not judged:
        return None
    share, z2 = right / judged, Z_95**2
    centre = share + z2 / (2 * judged)
    reach = Z_95 * math.sqrt(share * (1 - share) / judged + z2 / (4 * judged**2))
    scale = 100 / (1 + z2 / judged)
    return [max(0.0, (centre - reach) * scale), min(100.0, (centre + reach) * scale)]
