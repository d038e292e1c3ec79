"""The change from one connection to the next while the first still serves (24 h nearly over, or its end announced).

No gap and no duplicate is `Overlap`'s business; this opens the next connection and reads both in turn.
"""

import threading
from collections.abc import Callable

from shared.binance_link import Link, Lost
from shared.binance_overlap import Overlap
from shared.clock import Clock

# The next connection is read this long beside the old one once its commands are answered: what was sent before it
# subscribed may still be on its way through the old one. A stream that never meets must not keep both for ever.
OVERLAP_S, MAX_OVERLAP_S = 2.0, 10.0
WAKE_S = 0.01  # both are read in turn
OPEN_AGAIN_S = 5.0  # when the next couldn't be opened; the old one still serves


class Roll:
    """`receive` until `done`; then `next` has taken over. `cut_short` says why, if the old one was lost meanwhile."""

    def __init__(self, old: Link, open_next: Callable[[], Link], clock: Clock) -> None:
        self._old, self._open_next, self._clock = old, open_next, clock
        self._opening = _Opening(open_next)
        self._overlap = Overlap()
        self._settled_at: float | None = None  # when the next one's commands were answered
        self._failed_at: float | None = None
        self.next: Link | None = None
        self.done = False
        self.cut_short = ""

    def receive(self) -> list[bytes]:
        """What listeners shall hear. Raises Lost when the old connection is lost before there is a next."""
        messages = []
        try:
            messages = self._old.receive(WAKE_S)
        except Lost as lost:
            if self.next is None:
                raise
            self.cut_short = str(lost)
        for message in messages:
            self._overlap.hear(message)
        if self.next is None:
            self._open()
        else:
            self._hold(self.next)
        if self.next is not None and (self.cut_short or self._is_over(self.next)):
            messages += self._overlap.release()
            self.done = True
        return messages

    def abandon(self) -> None:
        """It is of no more use: close what was opened."""
        self._opening.abandon()
        if self.next is not None and not self.done:
            self.next.close()

    def _open(self) -> None:
        now = self._clock.monotonic()
        if self._failed_at is not None:
            if now - self._failed_at > OPEN_AGAIN_S:
                self._failed_at, self._opening = None, _Opening(self._open_next)
        elif self._opening.failed:
            self._failed_at = now
        else:
            self.next = self._opening.link

    def _hold(self, following: Link) -> None:
        try:
            for message in following.receive(WAKE_S):
                self._overlap.hold(message)
        except Lost:
            following.close()
            self.next, self._settled_at, self._overlap = None, None, Overlap()
            self._failed_at = self._clock.monotonic()

    def _is_over(self, following: Link) -> bool:
        now = self._clock.monotonic()
        if self._settled_at is None:
            self._settled_at = now if following.is_settled else None
        beside_s = now - self._settled_at if self._settled_at is not None else 0.0
        met = beside_s >= OVERLAP_S and self._overlap.has_met
        return met or self._overlap.is_full or now - following.opened_at > MAX_OVERLAP_S


class _Opening:
    """Opens in a thread of its own, since that may take seconds in which the old connection is to be read."""

    def __init__(self, open_next: Callable[[], Link]) -> None:
        self._open_next = open_next
        self._lock = threading.Lock()
        self._abandoned = False
        self.link: Link | None = None
        self.failed = False
        threading.Thread(target=self._run, name="binance-stream-next", daemon=True).start()

    def _run(self) -> None:
        try:
            link = self._open_next()
        except Lost:
            self.failed = True
            return
        with self._lock:
            if not self._abandoned:
                self.link = link
                return
        link.close()

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            link = self.link
        if link is not None:
            link.close()
