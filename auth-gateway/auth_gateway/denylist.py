"""Sessions that ended while access tokens of theirs are still in force.

The database holds the truth, and where a glance at it costs next to nothing (the embedded file) every check takes one.
Elsewhere other processes learn of an end at once through Redis; with Redis away they look into the database at each
check. A Redis that is there may have missed an end (it was away, or lost its memory), so what the database has anew is
read every `CATCH_UP_S`: nothing stays open longer than that which was closed. Only with the database away does Redis'
word count alone.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from shared.errors import Unavailable

MAX_REMEMBERED = 100_000
CATCH_UP_S = 2.0
OVERLAP = timedelta(seconds=10)  # an end is dated before it is committed, and hosts' clocks differ


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

    def __init__(
        self,
        lifetime_s: float,
        shared: Shared,
        glance: Callable[[str], bool | None],
        ended: Callable[[str], bool],
        ended_since: Callable[[datetime], list[str]],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ):
        """`ended` asks the database of one session, `ended_since` of all; they may raise Unavailable.

        `glance`: as `ended`, at next to no cost; None where that can't be.
        """
        self._lifetime_s, self._shared, self._glance = lifetime_s, shared, glance
        self._ended, self._ended_since = ended, ended_since
        self._now, self._monotonic = now, monotonic
        self._here: OrderedDict[str, float] = OrderedDict()
        self._looked_at: datetime | None = None
        self._next_look = float("-inf")
        self._lock = threading.Lock()

    def add(self, session_id: str) -> None:
        """It ended now."""
        self._remember(session_id)
        self._shared.tell(session_id, self._lifetime_s)

    def __contains__(self, session_id: str) -> bool:
        """Whether the session ended. Raises Unavailable when nobody can tell: then nothing may open."""
        if session_id in self._here:
            return True
        ended = self._glance(session_id)
        if ended is None:
            ended = self._shared.told(session_id)
            if ended is False:
                self._catch_up()
                return session_id in self._here
        if ended is None:
            ended = self._ended(session_id)
        if ended:
            self._remember(session_id)
        return ended

    def _catch_up(self) -> None:
        """One caller looks, the others go on meanwhile."""
        if self._monotonic() < self._next_look:
            return
        self._next_look = self._monotonic() + CATCH_UP_S
        now = self._now()
        since = self._looked_at or now - timedelta(seconds=self._lifetime_s)
        try:
            ended = self._ended_since(since - OVERLAP)
        except Unavailable:
            return
        self._looked_at = now
        for session_id in ended:
            self._remember(session_id)

    def _remember(self, session_id: str) -> None:
        with self._lock:
            if session_id in self._here:
                return
            now = self._monotonic()
            self._here[session_id] = now + self._lifetime_s
            while len(self._here) > MAX_REMEMBERED or next(iter(self._here.values())) < now:
                self._here.popitem(last=False)
