"""Whether anybody has written to a SQLite file, for a few microseconds: what was read before holds as long as nobody
has."""

import sqlite3
from contextlib import suppress
from pathlib import Path


class Changes:
    """Counts the commits to a file, of whatever process or connection. From one thread, gevent's for one."""

    def __init__(self, path: Path):
        self._path = path
        self._link: sqlite3.Connection | None = None
        self._openings = 0

    def count(self) -> tuple[int, int] | None:
        """Another value after every commit; None while the file can't be asked. Never waits, never raises."""
        try:
            if self._link is None:
                self._link = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=0)
                self._openings += 1  # a connection's number says nothing beside another's
            version: int = self._link.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            self.close()
            return None
        return self._openings, version

    def close(self) -> None:
        """Let go of the file; `count` opens it again."""
        link, self._link = self._link, None
        if link is not None:
            with suppress(sqlite3.Error):
                link.close()
