"""Accounts: who may log in, as what; how their names are compared and what a password must be.

Passwords follow NIST SP 800-63B (3.1.1.2 in revision 4, 5.1.1.2 in revision 3): a least and a greatest length, any
character of Unicode, no rules of composition, no expiry, and none that is commonly used, or made of the account's own
words.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, get_args

from auth_gateway.audit import Told
from shared.errors import InvalidInput

Role = Literal["admin", "trader", "reader"]
ROLES: tuple[Role, ...] = get_args(Role)
MAX_PASSWORD = 256  # characters; NIST: at least 64 must be possible
MIN_WORD = 4  # of the account's own words, the length from which a password may not be made of one
FLEET_WORDS = ("trading-fleet", "tradingfleet", "trading", "binance", "bitcoin")


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `password_hash` is Argon2's own text, which names its parameters."""

    id: str
    email: str
    username: str
    role: Role
    plan: str
    password_hash: str
    created_at: datetime
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What is to be changed by hand; None stays."""

    role: Role | None = None
    plan: str | None = None
    disabled: bool | None = None


class AccountStore(Protocol):
    """What accounts need of a place that stores them. Every call raises Unavailable if the place is away.

    What `told` says of a change goes into the audit log in the same transaction.
    """

    def add_account(self, account: Account, told: Told[bool]) -> bool:
        """Store it; False if the email or the username is taken."""
        ...

    def account(self, account_id: str) -> Account | None:
        """By id."""
        ...

    def account_named(self, name: str) -> Account | None:
        """By what `login_key` makes of an email or a username."""
        ...

    def rehash(self, account_id: str, password_hash: str) -> None:
        """The same password under another hash."""
        ...

    def change_password(self, account_id: str, password_hash: str, now: datetime, told: Told[list[str]]) -> list[str]:
        """Another password; every session of the account ends by it. Their ids."""
        ...

    def change_account(
        self, account_id: str, asked: AccountChange, now: datetime, told: Told[list[str]]
    ) -> list[str]:  # fmt: skip
        """Change what isn't None; every session of the account ends by it. Their ids."""
        ...


def login_key(name: str) -> str:
    """What an email or a username is compared by: compatible forms and cases of a letter are one."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def normal_password(password: str) -> str:
    """The form that is hashed: one keyboard's accented letter is another's letter and accent (NIST: NFKC or NFKD)."""
    return unicodedata.normalize("NFKC", password)


def check_password(
    password: str, own_words: tuple[str, ...], min_length: int, is_common: Callable[[str], bool]
) -> None:
    """Raise InvalidInput, naming the field, unless this may become a password of an account with these words."""
    normal = normal_password(password)
    if len(normal) < min_length:
        raise InvalidInput.field("password", f"must have at least {min_length} characters; a sentence is a good one")
    if len(normal) > MAX_PASSWORD:
        raise InvalidInput.field("password", f"must have at most {MAX_PASSWORD} characters")
    folded = normal.casefold()
    if is_common(folded) or len(set(folded)) < 3:
        raise InvalidInput.field("password", "is among the first that anybody tries; choose another")
    rest = folded
    for word in sorted((*own_words, *FLEET_WORDS), key=len, reverse=True):
        if len(word) >= MIN_WORD:
            rest = rest.replace(word.casefold(), "")
    if len(rest) < MIN_WORD:
        raise InvalidInput.field("password", "is made of your own name or the service's; choose another")
