"""Guessing of passwords is slowed down, in a way that can't be used to lock somebody else out.

Two bounds, each over the last minute: attempts from one address, and attempts on one name from one address (the calls'
own limits). Neither asks whether the name exists, so both say nothing about it; and a stranger's attempts never count
against the owner, who comes from another address. Behind them stands what a check costs (Argon2, one at a time). NIST
SP 800-63B, 3.2.2, wants a bound on failures in a row: past `MAX_FAILURES` of a name, only addresses from which somebody
logged in under it before may try.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.errors import RateLimited

MAX_FAILURES = 100
KEEP_S = 86_400.0


class Memory(Protocol):
    """Where counts and known addresses are remembered for `KEEP_S`; may forget, must not raise."""

    def get(self, key: str) -> object:
        """The value, or None."""
        ...

    def set(self, key: str, value: object, ttl: float) -> bool:
        """Keep a JSON value."""
        ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failures in a row, by a digest of the name."""

    memory: Memory

    def check(self, name: str, address: str) -> None:
        """Raise RateLimited if this address may not try this name now."""
        if self._failures(name) >= MAX_FAILURES and address not in self._known(name):
            text = "too many failed logins under this name; try later, or from where you used to"
            raise RateLimited(text, retry_after_s=3600)

    def failed(self, name: str) -> None:
        """One more."""
        self.memory.set(f"auth:failures:{name}", self._failures(name) + 1, KEEP_S)

    def succeeded(self, name: str, address: str) -> None:
        """Begin to count anew, and remember where from."""
        self.memory.set(f"auth:failures:{name}", 0, KEEP_S)
        known = [address, *(known for known in self._known(name) if known != address)][:10]
        self.memory.set(f"auth:known:{name}", known, 30 * KEEP_S)

    def _failures(self, name: str) -> int:
        count = self.memory.get(f"auth:failures:{name}")
        return count if isinstance(count, int) else 0

    def _known(self, name: str) -> list[str]:
        known = self.memory.get(f"auth:known:{name}")
        return known if isinstance(known, list) else []
