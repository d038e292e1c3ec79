"""Sessions: what a login begins, a logout ends, and a refresh token lengthens.

A refresh token serves once and is exchanged for the next of its session (RFC 9700, 4.14.2). One that comes twice was
stolen, from us or from its owner, and nobody can tell which of the two is calling: the whole session ends.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from auth_gateway.audit import Told

PREFIX = "tfr_"  # so that a scanner for leaked secrets knows one when it sees it


@dataclass(frozen=True, slots=True)
class Session:
    """One login. `ended_at` is None while it lasts."""

    id: str
    account_id: str
    begun_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What became of a refresh token: the session it lengthened, or None for one that is unknown or over.

    `reused` is True when it had served before: its session has been ended.
    """

    session: Session | None
    reused: bool = False


class SessionStore(Protocol):
    """What sessions need of a place that stores them. Every call raises Unavailable if the place is away.

    What `told` says of an act goes into the audit log in the same transaction.
    """

    def begin_session(self, session: Session, token_hash: str, told: Told[None]) -> None:
        """Store a session and the hash of its first refresh token."""
        ...

    def exchange(self, token_hash: str, next_hash: str, now: datetime, told: Told[Exchange]) -> Exchange:
        """Use up one refresh token and store the next, in one transaction; a second use ends the session."""
        ...

    def end_session(self, session_id: str, now: datetime, told: Told[None]) -> None:
        """End it, and every token with it."""
        ...

    def still_open(self, session_ids: Sequence[str], now: datetime) -> set[str]:
        """Those of them that are in force."""
        ...

    def ended_since(self, moment: datetime) -> list[str]:
        """Ids of the sessions that were ended after `moment`, as many as a denylist holds."""
        ...


def new_session(account_id: str, now: datetime, lifetime: timedelta) -> Session:
    """A session that begins now."""
    return Session(secrets.token_hex(16), account_id, now, now + lifetime)


def new_refresh_token() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a random token. A plain hash: nobody can guess 256 random bits, so nothing slow is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
