"""Statistics against a second computation that is written for clarity, all values at once, as the definitions read."""

import math
import statistics as stdlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from database_service.performance import TradeLine, earned, net_pnl
from database_service.statistics import MAX_CURVE, MAX_STRATEGIES, statistics
from shared.errors import InvalidInput

pytestmark = pytest.mark.unit
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
profits = st.lists(st.decimals(-1_000_000, 1_000_000, places=2), max_size=60)


def lines(values: list[Decimal], strategy: str = "s") -> list[TradeLine]:
    return [TradeLine(NOON + timedelta(minutes=n), strategy, value) for n, value in enumerate(values)]


def plainly(values: list[Decimal]) -> dict[str, Any]:
    """The definitions, word by word."""
    wins, losses = [v for v in values if v > 0], [v for v in values if v < 0]
    equity = [sum(values[: n + 1], Decimal(0)) for n in range(len(values))]
    peaks = [max([Decimal(0), *equity[: n + 1]]) for n in range(len(equity))]
    falls = [peak - now for peak, now in zip(peaks, equity, strict=True)]
    percents = [float((peak - now) / peak * 100) for peak, now in zip(peaks, equity, strict=True) if peak > 0]
    mean = sum(values) / len(values) if values else None
    deviation = float(stdlib.stdev(values)) if len(values) > 1 else 0.0
    downside = math.sqrt(sum(float(v) ** 2 for v in losses) / len(values)) if losses else 0.0
    win_share, loss_share = (len(part) / max(1, len(values)) for part in (wins, losses))
    mean_win, mean_loss = (float(sum(part) / max(1, len(part))) for part in (wins, losses))
    return {
        "trades": len(values),
        "wins": len(wins),
        "losses": len(losses),
        "win_rate": win_share * 100 if values else None,
        "total_pnl": float(sum(values)),
        "average_pnl": None if mean is None else float(mean),
        "best": float(max(values)) if values else None,
        "worst": float(min(values)) if values else None,
        "profit_factor": float(sum(wins) / -sum(losses)) if losses else None,
        "expectancy": float(mean_win * win_share + mean_loss * loss_share) if values else None,
        "sharpe": float(mean) / deviation if mean is not None and deviation else None,
        "sortino": float(mean) / downside if mean is not None and downside else None,
        "max_drawdown": float(max(falls, default=Decimal(0))),
        "max_drawdown_pct": max(percents, default=None),
    }


@given(profits)
def test_one_pass_gives_what_the_definitions_give(values: list[Decimal]) -> None:
    figures = statistics(lines(values))
    for name, expected in plainly(values).items():
        assert figures[name] == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-7)), name


@pytest.fixture(scope="module")
def empyrical() -> Any:
    return pytest.importorskip("empyrical", reason="the optional package empyrical-reloaded is not installed")


@given(st.lists(st.decimals(-1000, 1000, places=2), min_size=2, max_size=60))
def test_sharpe_and_sortino_are_those_of_an_independent_library(empyrical: Any, values: list[Decimal]) -> None:
    """Its ratios are of returns over periods; with the annualisation at 1 they are ours of profits over trades."""
    pnl = numpy.array([float(value) for value in values])
    figures = statistics(lines(values))
    if figures["sharpe"] is not None:
        assert figures["sharpe"] == pytest.approx(float(empyrical.sharpe_ratio(pnl, annualization=1)), rel=1e-9)
    if figures["sortino"] is not None:
        assert figures["sortino"] == pytest.approx(float(empyrical.sortino_ratio(pnl, annualization=1)), rel=1e-9)


