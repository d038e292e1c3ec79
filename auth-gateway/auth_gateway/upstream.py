"""What a service answers, read within bounds: even one of our own may be exchanged for something else."""

import json
from collections.abc import Iterable
from typing import Any

from shared.errors import Unavailable


def read_whole(body: Iterable[bytes], max_bytes: int) -> bytes:
    """The body of an answer. Raises Unavailable for one that is longer."""
    read = bytearray()
    for chunk in body:
        read += chunk
        if len(read) > max_bytes:
            raise Unavailable("the answer is too large")
    return bytes(read)


def read_object(body: Iterable[bytes], max_bytes: int) -> dict[str, Any]:
    """The JSON object of an answer. Raises Unavailable for anything else."""
    try:
        document = json.loads(read_whole(body, max_bytes))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unavailable("the answer is no JSON object")
    return document
