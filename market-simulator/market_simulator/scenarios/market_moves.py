"""Scenarios of the market: prices move, everything else stays consistent. Their seconds are simulated ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from market_simulator.market import SymbolMarket, Trade
from market_simulator.repricing import Cancelled, PricePath, flash_crash, gap, pump
from market_simulator.scenarios.director import Entry, Plan
from market_simulator.wire.hub import Hub
from market_simulator.wire.numbers import fixed8
from shared.errors import Conflict
from shared.web.models import Body


class FlashCrashParams(Body):
    """How deep."""

    depth_pct: float = Field(5.0, gt=0, le=50, description="fall at the lowest point, percent of the price before")


class PumpParams(Body):
    """How high."""

    height_pct: float = Field(5.0, gt=0, le=100, description="rise at the highest point, percent of the price before")


class GapParams(Body):
    """How far."""

    size_pct: float = Field(3.0, ge=-50, le=100, description="the jump, percent of the price before; negative: down")


Make = Callable[[Plan, int, int, int], PricePath]  # plan, start (ms), price before, tick size → path


@dataclass
class PriceMove:
    """All prices move along a path; trades, book, klines and tickers agree."""

    plan: Plan
    hub: Hub
    market: SymbolMarket
    make: Make
    path: PricePath | None = None
    price_before: int = 0
    ended_ms: int | None = None

    def begin(self) -> None:
        now_ms = self.hub.catch_up(self.market.info.symbol)
        self.price_before = self.market.best().bid[0]
        path = self.make(self.plan, now_ms + 1, self.price_before, self.market.info.tick_size)
        try:
            self.market.reprice(path)
        except ValueError as error:
            raise Conflict(str(error)) from None
        self.path = path

    def end(self, expired: bool) -> None:
        if self.path is None or expired:
            return
        self.ended_ms = self.hub.catch_up(self.market.info.symbol) + 1
        self.market.reprice(Cancelled(self.path, self.ended_ms))

    def truth(self) -> dict[str, Any]:
        if self.path is None:
            return {}
        end_ms = self.ended_ms or self.path.end_ms
        return {
            "start_ms": self.path.start_ms,
            "end_ms": end_ms,
            "price_before": fixed8(self.price_before),
            **self._extremes(self.path),
            **self._trade_ids(end_ms),
        }

    @staticmethod
    def _extremes(path: PricePath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, shift in (("lowest", min(path.shifts)), ("highest", max(path.shifts))):
            found[f"{name}_shift"] = fixed8(shift)
            found[f"{name}_at_ms"] = path.starts_ms[path.shifts.index(shift)]
        return found

    def _trade_ids(self, end_ms: int) -> dict[str, int | None]:
        """The first and last trade it moved, so far. A repriced trade's own time may lie a little before the start."""
        assert self.path is not None  # noqa: S101  # asked by truth() alone, which has looked
        now_ms = self.hub.now_ms()
        until_ms = min(end_ms - 1, now_ms)
        first = self.market.trades(now_ms, limit=1, start_ms=self.path.start_ms, end_ms=until_ms)
        last = self.market.trades(now_ms, limit=1, end_ms=until_ms)
        return {"first_trade_id": _id(first), "last_trade_id": _id(last) if first else None}


def _id(trades: list[Trade]) -> int | None:
    return trades[0].id if trades else None


def _ticks(price: int, percent: float, tick_size: int) -> int:
    """A part of a price in whole ticks, at least one."""
    return max(1, int(price * percent / 100 / tick_size))


def _crash(plan: Plan, start_ms: int, price: int, tick_size: int) -> PricePath:
    assert isinstance(plan.params, FlashCrashParams)  # noqa: S101  # the entry's own model, for the type checker
    depth = _ticks(price, plan.params.depth_pct, tick_size)
    return flash_crash(start_ms, int(plan.duration_s * 1000), depth, tick_size, plan.seed)


def _pump(plan: Plan, start_ms: int, price: int, tick_size: int) -> PricePath:
    assert isinstance(plan.params, PumpParams)  # noqa: S101  # the entry's own model, for the type checker
    height = _ticks(price, plan.params.height_pct, tick_size)
    return pump(start_ms, int(plan.duration_s * 1000), height, tick_size, plan.seed)


def _gap(plan: Plan, start_ms: int, price: int, tick_size: int) -> PricePath:
    assert isinstance(plan.params, GapParams)  # noqa: S101  # the entry's own model, for the type checker
    size = _ticks(price, abs(plan.params.size_pct), tick_size)
    return gap(start_ms, int(plan.duration_s * 1000), -size if plan.params.size_pct < 0 else size, tick_size)


def menu(hub: Hub) -> list[Entry]:
    """These scenarios' entries."""

    def entry(name: str, summary: str, params: type[Body], make: Make, least_s: float) -> Entry:
        def move(plan: Plan) -> PriceMove:
            market = hub.find(plan.symbol or "")
            assert market is not None  # noqa: S101  # the director has looked the symbol up
            return PriceMove(plan, hub, market, make)

        return Entry(name, summary, "required", 60.0, params, move, simulated=True, least_s=least_s)

    crash = "the price falls by depth_pct within a quarter of duration_s and recovers"
    pumped = "the price climbs by height_pct, faster and faster, is dumped and fades back"
    jump = "the price jumps by size_pct at once and stays until the end"
    return [
        entry("flash_crash", crash, FlashCrashParams, _crash, 1.0),
        entry("pump", pumped, PumpParams, _pump, 5.0),
        entry("gap", jump, GapParams, _gap, 0.1),
    ]
