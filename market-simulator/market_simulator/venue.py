"""A market with all that stands around it: its clock, its wire, its lies, its limits. One is the service's own, and
each session has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gevent

from market_simulator.futures_markets import FuturesMarkets
from market_simulator.market import SymbolMarket
from market_simulator.scenarios.director import Director
from market_simulator.sim_clock import SimClock
from market_simulator.trading.session_market import SessionMarket
from market_simulator.wire.faults import Faults
from market_simulator.wire.hub import Hub
from market_simulator.wire.limits import Limits
from market_simulator.wire.lobby import GOING_AWAY, Lobby
from market_simulator.wire.numbers import fixed8
from market_simulator.wire.rest import Rest
from shared.clock import to_iso

DIRECTOR_S = 0.05
SHOWN_SOCKETS, SHOWN_STREAMS = 100, 20


@dataclass(slots=True)
class Venue:
    """What the service's paths lead to. `limit` None: no weights are counted. `note` says what its figures are of."""

    clock: SimClock
    markets: Mapping[str, SymbolMarket]
    futures: FuturesMarkets
    faults: Faults
    hub: Hub
    futures_hub: Hub
    lobby: Lobby
    rest: Rest
    director: Director
    limit: Limits | None
    seed: int
    note: str
    monotonic: Callable[[], float]
    _greenlets: list[gevent.Greenlet] = field(default_factory=list)

    @property
    def hubs(self) -> tuple[Hub, Hub]:
        """Spot's and futures'."""
        return self.hub, self.futures_hub

    def start(self, on_bug: Callable[[Exception], None]) -> None:
        """Begin to run. `on_bug` hears what the pump met and survived."""
        pumps = [partial(hub.run, on_bug) for hub in self.hubs]
        jobs = (*pumps, self.lobby.watch, self._watch_scenarios)
        self._greenlets = [gevent.spawn(job) for job in jobs]

    def stop(self) -> None:
        """End its sockets and whatever runs."""
        gevent.killall(self._greenlets)
        for session in list(self.lobby.connections):
            session.outbox.end(GOING_AWAY, "the market has ended")

    @property
    def trading(self) -> dict[str, SessionMarket]:
        """The markets that take orders: a session's."""
        return {symbol: market for symbol, market in self.markets.items() if isinstance(market, SessionMarket)}

    def _watch_scenarios(self) -> None:
        trading = self.trading
        while True:
            gevent.sleep(DIRECTOR_S)
            self.director.end_expired()
            for symbol, market in trading.items():
                if any(order.is_open for order in market.orders()):
                    self.hub.catch_up(symbol)  # nobody may listen, but what rests has to meet every trade

    def status(self) -> dict[str, Any]:
        """The ground truth: the market, who listens, every lie told."""
        now_ms = self.clock.now_ms()
        return {
            "now_ms": now_ms,
            "speed": self.clock.speed,
            "start": to_iso(self.clock.start),
            "seed": self.seed,
            "limits": self.limit is not None,
            "note": self.note,
            "sockets": len(self.lobby.connections),
            "newest_sockets": self._newest_sockets(),
            "symbols": {symbol: _market(market, now_ms) for symbol, market in self.markets.items()},
            "futures": {symbol: _market(market, now_ms) for symbol, market in self.futures.made.items()},
            "channels": self.hub.listening(),
            "futures_channels": self.futures_hub.listening(),
            "scenarios": self.director.documents(),
        }

    def _newest_sockets(self) -> list[dict[str, Any]]:
        now_s = self.monotonic()
        return [
            {
                "id": session.id,
                "address": session.address,
                "age_s": round(now_s - session.opened_s, 1),
                "streams": len(session.channels),
                "newest_streams": list(reversed(session.channels))[:SHOWN_STREAMS],
                "frames_sent": session.outbox.frames_sent,
                "silenced": bool(session.muted),
            }
            for session in list(reversed(self.lobby.connections))[:SHOWN_SOCKETS]
        ]


def _market(market: SymbolMarket, now_ms: int) -> dict[str, Any]:
    newest = market.trades(now_ms, limit=1)
    return {**market.status(now_ms), "price": fixed8(newest[0].price) if newest else None}
