"""Scenarios of the market: prices move, everything else stays consistent. Their seconds are simulated ones."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from market_simulator.market import SymbolMarket, Trade
from market_simulator.repricing import Cancelled, PricePath, flash_crash
from market_simulator.scenarios.director import Entry, Plan
from market_simulator.wire.hub import Hub
from market_simulator.wire.numbers import fixed8
from shared.errors import Conflict
from shared.web.models import Body


class FlashCrashParams(Body):
    """How deep."""

    depth_pct: float = Field(5.0, gt=0, le=50, description="fall at the lowest point, percent of the price before")


@dataclass
class FlashCrash:
    """The price falls within a quarter of the time and comes back; trades, book, klines and tickers agree."""

    plan: Plan
    hub: Hub
    market: SymbolMarket
    path: PricePath | None = None
    price_before: int = 0
    ended_ms: int | None = None

    def begin(self) -> None:
        assert isinstance(self.plan.params, FlashCrashParams)  # noqa: S101  # the entry's own model, for the type checker
        symbol = self.market.info.symbol
        now_ms = self.hub.catch_up(symbol)
        tick = self.market.info.tick_size
        self.price_before = self.market.best().bid[0]
        depth = max(1, int(self.price_before * self.plan.params.depth_pct / 100 / tick))
        path = flash_crash(now_ms + 1, int(self.plan.duration_s * 1000), depth, tick, self.plan.seed)
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
            "lowest_shift": fixed8(min(self.path.shifts)),
            "lowest_at_ms": self.path.starts_ms[self.path.shifts.index(min(self.path.shifts))],
            **self._trade_ids(end_ms),
        }

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


def menu(hub: Hub) -> list[Entry]:
    """These scenarios' entries."""

    def crash(plan: Plan) -> FlashCrash:
        market = hub.find(plan.symbol or "")
        assert market is not None  # noqa: S101  # the director has looked the symbol up
        return FlashCrash(plan, hub, market)

    summary = "the price falls by depth_pct within a quarter of duration_s and recovers"
    return [Entry("flash_crash", summary, "required", 60.0, FlashCrashParams, crash, simulated=True, least_s=1.0)]
