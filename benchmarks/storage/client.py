"""The client that saves: wrk where it is installed, else the one of benchmarks/load.py, which takes a bigger part of
the machine. One thread either way; the table says which it was."""

import json
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import drive, save_request

SCRIPT = Path(__file__).parent / "save.lua"
WRK = shutil.which("wrk")
NAME = "wrk" if WRK else "benchmarks/load.py"


@dataclass(frozen=True, slots=True)
class Load:
    """What a run gave. `statuses` counts answers; `broken`: connections that failed and answers that never came."""

    seconds: float
    statuses: dict[int, int]
    p50_ms: float
    p99_ms: float
    broken: int

    @property
    def per_second(self) -> float:
        """Successes a second."""
        return self.statuses.get(200, 0) / self.seconds

    @property
    def failed(self) -> int:
        """How many requests were no success."""
        return sum(self.statuses.values()) - self.statuses.get(200, 0) + self.broken


def save(port: int, connections: int, seconds: int) -> Load:
    """Save signals one by one on every connection for so long, each with a key of its own."""
    return _wrk(WRK, port, connections, seconds) if WRK else _python(port, connections, seconds)


def failures(loads: list[Load]) -> str:
    """What was answered other than 200, in words; empty if nothing was."""
    counted: Counter[str] = Counter()
    for load in loads:
        counted += Counter({str(status): count for status, count in load.statuses.items() if status != 200})
        counted += Counter({"broken": load.broken})
    return ", ".join(f"{count} × {what}" for what, count in counted.items())


def _wrk(program: str, port: int, connections: int, seconds: int) -> Load:
    url = f"http://127.0.0.1:{port}/signals/save"
    words = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), url]
    run = f"{time.time_ns():x}"
    done = subprocess.run(
        [program, *words, "--", run], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    found = json.loads(done.stdout.strip().splitlines()[-1])
    statuses = {int(status): count for status, count in found.pop("statuses").items()}
    return Load(statuses=statuses, **found)


def _python(port: int, connections: int, seconds: int) -> Load:
    result = drive(port, lambda number: save_request(port, number), connections, seconds)
    p50_ms, p99_ms = (result.percentile(percent) * 1000 for percent in (50, 99))
    return Load(result.seconds, dict(result.statuses), p50_ms, p99_ms, result.unanswered)
