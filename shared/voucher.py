"""A voucher: the gateway's signed word, in a header, of who stands behind a request to a service.

    X-Fleet-Voucher: {expiry}.{service}.{base64url of the JSON}.{HMAC-SHA-256 of all before, base64url}

It holds for one service and for `LIFETIME_S`, and tells the caller's address, so that limits and logs of the service
mean the client and not the gateway. All services of a fleet share the secret: FLEET_SECRET, or a file below VAR_DIR.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

HEADER = "X-Fleet-Voucher"
LIFETIME_S = 60
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Voucher:
    """Whom the gateway vouches for. `account_id` is None for a guest, where no login is required."""

    address: str
    account_id: str | None = None
    role: str | None = None


def make_voucher(secret: bytes, service: str, voucher: Voucher, now_s: float) -> str:
    """The header's value. `now_s` in seconds since 1970."""
    said = base64.urlsafe_b64encode(json.dumps(asdict(voucher), separators=(",", ":")).encode()).decode().rstrip("=")
    text = f"{int(now_s) + LIFETIME_S}.{service}.{said}"
    return f"{text}.{_signature(secret, text)}"


def read_voucher(secret: bytes, service: str, header: str, now_s: float) -> Voucher | None:
    """What it says; None unless it was made with this secret for this service and is in force."""
    text, _, signature = header.rpartition(".")
    if len(header) > MAX_LENGTH or not header.isascii() or not hmac.compare_digest(signature, _signature(secret, text)):
        return None
    expiry, name, said = text.split(".")
    if name != service or not now_s < int(expiry) <= now_s + 2 * LIFETIME_S:
        return None
    try:
        return Voucher(**json.loads(base64.urlsafe_b64decode(said + "==")))
    except (binascii.Error, ValueError, TypeError):
        return None


def _signature(secret: bytes, text: str) -> str:
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
