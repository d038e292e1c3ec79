"""Each service alone, as `python app.py` starts it: time to ready and resident memory when idle (Linux: /proc).

In the environment of users: in that of the tests ccxt's aiohttp is there too, which engineio then imports (13 MB).
"""

import statistics
import time
from pathlib import Path

from benchmarks.report import Row
from shared.fleet import ROOT, FleetService, read_fleet
from shared.testing.process import ServiceProcess

PYTHON = ROOT / ".venv" / "bin" / "python"
ROUNDS = 3
IDLE_S = 3.0  # long enough for the first prices, probes and timers to have run
RSS_AIM_MB = {
    "database-service": "≤ 85", "websocket-streaming": "≤ 80", "market-simulator": "≤ 120", "dashboard": "≤ 85",
}  # fmt: skip


def measure() -> list[Row]:
    """Two rows a service. The simulator runs throughout, as it does in the fleet."""
    with ServiceProcess("market-simulator") as market:
        env = {"SIMULATOR_URL": market.base_url, "MARKET": "simulator"}
        return [row for service in read_fleet().services for row in _service(service, env)]


def _service(service: FleetService, env: dict[str, str]) -> list[Row]:
    starts, sizes = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with ServiceProcess(service.name, env, python=PYTHON) as running:
            starts.append(time.perf_counter() - begun)
            time.sleep(IDLE_S)
            sizes.append(rss_mb(running.pid))
    return [
        Row(f"{service.name}: start to ready", statistics.median(starts), "s", "≤ 1.5"),
        Row(f"{service.name}: resident memory, idle", statistics.median(sizes), "MB", RSS_AIM_MB[service.name]),
    ]


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024
