"""Who is calling: found out from an access token or an API key, and what they may do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cachetools import TTLCache

from auth_gateway.accounts import Account, Role
from auth_gateway.api_keys import KEY, ApiKey
from auth_gateway.denylist import Denylist
from auth_gateway.permissions import ROLE_SCOPES, narrowed
from auth_gateway.sessions import token_hash
from auth_gateway.tokens import AccessTokens, refused
from shared.errors import Forbidden

KEY_MEMORY_S = 5.0  # how long another process may go on taking a key that this one revoked
MAX_KEYS_REMEMBERED = 10_000
Worker = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """One caller. `session_id` by token, `key_id` by key; `symbols` empty: all."""

    account_id: str
    role: Role
    plan: str
    scopes: tuple[str, ...]
    session_id: str | None = None
    key_id: str | None = None
    symbols: tuple[str, ...] = ()
    per_minute: int | None = None
    expires_at: float | None = None
    key_hash: str | None = None  # of the secret that was shown: another one after the key was exchanged


class Doorkeeper:
    """Tells who calls. Raises Unauthorized where nobody can be made out, Unavailable where nobody can tell."""

    def __init__(
        self,
        tokens: AccessTokens,
        denylist: Denylist,
        look_up: Callable[[str], tuple[ApiKey, Account] | None],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ):
        """`look_up` finds a key by the hash of its secret, and whose it is."""
        self._tokens, self._denylist, self._look_up, self._now = tokens, denylist, look_up, now
        self._known: TTLCache[str, tuple[ApiKey, Account]] = TTLCache(MAX_KEYS_REMEMBERED, KEY_MEMORY_S, monotonic)

    def identify(self, authorization: str | None, api_key: str | None) -> Identity:
        """By `Authorization: Bearer …` (a token or a key) or `X-API-Key`; both at a time are refused."""
        scheme, _, credential = (authorization or "").partition(" ")
        if authorization is not None and api_key is None and scheme.lower() == "bearer":
            credential = credential.strip()
            return self._by_key(credential) if KEY.fullmatch(credential) else self._by_token(credential)
        if api_key is not None and authorization is None and KEY.fullmatch(api_key):
            return self._by_key(api_key)
        raise refused()

    def forget_keys(self) -> None:
        """A key or an account changed: look anew."""
        self._known.clear()

    def _by_token(self, token: str) -> Identity:
        claims = self._tokens.read(token)
        if claims.session_id in self._denylist:
            raise refused()
        scopes = ROLE_SCOPES[claims.role]
        return Identity(
            claims.account_id, claims.role, claims.plan, scopes, claims.session_id, expires_at=claims.expires_at
        )

    def _by_key(self, secret: str) -> Identity:
        hashed = token_hash(secret)
        found = self._known.get(hashed)
        if found is None:
            found = self._look_up(hashed)
            if found is None:
                raise refused()
            self._known[hashed] = found  # here alone: a key in constant use must be looked up anew, too
        key, account = found
        if not key.in_force(self._now()) or account.disabled:
            raise refused()
        return Identity(
            account.id, account.role, account.plan, narrowed(account.role, key.scopes), key_id=key.id,
            symbols=key.symbols, per_minute=key.per_minute,
            expires_at=key.expires_at.timestamp() if key.expires_at else None, key_hash=hashed,
        )  # fmt: skip


def by_login(who: Identity) -> None:
    """Raises Forbidden for a key: one that could make keys, hooks or a password would outlive its own revocation."""
    if who.key_id is not None:
        raise Forbidden("this is for whoever is logged in, not for a key")
