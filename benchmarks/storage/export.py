"""Exports of all signals over HTTP: rows a second beside the bare cursor that fetches the same documents in the same
order, and how far the service's memory rose (Linux: /proc)."""

import http.client
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO

from benchmarks.report import say
from benchmarks.services import rss_mb
from benchmarks.storage.filled import MILLION, POSTGRES, SQLITE, Filled
from benchmarks.storage.rows import connect
from benchmarks.storage.servers import ours
from benchmarks.storage.table import Line, Must
from shared.testing.process import ServiceProcess

FORMATS = {"ndjson": "NDJSON", "csv": "CSV", "parquet": "Parquet (aim 1,000,000 rows/s)"}
RATE = Must(0.5)
FLAT = Must(1.5, above=False)  # the peak beside the memory before: portions and pyarrow's buffers, at any size
QUERY = "SELECT document FROM signals ORDER BY timestamp DESC, id DESC"
PORTION, CHUNK = 2_000, 1 << 20
RESET_PEAK = "5"  # what /proc/PID/clear_refs takes for it


def measure(filled: Filled) -> Iterator[Line]:
    """Two lines for each database and format; each export stands between two runs of the bare cursor."""
    for kind in (SQLITE, POSTGRES):
        millions = filled.sizes(kind)[-1] if filled.full else 1
        target = filled.database(kind, millions)
        env = {"DATABASE_URL": target} if isinstance(target, str) else {"SQLITE_PATH": str(target)}
        with ours(**env) as service:
            for name in FORMATS:
                say(f"export: {name}, {kind}")
                yield from _lines(service, target, name, f"{kind}, {millions} M rows", millions * MILLION)


def _lines(service: ServiceProcess, target: str | Path, name: str, where: str, rows: int) -> Iterator[Line]:
    bare_s = _bare_s(target, rows)
    _export(service.port, name, "&symbol=S1USDT")  # pyarrow and the like are loaded
    before = rss_mb(service.pid)
    Path(f"/proc/{service.pid}/clear_refs").write_text(RESET_PEAK)
    begun = time.perf_counter()
    count = _export(service.port, name)
    rate = rows / (time.perf_counter() - begun)
    peak = _peak_mb(service.pid)
    bare = 2 * rows / (bare_s + _bare_s(target, rows))  # before and after: the machine may have other work
    failed = "" if count == rows else f"{count} rows of {rows}"
    what = f"export {FORMATS[name]}, {where}"
    yield Line(what, f"{rate:,.0f} rows/s", f"bare cursor: {bare:,.0f} rows/s", rate / bare, RATE, failed)
    figures = f"{peak:.0f} MB at most", f"{before:.0f} MB before"
    yield Line(f"memory, export {name}, {where}", *figures, peak / before, FLAT)


def _export(port: int, name: str, more: str = "") -> int:
    """Read it all; the number of rows in it. RuntimeError for anything but 200."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as link, tempfile.TemporaryFile() as file:
        link.request("GET", f"/signals/export?format={name}{more}")
        answer = link.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{name}: {answer.status} {answer.read(200)!r}")
        lines = 0
        for chunk in iter(partial(answer.read, CHUNK), b""):  # a cut answer raises IncompleteRead
            if name == "parquet":
                file.write(chunk)
            else:
                lines += chunk.count(b"\n")
        return _parquet_rows(file) if name == "parquet" else lines - (name == "csv")


def _parquet_rows(file: IO[bytes]) -> int:
    from pyarrow import parquet  # of the development environment, and only for this

    return int(parquet.read_metadata(file).num_rows)


def _bare_s(target: str | Path, rows: int) -> float:
    with closing(connect(target)) as link:
        begun = time.perf_counter()
        cursor = link.cursor("export") if isinstance(target, str) else link.cursor()  # a name: PostgreSQL's own cursor
        cursor.execute(QUERY)
        held = sum(len(portion) for portion in iter(lambda: cursor.fetchmany(PORTION), []))
        if held != rows:
            raise RuntimeError(f"{held} rows where {rows} were filled in")
        return time.perf_counter() - begun


def _peak_mb(pid: int) -> float:
    """The most that a process held since its peak was reset."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
