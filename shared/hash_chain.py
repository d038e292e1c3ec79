"""An append-only list that shows whether it was changed: each entry bears a hash over the one before it.

    hash = SHA-256(hash before + "\\n" + sequence + "\\n" + document), in lower-case hex; the first one follows 64 zeros
"""

import hashlib

GENESIS = "0" * 64  # what the first entry follows


def link_hash(before: str, sequence: int, document: str) -> str:
    """The hash of an entry: `before` is the hash of the one before it, `sequence` its number, counted from 1."""
    return hashlib.sha256(f"{before}\n{sequence}\n{document}".encode()).hexdigest()
