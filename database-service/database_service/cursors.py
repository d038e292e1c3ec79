"""The text form of a history cursor: opaque to clients, checked when it comes back."""

import base64
import binascii

from database_service.signals import Cursor
from shared.clock import EPOCH, MICROSECOND

MAX_NUMBER = 2**63 - 1  # the widest integer that the databases hold
MAX_TEXT = 64


def encode_cursor(cursor: Cursor) -> str:
    """`cursor` as URL-safe text."""
    micros = (cursor.timestamp - EPOCH) // MICROSECOND
    return base64.urlsafe_b64encode(f"{micros}.{cursor.number}".encode()).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """The cursor that `encode_cursor` wrote. Raises ValueError for anything else."""
    try:
        if len(text) > MAX_TEXT:
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        micros, _, number = raw.partition(".")
        cursor = Cursor(EPOCH + int(micros) * MICROSECOND, int(number))
    except (ValueError, binascii.Error, OverflowError):
        raise ValueError("must be a next_cursor of an earlier answer") from None
    if not 0 <= cursor.number <= MAX_NUMBER or encode_cursor(cursor) != text:
        raise ValueError("must be a next_cursor of an earlier answer")
    return cursor
