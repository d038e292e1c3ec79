"""Scenarios of the market that leave its prices alone: thin books, spoofed orders, washed trades.

Their seconds are simulated ones. They need a market on stage (stage/).
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from market_simulator.market import SymbolMarket
from market_simulator.scenarios.director import Entry, Plan
from market_simulator.stage.effects import BookEffect, Moment, SideName, Spoofing, SpoofOrder, ThinBook
from market_simulator.stage.market import Stage, StagedMarket
from market_simulator.stage.washing import WashTrading
from market_simulator.trading.session_market import SessionMarket
from market_simulator.wire.hub import Hub
from market_simulator.wire.numbers import fixed8
from shared.errors import Conflict
from shared.web.models import Body

_USUAL_LEVELS = 20
_USUAL_TRADES = 100


class ThinBookParams(Body):
    """How thin."""

    keep_pct: float = Field(10.0, gt=0, le=100, description="about how much of each level's quantity is left, percent")
    within_pct: float = Field(1.0, gt=0, le=100, description="levels further than this from the best price are gone")


class SpoofingParams(Body):
    """Which orders."""

    side: Literal["bid", "ask", "both"] = Field("both", description="where they stand")
    size: float = Field(20.0, gt=0, le=1000, description="times the mean quantity of the 20 best levels")
    distance_ticks: int = Field(5, ge=1, le=10_000, description="ticks behind the best price when they are placed")
    stay_ms: int = Field(3000, ge=500, le=600_000, description="how long one stands")


class WashTradingParams(Body):
    """How many."""

    share: float = Field(0.2, gt=0, le=0.5, description="which part of the pairs of trades")


@dataclass
class BookLie:
    """A book effect from its begin to its end, or until it is ended."""

    plan: Plan
    hub: Hub
    market: Stage
    effect: BookEffect | None = None

    def begin(self) -> None:
        now_ms = self.hub.catch_up(self.market.info.symbol)
        effect = self.make(now_ms, now_ms + int(self.plan.duration_s * 1000))
        try:
            self.market.affect(effect)
        except ValueError as error:
            raise Conflict(str(error)) from None
        self.effect = effect

    def make(self, start_ms: int, end_ms: int) -> BookEffect:
        """The effect that the plan asks for."""
        raise NotImplementedError

    def end(self, expired: bool) -> None:
        if self.effect is not None and not expired:
            self.hub.catch_up(self.market.info.symbol)
            self.market.calm(self.effect)

    def _step(self, quantity: float) -> int:
        step = self.market.info.step_size
        return max(1, round(quantity / step)) * step


class ThinBookLie(BookLie):
    """Liquidity is withdrawn: depth, snapshots and bookTicker agree about what is left."""

    def make(self, start_ms: int, end_ms: int) -> ThinBook:
        params, info = self.plan.params, self.market.info
        assert isinstance(params, ThinBookParams)  # noqa: S101  # the entry's own model, for the type checker
        reach = int(self.market.best().bid[0] * params.within_pct / 100)
        return ThinBook(start_ms, end_ms, params.keep_pct, reach, info.step_size, info.tick_size, self.plan.seed)

    def truth(self) -> dict[str, Any]:
        effect = self.effect
        if not isinstance(effect, ThinBook):
            return {}
        return {
            "start_ms": effect.start_ms,
            "end_ms": effect.end_ms,
            "first": _moment(effect.first),
            "ended": _moment(effect.ended),
            "levels_before": effect.levels_before,
            "levels_left": effect.levels_left,
            "quantity_before": fixed8(effect.quantity_before),
            "quantity_left": fixed8(effect.quantity_left),
        }


class SpoofingLie(BookLie):
    """Large orders near the touch that are withdrawn before they can trade."""

    def make(self, start_ms: int, end_ms: int) -> Spoofing:
        params, info = self.plan.params, self.market.info
        assert isinstance(params, SpoofingParams)  # noqa: S101  # the entry's own model, for the type checker
        book = self.market.book()
        levels = [*book.bids[:_USUAL_LEVELS], *book.asks[:_USUAL_LEVELS]]
        quantity = self._step(params.size * sum(size for _, size in levels) / len(levels))
        sides: tuple[SideName, ...] = ("bid", "ask") if params.side == "both" else (params.side,)
        distance = params.distance_ticks * info.tick_size
        return Spoofing(start_ms, end_ms, sides, quantity, distance, params.stay_ms, self.plan.seed)

    def truth(self) -> dict[str, Any]:
        effect = self.effect
        if not isinstance(effect, Spoofing):
            return {}
        orders = [_spoofed(order) for order in effect.orders]
        times = {"start_ms": effect.start_ms, "end_ms": effect.end_ms}
        return {**times, "orders_placed": effect.placed, "newest_orders": orders}


@dataclass
class WashTradingLie:
    """Pairs of the market's own trades that somebody makes with himself: ids, prices and times stay."""

    plan: Plan
    hub: Hub
    market: Stage
    washing: WashTrading | None = None

    def begin(self) -> None:
        params, step = self.plan.params, self.market.info.step_size
        assert isinstance(params, WashTradingParams)  # noqa: S101  # the entry's own model, for the type checker
        now_ms = self.hub.catch_up(self.market.info.symbol)
        trades = self.market.trades(now_ms, limit=_USUAL_TRADES)
        mean = sum(trade.quantity for trade in trades) // max(1, len(trades))
        end_ms = now_ms + 1 + int(self.plan.duration_s * 1000)
        washing = WashTrading(now_ms + 1, end_ms, params.share, max(step, mean // step * step), self.plan.seed)
        try:
            self.market.wash(washing)
        except ValueError as error:
            raise Conflict(str(error)) from None
        self.washing = washing

    def end(self, expired: bool) -> None:
        if self.washing is not None and not expired:
            self.hub.catch_up(self.market.info.symbol)
            self.market.end_wash(self.washing)

    def truth(self) -> dict[str, Any]:
        washing = self.washing
        if washing is None:
            return {}
        self.market.trades(self.hub.now_ms(), limit=1)  # what is known by now has been looked at then
        ids = [self.market.shown_id(id) for id in washing.ids]
        times = {"start_ms": washing.start_ms, "end_ms": washing.end_ms, "lot": fixed8(washing.lot)}
        return {**times, "trades_washed": washing.washed, "newest_ids": ids}


def _moment(moment: Moment | None) -> dict[str, int] | None:
    return None if moment is None else {"update_id": moment.update_id, "at_ms": moment.event_ms}


def _spoofed(order: SpoofOrder) -> dict[str, Any]:
    return {
        "side": order.side,
        "price": fixed8(order.price),
        "quantity": fixed8(order.quantity),
        "placed": _moment(order.placed),
        "withdrawn": _moment(order.withdrawn),
        "reason": order.reason,
    }


def menu(hub: Hub) -> list[Entry]:
    """These scenarios' entries."""

    def entry(name: str, summary: str, params: type[Body], lie: type[BookLie] | type[WashTradingLie]) -> Entry:
        def make(plan: Plan) -> Any:
            return lie(plan, hub, _stage(hub.find(plan.symbol or "")))

        return Entry(name, summary, "required", 60.0, params, make, simulated=True, least_s=1.0)

    thinned = "levels keep about keep_pct of their quantity, those beyond within_pct are gone"
    spoofed = "large orders are placed near the best price and withdrawn before they can trade"
    washed = "a share of the trades becomes pairs of one size and both sides; ids, prices and times stay"
    return [
        entry("thin_book", thinned, ThinBookParams, ThinBookLie),
        entry("spoofing", spoofed, SpoofingParams, SpoofingLie),
        entry("wash_trading", washed, WashTradingParams, WashTradingLie),
    ]


def _stage(market: SymbolMarket | None) -> Stage:
    if not isinstance(market, StagedMarket | SessionMarket):
        raise Conflict("this market is not on stage")
    return market
