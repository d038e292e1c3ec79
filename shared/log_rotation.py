"""Bounds the log files that PM2 writes for a service, so that nothing has to be downloaded for it.

PM2 holds its files open and appends, so a file can't be moved away: it is copied and then cut to nothing. A line that
PM2 appends between the two is lost; that is the price of rotating a file that somebody else writes.
"""

import shutil
from collections.abc import Callable
from logging import Logger
from pathlib import Path
from typing import NoReturn

MAX_BYTES = 10_000_000
KEEP = 5  # so at most 60 MB a file
LOOK_EVERY_S = 60.0


def rotate(path: Path, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> bool:
    """Turn `x.log` above `max_bytes` into `x.log.1`, that into `x.log.2` … up to `keep`. True if it was due.

    Raises OSError (disk full, no permission); the file is then as it was.
    """
    if path.stat().st_size <= max_bytes:
        return False
    fresh = path.with_name(f"{path.name}.new")
    try:
        shutil.copyfile(path, fresh)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    for number in range(keep - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    fresh.replace(path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate()
    return True


def keep_bounded(folder: Path, name: str, log: Logger, sleep: Callable[[float], object]) -> NoReturn:
    """Look at `<name>.out.log` and `<name>.error.log` in `folder` once a minute, for ever."""
    while True:
        for path in sorted(folder.glob(f"{name}.*.log")):
            try:
                rotate(path)
            except OSError as error:
                log.warning("%s can't be rotated: %s", path.name, error.strerror)
        sleep(LOOK_EVERY_S)
