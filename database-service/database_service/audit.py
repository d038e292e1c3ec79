"""The audit chain: each stored signal carries a hash over its text and over the hash of the signal before it
(the rule stands in shared/hash_chain.py).

Whoever changes, removes, adds or reorders a signal afterwards breaks the chain, or has to compute every later hash
anew. The chain alone can't tell the second: tampering is proven only against a head that was kept elsewhere.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from shared.hash_chain import GENESIS, link_hash

PROOF = (
    "The chain is consistent in itself up to this head. Whoever can write to the database can also compute the whole "
    "chain anew: keep heads elsewhere and compare them, only that proves that nothing was changed."
)


class Head(NamedTuple):
    """The newest link: the number of the newest signal in commit order, and its hash."""

    sequence: int
    hash: str


START = Head(0, GENESIS)


class Link(NamedTuple):
    """One signal in the chain. `document` is None where retention removed the signal and left sequence and hash."""

    sequence: int
    hash: str
    document: str | None


class Stretch(NamedTuple):
    """A part of the chain, read at one moment: the link before it, its links in order, and the newest link of all."""

    before: Head
    links: Iterable[Link]
    head: Head


class Verified(NamedTuple):
    """What the check of a stretch found. `broken_at`: the first sequence that doesn't follow from those before."""

    checked: int
    removed: int
    last: Head
    broken_at: int | None


class Chained(Protocol):
    """A store that keeps a chain. Raises Unavailable when it is away."""

    def verify(self, start: int, limit: int) -> tuple[Verified, Head]:
        """Check at most `limit` links from the sequence `start` on; and the newest link of all."""
        ...


def extend(head: Head, document: str) -> Head:
    """The link after `head`, for this document."""
    sequence = head.sequence + 1
    return Head(sequence, link_hash(head.hash, sequence, document))


def verify(stretch: Stretch) -> Verified:
    """Check each link against the one before it. Links that retention left are taken at their word."""
    last, checked, removed = stretch.before, 0, 0
    for link in stretch.links:
        if link.document is None:
            removed += 1
        elif link.hash != link_hash(last.hash, link.sequence, link.document):
            return Verified(checked, removed, last, link.sequence)
        checked += 1
        last = Head(link.sequence, link.hash)
    return Verified(checked, removed, last, None)


def at_the_end(found: Verified, head: Head) -> Verified:
    """A stretch that was read to its end must end in the head, else the newest signals are missing."""
    if found.broken_at is None and found.last != head:
        return found._replace(broken_at=found.last.sequence + 1)
    return found
