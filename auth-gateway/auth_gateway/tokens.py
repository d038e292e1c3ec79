"""Access tokens: short-lived JWTs, signed by HS256 with a key that only the gateway holds.

What RFC 8725 asks for: one algorithm and no other (3.1), a key of 256 bits (3.5), issuer and audience checked (3.8,
3.9), a type of their own (3.11), an end always; a key id that we don't know is refused and looked up nowhere (3.10).
All that a key signs begins with the same header, so its first part names the key, and nobody's header is taken apart.
HS256, because checker and issuer are one service: 40 µs a check, where an elliptic curve takes three times that. A
token comes with every call of its client: one that was found good is known again by its hash (2 µs), and only its end
is judged anew.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cachetools import LRUCache

from auth_gateway.accounts import ROLES, Account, Role
from shared.errors import Unauthorized

ALGORITHM, TYPE = "HS256", "at+jwt"  # RFC 9068, 2.1
ISSUER = AUDIENCE = "trading-fleet"
CLAIMS = ("iss", "aud", "sub", "sid", "jti", "role", "plan", "iat", "exp")
MIN_SECRET_BYTES = 32
MAX_TOKEN = 4096  # characters
LEEWAY_S = 5.0  # between our own processes' clocks
MAX_KNOWN = 10_000  # tokens whose claims are remembered


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says. `expires_at` in seconds since 1970."""

    account_id: str
    session_id: str
    token_id: str
    role: Role
    plan: str
    expires_at: float


class AccessTokens:
    """Makes tokens with the first of `keys` and takes those made with any (so that a key can be exchanged)."""

    def __init__(self, keys: Sequence[bytes], lifetime_s: float, now: Callable[[], datetime]):
        if not keys or any(len(key) < MIN_SECRET_BYTES for key in keys):
            raise ValueError(f"a key must have at least {MIN_SECRET_BYTES} bytes")
        self._keys = {_beginning(key): key for key in keys}
        self._current = keys[0]
        self.lifetime_s, self._now = lifetime_s, now
        self._known: LRUCache[bytes, Claims] = LRUCache(MAX_KNOWN)

    def make(self, account: Account, session_id: str) -> str:
        """A token for this account in this session."""
        issued = self._now().timestamp()
        claims: dict[str, Any] = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": account.id, "sid": session_id, "jti": secrets.token_hex(16),
            "role": account.role, "plan": account.plan, "iat": int(issued), "exp": int(issued + self.lifetime_s),
        }  # fmt: skip
        return _signed(claims, self._current)

    def read(self, token: str) -> Claims:
        """What the token says. Raises Unauthorized unless it is ours, whole and in force; why is not told apart."""
        if len(token) > MAX_TOKEN:
            raise refused()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._known.get(digest) or self._read_anew(token)
        if claims.expires_at <= self._now().timestamp() - LEEWAY_S:
            raise refused()
        self._known[digest] = claims
        return claims

    def _read_anew(self, token: str) -> Claims:
        key = self._keys.get(token.partition(".")[0])
        if key is None:
            raise refused()
        try:
            # The end is judged by `read`, by the service's own clock.
            options: Any = {"require": list(CLAIMS), "verify_exp": False, "verify_iat": False}
            said = jwt.decode(token, key, [ALGORITHM], options=options, audience=AUDIENCE, issuer=ISSUER)
            claims = Claims(said["sub"], said["sid"], said["jti"], said["role"], said["plan"], float(said["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise refused() from None
        if claims.role not in ROLES:
            raise refused()
        return claims


def _signed(claims: dict[str, Any], key: bytes) -> str:
    return jwt.encode(claims, key, ALGORITHM, headers={"kid": key_id(key), "typ": TYPE})


def _beginning(key: bytes) -> str:
    """A token's first part, which is the same in all that a key has signed: any other header is none of ours."""
    return _signed({}, key).partition(".")[0]


def key_id(key: bytes) -> str:
    """What names a key without telling it."""
    return hashlib.sha256(b"key id\0" + key).hexdigest()[:16]


def refused() -> Unauthorized:
    """The one answer to every token or key that is not in force."""
    return Unauthorized("this needs a valid access token or API key; log in again or ask for another key")
