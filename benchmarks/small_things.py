"""What every request or start pays: reading the settings, a health answer, a log line. Aims are the contract's."""

import io
import logging
import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.report import Row
from shared.config import Settings
from shared.health_check import HealthCheck
from shared.logger import get_logger


def median_us(call: Callable[[], object], rounds: int = 200, calls: int = 20) -> float:
    """The median over `rounds` of a call's mean time in microseconds, `calls` in a row each."""
    call()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        taken.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(taken)


def measure() -> list[Row]:
    """The rows of this file."""
    health = HealthCheck("Bench", 5000)
    health.add_dependency("database", lambda: True)
    health.add_dependency("cache", lambda: True)
    return [
        Row("config: all settings read", median_us(Settings.read, 50, 5) / 1000, "ms", "≤ 10"),
        Row("health: a cached document", median_us(health.get_health) / 1000, "ms", "≤ 5"),
        Row("logger: one line", _log_line_ms(), "ms", "≤ 1"),
    ]


def _log_line_ms() -> float:
    log = get_logger("bench", level="INFO")
    handler = logging.getLogger().handlers[-1]
    assert isinstance(handler, logging.StreamHandler)
    stream = handler.setStream(io.StringIO())
    try:
        return median_us(lambda: log.info("price of %s is %.2f", "BTCUSDT", 110139.71)) / 1000
    finally:
        handler.setStream(stream or sys.stdout)
