"""Scenarios about REST: refused, failing, slow, stale. Their seconds are the wall clock's."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from market_simulator.market import SymbolMarket
from market_simulator.scenarios.director import Entry, Plan
from market_simulator.wire import errors
from market_simulator.wire.faults import Faults
from market_simulator.wire.hub import Hub
from market_simulator.wire.limits import WEIGHT_PER_MINUTE
from market_simulator.wire.rest_rules import Refuse, RestRule, Slow, StaleSnapshot
from shared.web.models import Body, Shape

RealS = Callable[[], float]


class NoRestParams(Body):
    """Nothing to set."""


class CallParams(Body):
    """Which calls."""

    path: Annotated[str, Shape("^/.{0,79}$", "must begin with '/' and have at most 80 characters")] = Field(
        "/", description="how their paths begin, such as /api/v3/klines"
    )
    share: float = Field(1.0, gt=0, le=1, description="which part of them")


class ServerErrorParams(CallParams):
    """Which answer."""

    status: Literal[500, 502, 503, 504] = Field(500, description="HTTP status")


class SlowParams(CallParams):
    """How slow."""

    delay_ms: int = Field(2000, ge=1, le=60_000, description="milliseconds that an answer waits")


@dataclass
class RestFault:
    """One rule about calls. Its record is ground truth."""

    faults: Faults
    rule: RestRule

    def begin(self) -> None:
        self.faults.rest.rules.append(self.rule)

    def end(self, expired: bool) -> None:  # noqa: ARG002  # ends alike
        self.faults.rest.remove(self.rule)

    def truth(self) -> dict[str, Any]:
        return self.rule.truth()


@dataclass
class Stale:
    """`/depth` of one symbol shows the book as it was at the begin."""

    faults: Faults
    hub: Hub
    market: SymbolMarket
    snapshot: StaleSnapshot | None = None

    def begin(self) -> None:
        symbol = self.market.info.symbol
        self.hub.catch_up(symbol)
        self.snapshot = StaleSnapshot(symbol, self.market.book())
        self.faults.rest.snapshots.append(self.snapshot)

    def end(self, expired: bool) -> None:  # noqa: ARG002  # ends alike
        if self.snapshot is not None:
            self.faults.rest.remove_snapshot(self.snapshot)

    def truth(self) -> dict[str, Any]:
        return self.snapshot.truth() if self.snapshot is not None else {}


def menu(hub: Hub, faults: Faults, real_s: RealS) -> list[Entry]:
    """These scenarios' entries. `real_s`: the wall clock in seconds."""

    def entry(name: str, summary: str, params: type[CallParams], make: Callable[[Plan, Any], RestRule]) -> Entry:
        return Entry(name, summary, "none", 30.0, params, lambda plan: RestFault(faults, make(plan, plan.params)))

    def refusal(plan: Plan, params: CallParams, make: Callable[[int, int], errors.ExchangeError]) -> Refuse:
        """`make` gets when it is over (ms) and the seconds until then."""
        until_s = real_s() + plan.duration_s

        def error(now_s: float) -> errors.ExchangeError:
            return make(int(until_s * 1000), max(1, math.ceil(until_s - now_s)))

        return Refuse(params.path, params.share, plan.seed, make=error)

    def stale(plan: Plan) -> Stale:
        market = hub.find(plan.symbol or "")
        assert market is not None  # noqa: S101  # the director has looked the symbol up
        return Stale(faults, hub, market)

    return [
        entry(
            "too_many_requests", "calls are refused with 429 until it is over; Retry-After says when", CallParams,
            lambda plan, params: refusal(
                plan, params, lambda _, left_s: errors.too_much_weight(WEIGHT_PER_MINUTE, left_s)
            ),
        ),
        entry(
            "banned", "calls are refused with 418 until it is over; Retry-After says when", CallParams,
            lambda plan, params: refusal(plan, params, errors.banned),
        ),
        entry(
            "server_error", "calls fail with 5xx", ServerErrorParams,
            lambda plan, params: Refuse(
                params.path, params.share, plan.seed, make=lambda _: errors.internal(params.status)
            ),
        ),
        entry(
            "slow_rest", "answers come late", SlowParams,
            lambda plan, params: Slow(params.path, params.share, plan.seed, delay_s=params.delay_ms / 1000),
        ),
        Entry(
            "stale_snapshot", "/depth of a symbol goes on showing the book of the begin, its old lastUpdateId too",
            "required", 30.0, NoRestParams, stale,
        ),
    ]  # fmt: skip
