"""Idempotency keys: a client that repeats a request under its key gets the first answer, and nothing is done twice.

A key belongs to one route. It is kept at least 24 h, in the same transaction as what it stored, so that a retry after
any crash finds either both or neither.
"""

import hashlib
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import orjson
from msgspec import Struct

from shared.errors import FleetError, InvalidInput

KEEP = timedelta(hours=26)  # the contract says 24 h; the rest covers a wall clock that jumps by an hour
PURGE_EVERY = timedelta(minutes=10)
HEADER = "Idempotency-Key"


class KeyName(NamedTuple):
    """A key's full name: two routes may see the same text and mean different things."""

    route: str
    text: str


class Key(NamedTuple):
    """A key as it came with a request: its name, and the hash of the body that came with it."""

    name: KeyName
    body_hash: str


class KeptAnswer(NamedTuple):
    """What is remembered under a key: the first body's hash and the answer it got."""

    body_hash: str
    answer: str


class Verdict(Struct, frozen=True):
    """What became of one row: `id` is its final id; a refused one carries the error instead."""

    status: Literal["stored", "duplicate", "replayed", "refused"]
    id: str = ""
    error: FleetError | None = None


def hash_body(body: dict[str, Any]) -> str:
    """A hash that is equal for equal JSON, whatever the order of its fields."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def replay(key: Key, kept: KeptAnswer) -> Verdict:
    """The verdict for a key that is known already."""
    if kept.body_hash != key.body_hash:
        return Verdict("refused", error=InvalidInput.field(HEADER, "was used before with another body"))
    return Verdict("replayed", kept.answer)


def answer_again(key: Key, kept: KeptAnswer) -> str:
    """The answer kept under a key. Raises InvalidInput if it came with another body."""
    verdict = replay(key, kept)
    if verdict.error is not None:
        raise verdict.error
    return verdict.id
