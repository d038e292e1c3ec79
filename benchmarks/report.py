"""One measured figure, and the table that shows many."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its unit and what it should be."""

    what: str
    figure: float
    unit: str
    aim: str


def machine() -> str:
    """What the figures were taken on; figures of other machines compare as ratios only."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{os.cpu_count()} × {model}, {platform.system()}, Python {platform.python_version()}"


def show(rows: list[Row]) -> None:
    """Print the table in Markdown, as docs/benchmarks.md holds it."""
    sys.stdout.write(f"Machine: {machine()}\n\n| what | figure | aim |\n|---|---|---|\n")
    for row in rows:
        sys.stdout.write(f"| {row.what} | {row.figure:.3g} {row.unit} | {row.aim} |\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Progress, for those who wait."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()
