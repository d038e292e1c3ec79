"""One row of a SQLite file by its key, for 5 µs: without a thread, whose way there and back takes ten times that.

A reader of a file that is journalled ahead (WAL) waits for no writer, and the pages of a key's path lie in the system's
cache, so that gevent's loop can do it itself. Whatever else can happen is left to a thread.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any


class Glance:
    """Reads what is committed, of whatever process. From one thread, gevent's for one."""

    def __init__(self, path: Path):
        self._path = path
        self._link: sqlite3.Connection | None = None

    def rows(self, text: str, values: tuple[Any, ...]) -> list[Any] | None:
        """The rows of one statement, few and found by an index; None where the file can't be asked now.

        Never waits for another's lock, never raises, never makes the file.
        """
        try:
            if self._link is None:
                self._link = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=0)
            return self._link.execute(text, values).fetchall()
        except sqlite3.Error:
            self.close()
            return None

    def close(self) -> None:
        """Let go of the file; `rows` opens it again."""
        link, self._link = self._link, None
        if link is not None:
            with suppress(sqlite3.Error):
                link.close()
