"""Argon2id by argon2-cffi, in a thread of its own that gives way to the one that serves, so that fifty logins at a time
hold up those who are logged in as little as can be.

Parameters: OWASP's second choice (19 MiB, 2 passes, one lane), about 25 ms a check on our machine: 40 checks a second,
and 19 MiB while one runs.
"""

import os
import secrets
import sys
import threading
from collections.abc import Callable

import argon2

from shared.errors import Unavailable
from shared.offload import Offload, is_patched

TIME_COST, MEMORY_KIB, LANES = 2, 19 * 1024, 1
NICE = 10
MAX_WAITING = 100  # about three seconds' work; whoever comes then is asked to come again


class Argon2Hasher:
    """See `login.Hasher`."""

    def __init__(self, threads: int = 1, max_waiting: int = MAX_WAITING):
        self._argon2 = argon2.PasswordHasher(TIME_COST, MEMORY_KIB, LANES)
        self._offload = Offload(threads)
        self._waiting = threading.BoundedSemaphore(max_waiting)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """See `Hasher.hash`."""
        return str(self._in_turn(self._argon2.hash, password))

    def verify(self, stored: str | None, password: str) -> bool:
        """See `Hasher.verify`."""
        if self._nobody is None:
            self._nobody = self.hash(secrets.token_hex(16))
        fits = bool(self._in_turn(self._fits, stored or self._nobody, password))
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """See `Hasher.outdated`."""
        return self._argon2.check_needs_rehash(stored)

    def close(self) -> None:
        """Wait for what runs, then end the thread."""
        self._offload.close()

    def _in_turn(self, function: Callable[..., str | bool], *arguments: str) -> str | bool:
        if not self._waiting.acquire(blocking=False):
            raise Unavailable("too many logins at a time", retry_after_s=2)
        try:
            return self._offload.call(_giving_way, function, *arguments)
        finally:
            self._waiting.release()

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._argon2.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def _giving_way(function: Callable[..., str | bool], *arguments: str) -> str | bool:
    """Run it behind the thread that serves everybody, where this is a thread of its own with a priority of its own."""
    if is_patched() and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    return function(*arguments)