@given(profits.filter(len))
def test_the_figures_are_those_of_numpy(values: list[Decimal]) -> None:
    """Vectors instead of one pass: another way to every figure that numpy has a word for."""
    pnl = numpy.array([float(value) for value in values])
    equity = numpy.concatenate([[0.0], numpy.cumsum(pnl)])
    falls = numpy.maximum.accumulate(equity) - equity
    figures = statistics(lines(values))
    expected = {
        "total_pnl": pnl.sum(), "average_pnl": pnl.mean(), "best": pnl.max(), "worst": pnl.min(),
        "win_rate": numpy.mean(pnl > 0) * 100, "max_drawdown": falls.max(),
    }  # fmt: skip
    for name, value in expected.items():
        assert figures[name] == pytest.approx(float(value), rel=1e-9, abs=1e-6), name
    if figures["sharpe"] is not None:
        assert figures["sharpe"] == pytest.approx(float(pnl.mean() / pnl.std(ddof=1)), rel=1e-6, abs=1e-9)


@given(profits)
def test_nothing_is_ever_nan_or_infinite(values: list[Decimal]) -> None:
    figures = statistics(lines(values))
    assert all(math.isfinite(value) for value in figures.values() if isinstance(value, float))


@given(profits, profits)
def test_strategies_are_counted_apart(first: list[Decimal], second: list[Decimal]) -> None:
    figures = statistics([*lines(first, "a"), *lines(second, "b")])["by_strategy"]
    for name, values in (("a", first), ("b", second)):
        if values:
            assert figures[name]["total_pnl"] == pytest.approx(plainly(values)["total_pnl"])
            assert figures[name]["max_drawdown"] == pytest.approx(plainly(values)["max_drawdown"])
        else:
            assert name not in figures


@pytest.mark.parametrize("trades", [0, 1, 2, MAX_CURVE - 1, MAX_CURVE, MAX_CURVE + 1, 7777])
def test_a_curve_is_bounded_and_ends_where_the_trades_end(trades: int) -> None:
    values = [Decimal(1)] * trades
    curve = statistics(lines(values))["equity_curve"]
    assert len(curve) <= MAX_CURVE + 1
    equities = [point["equity"] for point in curve]
    assert equities == sorted(set(equities))
    if trades:
        assert (equities[0], equities[-1]) == (1.0, float(trades))
    assert len(curve) >= min(trades, MAX_CURVE // 2)


def test_the_strategies_named_are_bounded_and_the_totals_are_not() -> None:
    trades = [TradeLine(NOON, f"s{n}", Decimal(1)) for n in range(MAX_STRATEGIES + 50)]
    figures = statistics(trades)
    assert len(figures["by_strategy"]) == MAX_STRATEGIES
    assert figures["trades"] == MAX_STRATEGIES + 50


def test_equal_trades_have_no_sharpe_ratio() -> None:
    assert statistics(lines([Decimal("0.1")] * 10))["sharpe"] is None


def test_the_largest_amounts_stay_finite() -> None:
    figures = statistics(lines([Decimal("1e15"), Decimal("-1e15"), Decimal("1e-15")] * 100))
    assert figures["total_pnl"] == pytest.approx(1e-13)
    assert math.isfinite(figures["sharpe"])


amounts = st.floats(0.01, 1e6)


@given(amounts, amounts, amounts, st.sampled_from([0.0, 0.1, 1.25, -3.3]))
def test_a_short_earns_what_a_long_loses_before_fees(entry: float, exit_: float, quantity: float, fees: float) -> None:
    long = net_pnl("LONG", entry, exit_, quantity, fees)
    assert long + net_pnl("SHORT", entry, exit_, quantity, fees) == -2 * Decimal(repr(fees))


def test_profit_in_percent_is_of_the_cost_at_entry() -> None:
    pnl, percent = earned(None, None, "LONG", 100.0, 110.0, 2.0, 1.0)
    assert (pnl, percent) == (Decimal(19), 9.5)


def test_a_given_percentage_is_kept() -> None:
    assert earned(5.0, 1.5, None, None, None, None, None) == (Decimal("5.0"), 1.5)


def test_nothing_to_compute_from_is_refused() -> None:
    with pytest.raises(InvalidInput):
        earned(None, None, "LONG", 1.0, 2.0, None, None)
