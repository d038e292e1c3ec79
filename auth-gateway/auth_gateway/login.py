"""Registering, logging in, staying in and leaving."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from auth_gateway.accounts import Account, AccountStore, Role, check_password, login_key, normal_password
from auth_gateway.attempts import Attempts
from auth_gateway.audit import AuditLog, Event, if_done
from auth_gateway.denylist import Denylist
from auth_gateway.identity import Identity, Worker, by_login
from auth_gateway.plans import FIRST_PLAN
from auth_gateway.sessions import Exchange, SessionStore, new_refresh_token, new_session, token_hash
from auth_gateway.tokens import AccessTokens
from shared.errors import Conflict, InvalidInput, Unauthorized


class Hasher(Protocol):
    """A slow hash for passwords. Its calls take tens of milliseconds of a processor and queue up."""

    def hash(self, password: str) -> str:
        """The text to store. Raises Unavailable when too many wait."""
        ...

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it fits; takes as long for None (nobody of that name). Raises Unavailable when too many wait."""
        ...

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login or a refresh gives. `expires_in` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What a new password must be."""

    min_length: int
    is_common: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Login:
    """What begins and ends sessions. `run` keeps a blocking call from holding up others; times come from `now`."""

    accounts: AccountStore
    sessions: SessionStore
    log: AuditLog
    hasher: Hasher
    tokens: AccessTokens
    denylist: Denylist
    attempts: Attempts
    rules: PasswordRules
    run: Worker
    now: Callable[[], datetime]
    session_lifetime: timedelta

    def register(self, email: str, username: str, password: str, address: str, role: Role) -> Account:
        """A new account. Raises InvalidInput for the password, Conflict if email or username is taken."""
        own_words = (username, email, email.partition("@")[0])
        check_password(password, own_words, self.rules.min_length, self.rules.is_common)
        hashed = self.hasher.hash(normal_password(password))
        account = Account(uuid.uuid4().hex, email, username, role, FIRST_PLAN, hashed, self.now())
        made = if_done(self._event("register", account.id, address, f"role {role}"))
        if not self.run(self.accounts.add_account, account, made):
            raise Conflict("this email or username is taken")  # which of the two is nobody's business
        return account

    def login(self, name: str, password: str, address: str) -> Tokens:
        """A new session. Raises Unauthorized, the same and after the same time whatever is wrong; RateLimited."""
        key = login_key(name)
        digest = _digest(key)
        self.attempts.check(digest, address)
        account: Account | None = self.run(self.accounts.account_named, key)
        fits = self.hasher.verify(account.password_hash if account else None, normal_password(password))
        if account is None or account.disabled or not fits:
            self.attempts.failed(digest, address)
            self._record("login_failed", account.id if account else "unknown", address)
            raise Unauthorized("the name or the password is wrong")
        self.attempts.succeeded(digest, address)
        if self.hasher.outdated(account.password_hash):
            self.run(self.accounts.rehash, account.id, self.hasher.hash(normal_password(password)))
        session, refresh = new_session(account.id, self.now(), self.session_lifetime), new_refresh_token()
        event = self._event("login", account.id, address)
        self.run(self.sessions.begin_session, session, token_hash(refresh), lambda _: event)
        return self._tokens(account, session.id, refresh)

    def refresh(self, refresh_token: str, address: str) -> Tokens:
        """The next tokens of a session. Raises Unauthorized; a token that served before ends its session."""
        following = new_refresh_token()

        def told(found: Exchange) -> Event | None:
            if found.session is None or not found.reused:
                return None
            return self._event("refresh_reused", found.session.account_id, address, "the session was ended")

        hashes = (token_hash(refresh_token), token_hash(following))
        found: Exchange = self.run(self.sessions.exchange, *hashes, self.now(), told)
        if found.session is None:
            raise _not_in_force()
        if found.reused:
            self.denylist.add(found.session.id)
            raise _not_in_force()
        account: Account | None = self.run(self.accounts.account, found.session.account_id)
        if account is None or account.disabled:
            raise _not_in_force()
        return self._tokens(account, found.session.id, following)

    def logout(self, who: Identity, address: str) -> None:
        """End the caller's session. Raises InvalidInput for an API key: those are revoked."""
        if who.session_id is None:
            raise InvalidInput("an API key has no session to end; DELETE /auth/keys/<id> revokes it")
        event = self._event("logout", who.account_id, address)
        self.run(self.sessions.end_session, who.session_id, self.now(), lambda _: event)
        self.denylist.add(who.session_id)

    def change_password(self, who: Identity, old: str, new: str, address: str) -> None:
        """A new password; all sessions end. Raises Unauthorized if the old one is wrong, RateLimited, Forbidden."""
        by_login(who)
        account: Account | None = self.run(self.accounts.account, who.account_id)
        digest = _digest(login_key(account.username if account else ""))
        self.attempts.check(digest, address)
        if not self.hasher.verify(account.password_hash if account else None, normal_password(old)) or account is None:
            self.attempts.failed(digest, address)
            self._record("password_refused", who.account_id, address)
            raise Unauthorized("the old password is wrong")
        own_words = (account.username, account.email, account.email.partition("@")[0])
        check_password(new, own_words, self.rules.min_length, self.rules.is_common)
        hashed, event = self.hasher.hash(normal_password(new)), self._event("password_changed", account.id, address)
        for session_id in self.run(self.accounts.change_password, account.id, hashed, self.now(), lambda _: event):
            self.denylist.add(session_id)

    def _tokens(self, account: Account, session_id: str, refresh: str) -> Tokens:
        return Tokens(self.tokens.make(account, session_id), refresh, int(self.tokens.lifetime_s))

    def _record(self, action: str, actor: str, address: str) -> None:
        self.run(self.log.record, [self._event(action, actor, address)])

    def _event(self, action: str, actor: str, address: str, detail: str = "") -> Event:
        return Event(self.now(), action, actor, address, detail)


def _digest(key: str) -> str:
    """Who tries which name is nobody's business in Redis."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _not_in_force() -> Unauthorized:
    return Unauthorized("this refresh token is not in force; log in again")
