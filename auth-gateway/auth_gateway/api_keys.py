"""API keys: what a bot carries instead of a login. Shown once; only a hash is stored."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from auth_gateway.audit import Told

PREFIX = "tfk_"  # so that a scanner for leaked secrets knows one when it sees it
KEY = re.compile(r"tfk_[A-Za-z0-9_-]{43}")
SHOWN = 8  # of its characters, to tell keys apart in a list
MAX_SYMBOLS = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. Empty `symbols`: all; `per_minute` None: what the plan says."""

    id: str
    account_id: str
    name: str
    shown: str
    scopes: tuple[str, ...]
    symbols: tuple[str, ...]
    per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class ApiKeyStore(Protocol):
    """What keys need of a place that stores them. Every call raises Unavailable if the place is away.

    What `told` says of an act goes into the audit log in the same transaction.
    """

    def add_key(self, key: ApiKey, secret_hash: str, most: int, told: Told[bool]) -> bool:
        """Store it; False if the account has `most` in force already."""
        ...

    def keys_of(self, account_id: str) -> list[ApiKey]:
        """Newest first, revoked ones too."""
        ...

    def still_open(self, secret_hashes: Sequence[str], now: datetime) -> set[str]:
        """Those of them that are the secrets of keys in force, of accounts that are not disabled."""
        ...

    def revoke_key(self, account_id: str, key_id: str, now: datetime, told: Told[ApiKey | None]) -> ApiKey | None:
        """The key, revoked now or before; None if the account has none of that id."""
        ...

    def rotate_key(
        self, account_id: str, key_id: str, secret_hash: str, shown: str, now: datetime, told: Told[ApiKey | None]
    ) -> ApiKey | None:
        """Exchange the secret of a key in force; None if there is none of that id."""
        ...


def new_secret() -> str:
    """256 random bits under our prefix."""
    return PREFIX + secrets.token_urlsafe(32)


def shown_part(secret: str) -> str:
    """What a list shows of a key."""
    return secret[: len(PREFIX) + SHOWN]
