"""What the experiments read off a running process, and how they sum up waits."""

import contextlib
from pathlib import Path

import pytest

PROC = Path("/proc")


def rss_mb(pid: int) -> float:
    """Resident memory. Skips the test where there is no /proc."""
    _require_proc()
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory: it has ended")


def descriptors(pid: int) -> int:
    """Open files and sockets. Skips the test where there is no /proc."""
    return len(_open(pid))


def sockets(pid: int) -> int:
    """Open sockets alone: a pool may open a further file at any time."""
    return sum(name.startswith("socket:") for name in _open(pid))


def _open(pid: int) -> list[str]:
    _require_proc()
    names = []
    for entry in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            names.append(str(entry.readlink()))
    return names


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of them don't exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _require_proc() -> None:
    if not PROC.is_dir():
        pytest.skip("memory and descriptors are read from /proc")
