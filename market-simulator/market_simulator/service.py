"""Builds the simulator: the only file that names concrete parts and wires them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from market_simulator.exchange_routes import add_exchange_routes
from market_simulator.generated import GeneratedMarket
from market_simulator.live import EPOCH_MS
from market_simulator.market import SymbolMarket
from market_simulator.recorded import RecordedMarket
from market_simulator.scenarios import market_moves, wire_faults
from market_simulator.scenarios.director import Director
from market_simulator.settings import SimulatorSettings
from market_simulator.sim_clock import SimClock
from market_simulator.sim_routes import add_sim_routes
from market_simulator.symbols import GENERATED, RECORDED
from market_simulator.tape_reader import load_tape
from market_simulator.wire.faults import Faults
from market_simulator.wire.hub import Hub
from market_simulator.wire.limits import WeightLimit
from market_simulator.wire.lobby import Lobby, Rules
from market_simulator.wire.rest import Rest
from shared.clock import Clock, SystemClock, to_iso
from shared.config import ConfigError
from shared.service import Service, create_service

TAPES = Path(__file__).parent.parent / "tape"
DIRECTOR_S = 0.05
METRICS_S = 1.0  # counted by the hub itself: its hot path calls no metrics library
NOTE = "24h figures are of the loop"


def build(
    settings: SimulatorSettings | None = None,
    *,
    clock: Clock | None = None,
    markets: Mapping[str, SymbolMarket] | None = None,
) -> Service:
    """The whole service, not yet running. `markets`: others than the real ones, for tests. Takes about a second."""
    settings = settings or SimulatorSettings.read()
    clock = clock or SystemClock()
    service = create_service("market-simulator", settings, import_name="market_simulator", clock=clock)
    sim_clock = SimClock(clock, settings.SIM_SPEED, settings.SIM_START)
    if sim_clock.now_ms() < EPOCH_MS:
        raise ConfigError("Wrong setting: SIM_START and SIM_SPEED: simulated time must not lie before 2020-01-01")
    if markets is None:
        markets = build_markets(settings)

    faults = Faults()
    hub = Hub(markets, sim_clock, faults)
    rules = Rules(
        settings.SIM_PING_S, settings.SIM_PONG_TIMEOUT_S, settings.SIM_CONNECTION_LIFE_S, settings.SIM_LIMITS,
        settings.SIM_WS_ERRORS == "nested",
    )  # fmt: skip
    lobby = Lobby(hub, faults, clock.monotonic, rules)
    menu = [*wire_faults.menu(hub, lobby, faults), *market_moves.menu(hub)]
    director = Director(menu, markets, sim_clock.real_s, settings.SIM_SPEED)

    limit = WeightLimit() if settings.SIM_LIMITS else None
    add_exchange_routes(service, Rest(hub), lobby, faults, limit, sim_clock.real_s)
    add_sim_routes(service, director, lambda: _status(settings, sim_clock, markets, hub, lobby))
    _report(service, hub, lobby, director)
    service.on_start(lambda: _start(service, hub, lobby, director))
    return service


def build_markets(settings: SimulatorSettings) -> dict[str, SymbolMarket]:
    """Every listed symbol's market, in the exchange's order."""
    markets: dict[str, SymbolMarket] = {}
    for info in RECORDED:
        tape = load_tape(TAPES / f"binance-spot-{info.symbol.lower()}_20240808.txt.gz")
        markets[info.symbol] = RecordedMarket(info, tape)
    for info, profile in GENERATED:
        markets[info.symbol] = GeneratedMarket(info, profile, settings.SIM_SEED)
    return markets


def _start(service: Service, hub: Hub, lobby: Lobby, director: Director) -> None:
    def on_bug(error: Exception) -> None:
        service.logger.error("the pump met a bug and goes on", exc_info=error)

    def watch_scenarios() -> None:
        while True:
            gevent.sleep(DIRECTOR_S)
            director.end_expired()

    def show_metrics() -> None:
        while True:
            service.metrics.set_gauge("simulator_sockets", len(lobby.connections))
            service.metrics.set_gauge("simulator_frames_sent", hub.frames_sent)
            service.metrics.set_gauge("simulator_scenarios_running", director.running)
            gevent.sleep(METRICS_S)

    jobs = (lambda: hub.run(on_bug), lobby.watch, watch_scenarios, show_metrics)
    greenlets = [gevent.spawn(job) for job in jobs]
    service.on_stop(lambda: gevent.killall(greenlets))
    service.logger.info("Symbols: %s", ", ".join(hub.all()))


def _report(service: Service, hub: Hub, lobby: Lobby, director: Director) -> None:
    def counters() -> dict[str, Any]:
        return {
            "sockets": len(lobby.connections),
            "sockets_accepted": lobby.accepted,
            "sockets_overflowed": lobby.overflowed,
            "frames_encoded": hub.frames_encoded,
            "frames_sent": hub.frames_sent,
            "channels": hub.listening(),
            "scenarios_running": director.running,
        }

    service.stats(counters)
    service.metrics.describe("simulator_sockets", "Open exchange sockets")
    service.metrics.describe("simulator_frames_sent", "Data frames sent since the start")
    service.metrics.describe("simulator_scenarios_running", "Scenarios in force")
    service.health.metrics(lambda: {"sockets": len(lobby.connections), "symbols": len(hub.all())})


def _status(
    settings: SimulatorSettings, clock: SimClock, markets: Mapping[str, SymbolMarket], hub: Hub, lobby: Lobby
) -> dict[str, Any]:
    now_ms = clock.now_ms()
    return {
        "now_ms": now_ms,
        "speed": settings.SIM_SPEED,
        "start": to_iso(clock.start),
        "seed": settings.SIM_SEED,
        "limits": settings.SIM_LIMITS,
        "note": NOTE,
        "sockets": len(lobby.connections),
        "symbols": {symbol: market.status(now_ms) for symbol, market in markets.items()},
        "channels": hub.listening(),
    }
