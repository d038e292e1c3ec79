"""Logins: browsers hold the refresh token, in a cookie; the access token that belongs to it never leaves this process.

A refresh token serves once; one that comes twice ends its session at the gateway (RFC 9700, 4.14.2). Browsers send
theirs many times: every tab does, and calls are under way while another brings the next. So it is exchanged once for
all who come with it, and for a while after that whoever still comes with it gets what followed.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cachetools import TLRUCache, TTLCache

from shared.errors import Unavailable

GRACE_S = 60.0  # longer than any call is under way; longer, and a stolen token would serve beside its owner's unnoticed
MAX_KNOWN = 10_000
LOCKS = 64
WAIT_S = 5.0  # for another caller's exchange: pages ask on while the gateway hangs, and may not pile up here


@dataclass(frozen=True, slots=True)
class Tokens:
    """One login. `until`: when its access token ends, in seconds of the monotonic clock."""

    access: str
    refresh: str
    until: float


class Sessions:
    """What this process knows of logins; after a restart each is renewed with its first call. For greenlets.

    `renew(refresh token, client's address)` exchanges one. Raises Unauthorized when the session is over, Unavailable,
    RateLimited.
    """

    def __init__(self, renew: Callable[[str, str], Tokens], monotonic: Callable[[], float]) -> None:
        self._renew = renew
        self._in_force: TLRUCache[str, Tokens] = TLRUCache(
            MAX_KNOWN, lambda _key, tokens, _now: tokens.until, monotonic
        )
        self._followed_by: TTLCache[str, str] = TTLCache(MAX_KNOWN, GRACE_S, monotonic)
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def keep(self, tokens: Tokens) -> None:
        """Remember a login that has just begun."""
        self._in_force[tokens.refresh] = tokens

    def tokens(self, refresh: str, address: str, refused: str = "") -> Tokens:
        """What is in force for this refresh token; its `refresh` may be a newer one. Raises as `renew` does.

        `refused`: an access token that the gateway takes no more, though it should be in force. Blocks while another
        caller renews the same, `WAIT_S` at most.
        """
        while True:
            with self._turn(refresh):
                following = self._followed_by.get(refresh)
                if following is None:
                    tokens = self._in_force.get(refresh)
                    return tokens if tokens and tokens.access != refused else self._exchanged(refresh, address)
            refresh = following

    def in_force(self, refresh: str) -> Tokens | None:
        """The same without renewing: None where that would be needed."""
        while following := self._followed_by.get(refresh):
            refresh = following
        return self._in_force.get(refresh)

    def forget(self, refresh: str) -> None:
        """This login is over."""
        if tokens := self.in_force(refresh):
            self._in_force.pop(tokens.refresh, None)

    @contextmanager
    def _turn(self, refresh: str) -> Iterator[None]:
        lock = self._locks[hash(refresh) % LOCKS]
        if not lock.acquire(timeout=WAIT_S):
            raise Unavailable("auth-gateway takes too long to renew this login")
        try:
            yield
        finally:
            lock.release()

    def _exchanged(self, refresh: str, address: str) -> Tokens:
        tokens = self._renew(refresh, address)
        self._in_force.pop(refresh, None)
        self._followed_by[refresh] = tokens.refresh
        self.keep(tokens)
        return tokens
