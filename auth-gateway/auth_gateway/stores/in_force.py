"""Sessions that were found in force, and are it as long as nobody has written to the database since.

With Redis away the database is asked at each check, which costs 0.4 ms, most of it the way to a thread that may block
and SQLAlchemy; whether anybody has written costs 5 µs.
"""

from collections.abc import Callable, Hashable

from cachetools import LRUCache

MAX_REMEMBERED = 10_000


class InForce:
    """`has_ended` asks the database of one session and may raise Unavailable; `changes`: see `Database.changes`."""

    def __init__(self, has_ended: Callable[[str], bool], changes: Callable[[], Hashable | None]):
        self._ask, self._changes = has_ended, changes
        self._found: LRUCache[str, Hashable] = LRUCache(MAX_REMEMBERED)

    def has_ended(self, session_id: str) -> bool:
        """The same, asked only where the answer may be another."""
        before = self._changes()  # what is written while we ask counts as written since
        if before is not None and self._found.get(session_id) == before:
            return False
        ended = self._ask(session_id)
        if not ended and before is not None:
            self._found[session_id] = before
        return ended
