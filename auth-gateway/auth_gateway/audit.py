"""The audit log: who did what, from where. Append-only, each entry hashed over the one before it.

The rule stands in shared/hash_chain.py; the signals' chain has the same. Keep heads elsewhere: only against one of
those is a change proven.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from shared.clock import to_iso
from shared.errors import InvalidInput
from shared.hash_chain import GENESIS, link_hash

MAX_DETAIL = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `actor`: an account's id, or what was typed as a name, cut short; never a secret.

    `more`: what else is known of it, each under its own name; texts in it are the caller's to bound.
    """

    at: datetime
    action: str
    actor: str
    address: str
    detail: str = ""
    more: Mapping[str, str | int] | None = None

    @property
    def document(self) -> str:
        """Its JSON text in the log."""
        said: dict[str, Any] = {"at": to_iso(self.at), "action": self.action, "actor": self.actor}
        said |= {"address": self.address, "detail": self.detail[:MAX_DETAIL], **(self.more or {})}
        return json.dumps(said, separators=(",", ":"))


# What the log says of an act, told by its outcome; None: nothing. Act and entry are one transaction.
Told = Callable[[T], Event | None]


def if_done(event: Event) -> Told[Any]:
    """This event, where the outcome is anything but None or False."""
    return lambda outcome: event if outcome else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. An empty `document`: the anchor, the last of those that were too old (`AuditLog.forget`)."""

    sequence: int
    hash: str
    document: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at `entries` of a chain found: the first that does not follow, else None; whole is it up to `to`.

    That one bears `hash`: compare it with the head that you kept.
    """

    entries: int
    broken_at: int | None
    to: int
    hash: str
    begins_at: int  # the first that was recomputed: 1 in a log that was never shortened


class AuditLog(Protocol):
    """What the log needs of a place that stores it. Every call raises Unavailable if the place is away."""

    def record(self, events: Sequence[Event]) -> None:
        """Append them in one transaction; they are on the disk when this returns."""
        ...

    def entries(self, before: int | None, limit: int) -> list[Entry]:
        """Newest first, below the sequence `before`."""
        ...

    def walk(self, start: int, limit: int) -> Iterable[Entry]:
        """Those from the sequence `start` on, oldest first, as a consistent whole; `limit` at most."""
        ...

    def forget(self, before: datetime, now: datetime) -> bool:
        """Remove a portion of the oldest entries if all of it is from before that moment; whether it was.

        The last one leaves its hash, which the next follows, and the log says that it was done.
        """
        ...


def check_chain(entries: Iterable[Entry], after: int) -> Checked:
    """Compute the chain anew behind the entry of the sequence `after`, which comes first and is taken at its word.

    After 0 comes the first ever, or the anchor of those that are forgotten. Raises InvalidInput if `after` isn't there.
    """
    number, to, before, begins_at = 0, after, GENESIS, after + 1
    for number, entry in enumerate(entries, 1):
        if number == 1 and after and entry.sequence != after:
            break
        taken = number == 1 and (after > 0 or not entry.document)
        begins_at = entry.sequence + 1 if taken else begins_at
        if not taken and (entry.sequence != to + 1 or entry.hash != link_hash(before, entry.sequence, entry.document)):
            return Checked(number, to + 1, to, before, begins_at)
        to, before = entry.sequence, entry.hash
    if before == GENESIS and after:
        raise InvalidInput.field("after", "names no entry of the log")
    return Checked(number, None, to, before, begins_at)
