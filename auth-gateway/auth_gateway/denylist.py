"""Sessions that ended while access tokens of theirs are still in force.

The database holds the truth; this process remembers what it ended itself and what it found there when it started. Other
processes learn of it through Redis; with Redis away they look into the database, so nothing opens that was closed.

Asking either costs more than all else of a call (0.2 ms and 0.4 ms), so what was found in force counts as that for
`TRUST_S`: a session that ends in this process ends at once, one that ends elsewhere by then.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from cachetools import TTLCache

TRUST_S = 1.0
MAX_REMEMBERED = 100_000


class Shared(Protocol):
    """What the processes of this service tell each other through."""

    def tell(self, session_id: str, ttl_s: float) -> None:
        """Let the others know. Never raises."""
        ...

    def told(self, session_id: str) -> bool | None:
        """Whether somebody said that it ended; None: nobody can be asked."""
        ...


class Denylist:
    """Session ids, each kept as long as a token of its session may live."""

    def __init__(self, lifetime_s: float, shared: Shared, ended: Callable[[str], bool], monotonic: Callable[[], float]):
        """`ended` asks the database whether a session ended; it may raise Unavailable."""
        self._lifetime_s, self._shared, self._ended, self._monotonic = lifetime_s, shared, ended, monotonic
        self._here: OrderedDict[str, float] = OrderedDict()
        self._in_force: TTLCache[str, bool] = TTLCache(MAX_REMEMBERED, TRUST_S, monotonic)
        self._lock = threading.Lock()

    def add(self, session_id: str) -> None:
        """It ended now."""
        self._remember(session_id)
        self._shared.tell(session_id, self._lifetime_s)

    def recall(self, session_ids: list[str]) -> None:
        """What the database knows when the service starts."""
        for session_id in session_ids:
            self._remember(session_id)

    def _remember(self, session_id: str) -> None:
        with self._lock:
            now = self._monotonic()
            self._here[session_id] = now + self._lifetime_s
            while len(self._here) > MAX_REMEMBERED or next(iter(self._here.values())) < now:
                self._here.popitem(last=False)

    def __contains__(self, session_id: str) -> bool:
        """Whether the session ended. Raises Unavailable when nobody can tell: then nothing may open."""
        if session_id in self._here:  # first: it may have ended here since somebody found it in force
            return True
        if session_id in self._in_force:
            return False
        told = self._shared.told(session_id)
        if told is None:
            told = self._ended(session_id)
        if told:
            self._remember(session_id)
        else:
            self._in_force[session_id] = True
        return told
