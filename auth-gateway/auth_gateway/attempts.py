"""Guessing of passwords is slowed down, in a way that can't be used to lock somebody else out.

Two bounds, each over the last minute: attempts from one address, and attempts on one name from one address (the calls'
own limits). Neither asks whether the name exists, so both say nothing about it; and a stranger's attempts never count
against the owner, who comes from another address. Behind them stands what a check costs (Argon2, one at a time). NIST
SP 800-63B, 3.2.2, wants a bound on failures in a row: past `MAX_FAILURES` of a name, addresses from which nobody logged
in under it before have `STRANGERS_TRIES` each. So a flood of guesses ends, and an owner who comes from somewhere new is
let in all the same.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.addresses import subscriber
from shared.errors import RateLimited

MAX_FAILURES = 100
STRANGERS_TRIES = 5
KEEP_S = 86_400.0


class Memory(Protocol):
    """Where counts and known addresses are remembered for `KEEP_S`; may forget, must not raise."""

    def get(self, key: str) -> object:
        """The value, or None."""
        ...

    def set(self, key: str, value: object, ttl: float) -> bool:
        """Keep a JSON value."""
        ...

    def increment(self, key: str, ttl: float) -> int:
        """Add one to a count, exact however many do so at once; what it is now."""
        ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failures in a row, by a digest of the name."""

    memory: Memory

    def check(self, name: str, address: str) -> None:
        """Raise RateLimited if this address may not try this name now."""
        who = subscriber(address)
        if (
            self._count(_failures(name)) >= MAX_FAILURES
            and who not in self._known(name)
            and self._count(_tries(name, who)) >= STRANGERS_TRIES
        ):
            text = "too many failed logins under this name; try tomorrow, or from where you used to"
            raise RateLimited(text, retry_after_s=KEEP_S)

    def failed(self, name: str, address: str) -> None:
        """One more."""
        for key in (_failures(name), _tries(name, subscriber(address))):
            self.memory.increment(key, KEEP_S)

    def succeeded(self, name: str, address: str) -> None:
        """Begin to count anew, and remember where from."""
        who = subscriber(address)
        for key in (_failures(name), _tries(name, who)):
            self.memory.set(key, 0, KEEP_S)
        known = [who, *(known for known in self._known(name) if known != who)][:10]
        self.memory.set(f"auth:known:{name}", known, 30 * KEEP_S)

    def _count(self, key: str) -> int:
        count = self.memory.get(key)
        return count if isinstance(count, int) else 0

    def _known(self, name: str) -> list[str]:
        known = self.memory.get(f"auth:known:{name}")
        return known if isinstance(known, list) else []


def _failures(name: str) -> str:
    return f"auth:failures:{name}"


def _tries(name: str, who: str) -> str:
    return f"auth:failures:{name}:{who}"
