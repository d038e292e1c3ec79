"""What the way through a proxy costs: calls per CPU-second of the proxy's processes, and latencies at a modest rate."""

import contextlib
import statistics
import time
from collections.abc import Mapping

from benchmarks.gateway.doors import Door, all_doors
from benchmarks.load import drive
from benchmarks.report import Row, say
from benchmarks.storage.kept_alive import KeptAlive
from benchmarks.streaming.rig import Exchange
from shared.testing.net import wait_until

CONNECTIONS, SECONDS = 16, 2.0
# One call to each door in turn, so often a round (nginx ends a connection after 1,000), and from one turn to the next.
PACED, WARM, PACE_S = 700, 50, 0.01
ALONE, OURS, NGINX, USUAL = "the service alone", "auth-gateway", "nginx", "FastAPI + httpx"
AT_LEAST = 1.2


def measure(rounds: int) -> list[Row]:
    """Medians of interleaved rounds, all running."""
    with Exchange(["BTCUSDT"]) as exchange, all_doors(exchange) as doors:
        exchange.wait_for_listener()
        exchange.send(1)
        for name, door in doors.items():
            request = door.request()
            wait_until(lambda: drive(door.port, lambda _: request, 1, 0.01).statuses[200], what=name)  # noqa: B023
            drive(door.port, lambda _: request, CONNECTIONS, SECONDS / 4)  # noqa: B023
        rates: dict[str, list[float]] = {name: [] for name in doors}
        chains: dict[str, list[float]] = {name: [] for name in doors}
        times: dict[str, list[float]] = {name: [] for name in doors}
        for number in range(rounds):
            say(f"proxy: round {number + 1} of {rounds}")
            for name, door in doors.items():
                exchange.send(1)  # so that its price is held
                calls, own_s, service_s = at_full_load(door, doors[ALONE])
                rates[name].append(calls / own_s)
                chains[name].append(calls / (service_s if name == ALONE else own_s + service_s))
            _pace(exchange, doors, times)
    return [*_rates(_medians(rates)), *_whole(_medians(chains)), *_latencies(times)]


def at_full_load(door: Door, service: Door) -> tuple[int, float, float]:
    """How many calls were answered, and the processor seconds of the door's processes and of the service's."""
    request = door.request()
    own_s, service_s = door.cpu_s(), service.cpu_s()
    run = drive(door.port, lambda _: request, CONNECTIONS, SECONDS)
    if set(run.statuses) != {200}:
        raise RuntimeError(f"answers other than 200: {dict(run.statuses)}")
    return run.statuses[200], door.cpu_s() - own_s, service.cpu_s() - service_s


def _pace(exchange: Exchange, doors: Mapping[str, Door], times: dict[str, list[float]]) -> None:
    """Adds latencies in ms; who goes first takes turns."""
    with contextlib.ExitStack() as open_:
        links = {name: open_.enter_context(KeptAlive(door.port)) for name, door in doors.items()}
        order, slot = list(doors), time.perf_counter()
        for lap in range(-WARM, PACED):
            for name in order:
                begun = time.perf_counter()
                links[name].exchange(doors[name].request())
                if lap >= 0:
                    times[name].append((time.perf_counter() - begun) * 1000)
            order.append(order.pop(0))
            if lap % 100 == 0:
                exchange.send(1)
            slot = max(slot + PACE_S, time.perf_counter())
            time.sleep(max(0.0, slot - time.perf_counter()))


def _medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(figures) for name, figures in found.items()}


def _rates(rates: dict[str, float]) -> list[Row]:
    rows = [Row(f"proxied calls, {name}", rate / 1000, "k per CPU-s", "") for name, rate in rates.items()]
    if USUAL in rates:
        ratio = rates[OURS] / rates[USUAL]
        verdict = "met" if ratio >= AT_LEAST else "missed"
        rows.append(Row(f"… {OURS} beside {USUAL}", ratio, "×", f"≥ {AT_LEAST} ×, {verdict}"))
    if NGINX in rates:
        rows.append(Row(f"… {OURS} beside {NGINX}", rates[OURS] / rates[NGINX], "×", ""))
    return rows


def _whole(chains: dict[str, float]) -> list[Row]:
    """Of proxy and service together: with a voucher a call costs the service less than with a stranger's headers."""
    what = "the same, the service's own part counted, "
    return [Row(what + name, rate / 1000, "k per CPU-s", "") for name, rate in chains.items() if name != ALONE]


def _latencies(times: dict[str, list[float]]) -> list[Row]:
    rows = []
    for name, found in times.items():
        what = f"{1 / PACE_S:.0f} calls a second, {name}"
        rows += [Row(f"{what}: p{percent}", at(sorted(found), percent), "ms", "") for percent in (50, 99)]
    return rows


def at(times: list[float], percent: int) -> float:
    """A percentile of sorted times."""
    return times[min(len(times) - 1, len(times) * percent // 100)]
