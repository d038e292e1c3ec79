"""Which program listens on a port, so that whoever finds it taken knows what to stop. Standard library alone."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

LISTENS = "0A"  # the kernel's number of that state, in /proc/net/tcp
PROC = Path("/proc")


def port_holder(port: int) -> str | None:
    """`name (pid 123)` of what listens there; None where that can't be found, as for another user's program."""
    try:
        return _from_proc(port) if (PROC / "net" / "tcp").exists() else _from_lsof(port)
    except (OSError, subprocess.SubprocessError):
        return None


def _from_proc(port: int) -> str | None:
    """Linux: the kernel's list has the socket's number, and some process has that among its open files."""
    wanted = {f"socket:[{inode}]" for inode in _sockets(port)}
    if not wanted:
        return None
    for process in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if any(_leads_to(file) in wanted for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _leads_to(file: Path) -> str | None:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile, or another user's
        return None


def _sockets(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                yield rest[5]


def _from_lsof(port: int) -> str | None:
    """macOS, which always has lsof."""
    if (program := shutil.which("lsof")) is None:
        return None
    words = [program, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603  # fixed words
    found = {line[0]: line[1:] for line in reversed(asked.stdout.splitlines()) if line}
    return f"{found['c']} (pid {found['p']})" if {"c", "p"} <= found.keys() else None
