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
OURS, NGINX, USUAL = "auth-gateway", "nginx", "FastAPI + httpx"
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
        times: dict[str, list[float]] = {name: [] for name in doors}
        for number in range(rounds):
            say(f"proxy: round {number + 1} of {rounds}")
            for name, door in doors.items():
                exchange.send(1)  # so that its price is held
                rates[name].append(calls_per_cpu_s(door))
            _pace(exchange, doors, times)
    return _rows({name: statistics.median(found) for name, found in rates.items()}, times)


def calls_per_cpu_s(door: Door) -> float:
    """Of the door's own processes, at full load."""
    request = door.request()
    used = door.cpu_s()
    run = drive(door.port, lambda _: request, CONNECTIONS, SECONDS)
    if set(run.statuses) != {200}:
        raise RuntimeError(f"answers other than 200: {dict(run.statuses)}")
    return run.statuses[200] / (door.cpu_s() - used)


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


def _rows(rates: dict[str, float], times: dict[str, list[float]]) -> list[Row]:
    rows = [Row(f"proxied calls, {name}", rate / 1000, "k per CPU-s", "") for name, rate in rates.items()]
    if USUAL in rates:
        ratio = rates[OURS] / rates[USUAL]
        verdict = "met" if ratio >= AT_LEAST else "missed"
        rows.append(Row(f"… {OURS} beside {USUAL}", ratio, "×", f"≥ {AT_LEAST} ×, {verdict}"))
    if NGINX in rates:
        rows.append(Row(f"… {OURS} beside {NGINX}", rates[OURS] / rates[NGINX], "×", ""))
    for name, found in times.items():
        what = f"{1 / PACE_S:.0f} calls a second, {name}"
        rows += [Row(f"{what}: p{percent}", at(sorted(found), percent), "ms", "") for percent in (50, 99)]
    return rows


def at(times: list[float], percent: int) -> float:
    """A percentile of sorted times."""
    return times[min(len(times) - 1, len(times) * percent // 100)]
