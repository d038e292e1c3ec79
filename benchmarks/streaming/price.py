"""`GET /price/<symbol>` of a held price, answers per CPU-second, beside Node's http: one kept-alive request each."""

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.load import drive
from benchmarks.report import Row
from benchmarks.streaming.rig import Exchange
from benchmarks.streaming.servers import Running, node, node_is_there, ours
from shared.testing.net import wait_until

CONNECTIONS, SECONDS = 16, 2.0
SYMBOLS = ["BTCUSDT"]


def measure(rounds: int) -> list[Row]:
    """The row, and Node's."""
    servers: dict[str, Callable[[Exchange], AbstractContextManager[Running]]] = {
        "ours": lambda exchange: ours(exchange, DEFAULT_SYMBOLS="BTCUSDT"),
        "ours, without the lane": lambda exchange: ours(exchange, DEFAULT_SYMBOLS="BTCUSDT", HOT_LANE="false"),
    }
    if node_is_there():
        servers["Node http"] = node
    found: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds + 1):
        for name, start in servers.items():
            with Exchange(SYMBOLS) as exchange, start(exchange) as server:
                found[name].append(_answers_per_cpu_s(exchange, server))
    medians = {name: statistics.median(figures) / 1000 for name, figures in found.items()}
    said = "≥ 1.2 × Node"
    if "Node http" in medians:
        ratio = medians["ours"] / medians["Node http"]
        said += f": {ratio:.2f} ×, {'met' if ratio >= 1.2 else 'missed'}"
    rows = [Row("GET /price of a held price", medians["ours"], "k per CPU-s", said)]
    return rows + [Row(f"… {name}", medians[name], "k per CPU-s", "") for name in medians if name != "ours"]


def _answers_per_cpu_s(exchange: Exchange, server: Running) -> float:
    request = f"GET /price/BTCUSDT HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    exchange.wait_for_listener()
    exchange.send(1)
    wait_until(lambda: drive(server.port, lambda _: request, 1, 0.01).statuses[200], what="a held price")
    drive(server.port, lambda _: request, CONNECTIONS, SECONDS / 4)
    used = server.cpu_s
    run = drive(server.port, lambda _: request, CONNECTIONS, SECONDS)
    if set(run.statuses) != {200}:
        raise RuntimeError(f"answers other than 200: {dict(run.statuses)}")
    return run.statuses[200] / (server.cpu_s - used)
