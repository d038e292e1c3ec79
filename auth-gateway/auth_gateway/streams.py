"""Streams that are open live as long as the login or the key that opened them.

An access token ends after minutes, and no bot wants to be cut off so often: a stream stays until its session ends
(logout, another password, an account that is disabled), its key is revoked, exchanged or over, or a day has passed. All
that are open are looked through together, so the database is asked little however many there are. While it is away it
can take no end either, and they stay.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auth_gateway.identity import Identity
from shared.errors import Unavailable

LOOK_S = 5.0
MAX_AGE_S = 86_400.0
PORTION = 500  # that are asked for in one query
TOO_OLD = "24 hours are over; connect again"
SESSION_OVER, KEY_OVER = "this login has ended", "this key is not in force any more"
# (ids of sessions, or hashes of keys; the time) -> those in force; blocks, raises Unavailable
StillOpen = Callable[[Sequence[str], datetime], set[str]]


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """`tell` ends it, with the reason."""

    who: Identity | None
    since: float
    tell: Callable[[str], None]


class Streams:
    """Those that go through this process."""

    def __init__(
        self,
        sessions: StillOpen,
        keys: StillOpen,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._sessions, self._keys, self._now, self._monotonic, self._log = sessions, keys, now, monotonic, log
        self._open: set[_Stream] = set()
        self._stopped = threading.Event()

    @contextmanager
    def opened(self, who: Identity | None, tell: Callable[[str], None]) -> Iterator[None]:
        """While one is open. `tell(reason)` must not block; it may be told more than once."""
        stream = _Stream(who, self._monotonic(), tell)
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)

    def start(self) -> None:
        """Look every `LOOK_S` from now on."""
        threading.Thread(target=self._watch, name="streams", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def look(self) -> None:
        """End those whose time is over. Raises Unavailable."""
        oldest = self._monotonic() - MAX_AGE_S
        by_session: dict[str, list[_Stream]] = {}
        by_key: dict[str, list[_Stream]] = {}
        for stream in list(self._open):
            if stream.since <= oldest:
                stream.tell(TOO_OLD)
            elif stream.who is not None and stream.who.session_id is not None:
                by_session.setdefault(stream.who.session_id, []).append(stream)
            elif stream.who is not None and stream.who.key_hash is not None:
                by_key.setdefault(stream.who.key_hash, []).append(stream)
        self._end(by_session, self._sessions, SESSION_OVER)
        self._end(by_key, self._keys, KEY_OVER)

    def _end(self, streams: dict[str, list[_Stream]], still_open: StillOpen, reason: str) -> None:
        all_names = list(streams)
        for begin in range(0, len(all_names), PORTION):
            names = all_names[begin : begin + PORTION]
            for name in set(names) - still_open(names, self._now()):
                for stream in streams[name]:
                    stream.tell(reason)

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                self.look()
            except Unavailable:
                continue
            except Exception:  # noqa: BLE001  # whatever it is, the next look may go well
                self._log.exception("open streams could not be looked through; looking again")
