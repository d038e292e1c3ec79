"""Builds the simulator: the only file that names concrete parts and wires them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent

from market_simulator.exchange_routes import add_exchange_routes
from market_simulator.futures_markets import FuturesListing, FuturesMarkets
from market_simulator.live import EPOCH_MS
from market_simulator.market import Preparable, SymbolMarket
from market_simulator.order_routes import add_order_routes
from market_simulator.page_routes import add_page_routes
from market_simulator.replay.market import ReplayMarket
from market_simulator.replay_folder import Replay, ReplayFolder
from market_simulator.scenarios import frame_faults, market_effects, market_moves, rest_faults, wire_faults
from market_simulator.scenarios.director import Director
from market_simulator.session_routes import add_session_routes
from market_simulator.sessions import SessionPlan, Sessions
from market_simulator.settings import SimulatorSettings
from market_simulator.sim_clock import SimClock
from market_simulator.sim_routes import add_sim_routes
from market_simulator.spot_markets import LISTED, SpotMarkets
from market_simulator.stage.market import StagedMarket
from market_simulator.trading.session_market import SessionMarket
from market_simulator.venue import Venue
from market_simulator.wire.dialect import FUTURES
from market_simulator.wire.faults import Faults
from market_simulator.wire.hub import Hub
from market_simulator.wire.limits import FUTURES_MESSAGES_PER_SECOND, Limits, Rules
from market_simulator.wire.lobby import Lobby
from market_simulator.wire.rest import Rest
from shared.clock import Clock, SystemClock
from shared.errors import ConfigError, InvalidInput
from shared.offload import Offload
from shared.service import Service, create_service

TAPES = Path(__file__).parent.parent / "tape"
PREPARED = 12  # markets whose long bars are made ahead, 1.4 MB each; the others' are made when first asked for
PREPARE_PAUSE_S = 0.05  # after each 4 ms of work: a tenth of a core for the first minute
ROUND_S = 1.0  # metrics are counted by the hub itself: its hot path calls no metrics library
NOTE = "24h figures are of the loop"
REPLAY_NOTE = "a replay: bars are recorded, trades and books between them are made"

Markets = Mapping[str, SymbolMarket]


def build(
    settings: SimulatorSettings | None = None, *, clock: Clock | None = None, markets: Markets | None = None
) -> Service:
    """The whole service, not yet running. `markets`: others than the real ones, for tests. Takes about a second."""
    settings = settings or SimulatorSettings.read()
    clock = clock or SystemClock()
    service = create_service("market-simulator", settings, import_name="market_simulator", clock=clock)
    sim_clock = SimClock(clock, settings.SIM_SPEED, settings.SIM_START)
    if sim_clock.now_ms() < EPOCH_MS:
        raise ConfigError("Wrong setting: SIM_START and SIM_SPEED: simulated time must not lie before 2020-01-01")

    def given(_seed: int, symbols: tuple[str, ...], _private: bool) -> tuple[Markets, FuturesMarkets]:
        assert markets is not None  # noqa: S101  # only used where it was given
        return {symbol: market for symbol, market in markets.items() if symbol in symbols}, FuturesMarkets({})

    listed = LISTED if markets is None else tuple(markets)
    reader = Offload(threads=1)  # of tapes and recordings: a second's work must not halt the streams
    make = _maker(reader) if markets is None else given
    seed, limited = settings.SIM_SEED, settings.SIM_LIMITS
    root = _venue(settings, clock, sim_clock, make(seed, listed, False), seed, limited)

    replays = ReplayFolder(settings.SIM_REPLAY_DIR)

    def private(plan: SessionPlan) -> Venue:
        seed = settings.SIM_SEED if plan.seed is None else plan.seed
        limited = settings.SIM_LIMITS and plan.limits
        if plan.replay is None:
            _check_symbols(plan.symbols, listed)
            chosen = make(seed, plan.symbols or listed, True)
            return _venue(settings, clock, SimClock(clock, plan.speed), chosen, seed, limited)
        replay, start_ms = reader.call(replays.find, plan.replay)
        _check_symbols(plan.symbols, tuple(bars.symbol for bars in replay.symbols))
        chosen = _replayed(replay, plan, seed), FuturesMarkets({})
        begins_at = datetime.fromtimestamp(start_ms / 1000, UTC)
        replay_clock = SimClock(clock, plan.speed, begins_at=begins_at)
        return _venue(settings, clock, replay_clock, chosen, seed, limited, REPLAY_NOTE)

    def on_bug(error: Exception) -> None:
        service.logger.error("the pump met a bug and goes on", exc_info=error)

    sessions = Sessions(private, clock, settings.SIM_SESSIONS, on_bug)

    def find(session_id: str) -> Venue:
        return sessions.find(session_id) if session_id else root

    add_exchange_routes(service, find)
    add_sim_routes(service, find)
    add_order_routes(service, find)
    add_session_routes(service, sessions, lambda: reader.call(replays.replays))
    add_page_routes(service)
    _report(service, root, sessions)
    service.on_start(lambda: _start(service, root, sessions, on_bug))
    service.on_stop(reader.close)
    return service


def _maker(reader: Offload) -> Callable[[int, tuple[str, ...], bool], tuple[Markets, FuturesMarkets]]:
    spot_markets = SpotMarkets(TAPES)
    listing = FuturesListing(TAPES, spot_markets.tapes, reader.call)

    def make(seed: int, symbols: tuple[str, ...], private: bool) -> tuple[Markets, FuturesMarkets]:
        staged = spot_markets.make(seed, symbols)
        spot = {symbol: SessionMarket(market) for symbol, market in staged.items()} if private else staged
        return spot, listing.make(seed, spot)

    return make


def _venue(
    settings: SimulatorSettings, clock: Clock, sim_clock: SimClock, both: tuple[Markets, FuturesMarkets], seed: int,
    limited: bool, note: str = NOTE,
) -> Venue:  # fmt: skip
    faults, (markets, futures) = Faults(), both
    hub = Hub(markets, sim_clock)
    rules = Rules(
        settings.SIM_PING_S, settings.SIM_PONG_TIMEOUT_S, settings.SIM_CONNECTION_LIFE_S, limited,
        settings.SIM_WS_ERRORS == "nested",
    )  # fmt: skip
    futures_rules = replace(
        rules, ping_s=settings.SIM_FUTURES_PING_S, pong_timeout_s=settings.SIM_FUTURES_PONG_TIMEOUT_S,
        messages_a_second=FUTURES_MESSAGES_PER_SECOND,
    )  # fmt: skip
    futures_hub = Hub(futures, sim_clock, FUTURES)
    lobby = Lobby(hub, faults, clock.monotonic, rules, (futures_hub, futures_rules))
    menu = [
        *market_moves.menu(hub),
        *market_effects.menu(hub),
        *wire_faults.menu(hub, lobby, faults),
        *frame_faults.menu(hub),
        *rest_faults.menu(hub, faults, sim_clock.real_s),
    ]
    futures_menu = [
        *market_moves.menu(futures_hub),
        *market_effects.menu(futures_hub),
        *frame_faults.menu(futures_hub),
    ]
    director = Director(menu, markets, sim_clock.real_s, sim_clock.speed, (futures_menu, futures))
    limit = Limits() if limited else None
    rest = Rest(hub, (futures_hub, futures.infos), faults.rest)
    return Venue(
        sim_clock, markets, futures, faults, hub, futures_hub, lobby, rest, director, limit, seed, note, clock.monotonic
    )


def _replayed(replay: Replay, plan: SessionPlan, seed: int) -> Markets:
    return {
        bars.symbol: SessionMarket(StagedMarket(ReplayMarket(bars, seed)))
        for bars in replay.symbols
        if bars.symbol in (plan.symbols or (bars.symbol,))
    }


def _check_symbols(symbols: tuple[str, ...], listed: tuple[str, ...]) -> None:
    for number, symbol in enumerate(symbols):
        if symbol not in listed:
            raise InvalidInput.field(f"symbols.{number}", "is not listed here")


def _start(service: Service, root: Venue, sessions: Sessions, on_bug: Callable[[Exception], None]) -> None:
    def each_second() -> None:
        while True:
            counters = _counters(root, sessions)
            service.metrics.set_total("simulator_frames_sent_total", counters.pop("frames_sent"))
            for name, value in counters.items():
                service.metrics.set_gauge(f"simulator_{name}", value)
            sessions.end_idle()
            gevent.sleep(ROUND_S)

    def prepare() -> None:
        markets = [market for market in root.markets.values() if isinstance(market, Preparable)]
        for market in markets[:PREPARED]:
            for _ in market.prepare(root.clock.now_ms()):
                gevent.sleep(PREPARE_PAUSE_S)

    root.start(on_bug)
    watch, preparing = gevent.spawn(each_second), gevent.spawn_later(ROUND_S, prepare)
    service.on_drain(preparing.kill)
    service.on_stop(root.stop)
    service.on_stop(sessions.end_all)
    service.on_stop(watch.kill)
    service.logger.info("Symbols: %s", ", ".join(root.markets))


def _counters(root: Venue, sessions: Sessions) -> dict[str, int]:
    venues = [root, *sessions.venues()]
    return {
        "sockets": sum(len(venue.lobby.connections) for venue in venues),
        "frames_sent": sum(hub.frames_sent for venue in venues for hub in venue.hubs),
        "scenarios_running": sum(venue.director.running for venue in venues),
        "sessions": len(sessions),
    }


def _report(service: Service, root: Venue, sessions: Sessions) -> None:
    def counters() -> dict[str, Any]:
        return {
            **_counters(root, sessions),
            "sockets_accepted": root.lobby.accepted,
            "sockets_overflowed": root.lobby.overflowed,
            "frames_encoded": sum(hub.frames_encoded for hub in root.hubs),
            "channels": root.hub.listening(),
            "futures_channels": root.futures_hub.listening(),
        }

    service.stats(counters)
    service.metrics.describe("simulator_sockets", "Open exchange sockets")
    service.metrics.describe("simulator_frames_sent_total", "Data frames sent, those of ended sessions left out")
    service.metrics.describe("simulator_scenarios_running", "Scenarios in force")
    service.metrics.describe("simulator_sessions", "Open sessions")
    service.health.metrics(lambda: {"symbols": len(root.markets), **_counters(root, sessions)})
