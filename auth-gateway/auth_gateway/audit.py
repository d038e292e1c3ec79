"""The audit log: who did what, from where. Append-only, each entry hashed over the one before it.

The rule stands in shared/hash_chain.py; the signals' chain has the same. Keep heads elsewhere: only against one of
those is a change proven.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.clock import to_iso
from shared.hash_chain import GENESIS, link_hash

MAX_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `actor`: an account's id, or what was typed as a name, cut short; never a secret."""

    action: str
    actor: str
    address: str
    detail: str = ""

    def document(self, moment: datetime) -> str:
        """Its JSON text in the log."""
        said = {"at": to_iso(moment), "action": self.action, "actor": self.actor, "address": self.address}
        return json.dumps({**said, "detail": self.detail[:MAX_DETAIL]}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    sequence: int
    hash: str
    document: str


class AuditLog(Protocol):
    """What the log needs of a place that stores it. Every call raises Unavailable if the place is away."""

    def record(self, event: Event, now: datetime) -> None:
        """Append it; it is on the disk when this returns."""
        ...

    def entries(self, before: int | None, limit: int) -> list[Entry]:
        """Newest first, below the sequence `before`."""
        ...

    def walk(self) -> Iterable[Entry]:
        """All, oldest first, as a consistent whole."""
        ...


def broken_at(entries: Iterable[Entry]) -> int | None:
    """The first sequence that doesn't follow from those before; None for a whole chain from its beginning."""
    before, expected = GENESIS, 1
    for entry in entries:
        if entry.sequence != expected or entry.hash != link_hash(before, entry.sequence, entry.document):
            return expected
        before, expected = entry.hash, expected + 1
    return None
