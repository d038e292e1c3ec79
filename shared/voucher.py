"""A voucher: the gateway's signed word, in a header, of who stands behind a request to a service.

    X-Fleet-Voucher: {expiry}.{service}.{base64url of the JSON}.{HMAC-SHA-256 of all before, base64url}

It holds for one service and for `LIFETIME_S`, and tells the caller's address, so that limits and logs of the service
mean the client and not the gateway. All services of a fleet share the secret: FLEET_SECRET, or a file below VAR_DIR.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

HEADER = "X-Fleet-Voucher"
LIFETIME_S = 60
STEP_S = 10  # one that was made serves for the calls of the same client within so long
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Voucher:
    """Whom the gateway vouches for. `account_id` is None for a guest, where no login is required."""

    address: str
    account_id: str | None = None
    role: str | None = None


def make_voucher(secret: bytes, service: str, voucher: Voucher, now_s: float) -> str:
    """The header's value, for `LIFETIME_S` or a little less. `now_s` in seconds since 1970."""
    return _made(secret, service, voucher, int(now_s // STEP_S * STEP_S))


@functools.lru_cache(maxsize=1024)
def _made(secret: bytes, service: str, voucher: Voucher, now_s: int) -> str:
    said = base64.urlsafe_b64encode(json.dumps(asdict(voucher), separators=(",", ":")).encode()).decode().rstrip("=")
    text = f"{now_s + LIFETIME_S}.{service}.{said}"
    return f"{text}.{_signature(secret, text)}"


def read_voucher(secret: bytes, service: str, header: str, now_s: float) -> Voucher | None:
    """What it says; None unless it was made with this secret for this service and is in force."""
    opened = _opened(secret, header) if len(header) <= MAX_LENGTH else None
    if opened is None:
        return None
    expiry, name, voucher = opened
    return voucher if name == service and now_s < expiry <= now_s + 2 * LIFETIME_S else None


@functools.lru_cache(maxsize=1024)  # the same one comes with every call of a client for a while: 20 µs, or 1
def _opened(secret: bytes, header: str) -> tuple[int, str, Voucher] | None:
    """Until when, for which service and what; None unless it was made with this secret."""
    text, _, signature = header.rpartition(".")
    if not header.isascii() or not hmac.compare_digest(signature, _signature(secret, text)):
        return None
    expiry, name, said = text.split(".")
    try:
        return int(expiry), name, Voucher(**json.loads(base64.urlsafe_b64decode(said + "==")))
    except (binascii.Error, ValueError, TypeError):
        return None


def _signature(secret: bytes, text: str) -> str:
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
