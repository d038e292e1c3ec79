"""Making, listing, exchanging and revoking API keys."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from auth_gateway.api_keys import ApiKey, ApiKeyStore, new_secret, shown_part
from auth_gateway.audit import Event, Told, if_done
from auth_gateway.identity import Doorkeeper, Identity, Worker, by_login
from auth_gateway.permissions import check_scopes, narrowed
from auth_gateway.plans import FIRST_PLAN, PLANS
from auth_gateway.sessions import token_hash
from shared.errors import Conflict, InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is asked for."""

    name: str
    scopes: tuple[str, ...]
    symbols: tuple[str, ...] = ()
    per_minute: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of whoever is logged in. `services`: those that scopes may name."""

    keys: ApiKeyStore
    doorkeeper: Doorkeeper
    services: Iterable[str]
    run: Worker
    now: Callable[[], datetime]

    def make(self, who: Identity, asked: NewKey, address: str) -> tuple[ApiKey, str]:
        """A key and its secret, which is never told again. Raises InvalidInput, Forbidden, Conflict (too many)."""
        by_login(who)
        now = self.now()
        if asked.expires_at is not None and asked.expires_at <= now:
            raise InvalidInput.field("expires_at", "must lie in the future")
        scopes = check_scopes(asked.scopes, self.services)
        if narrowed(who.role, scopes) != scopes:
            raise InvalidInput.field("scopes", f"reach further than your own role ({who.role}) does")
        secret = new_secret()
        key = ApiKey(
            uuid.uuid4().hex, who.account_id, asked.name, shown_part(secret), scopes, asked.symbols,
            asked.per_minute, now, asked.expires_at,
        )  # fmt: skip
        most = PLANS.get(who.plan, PLANS[FIRST_PLAN]).keys
        made = if_done(self._event("key_made", key, address))
        if not self.run(self.keys.add_key, key, token_hash(secret), most, made):
            raise Conflict(f"your plan ({who.plan}) allows {most} keys; revoke one first")
        return key, secret

    def listed(self, who: Identity) -> list[ApiKey]:
        """Newest first, revoked ones too."""
        by_login(who)
        keys: list[ApiKey] = self.run(self.keys.keys_of, who.account_id)
        return keys

    def revoke(self, who: Identity, key_id: str, address: str) -> ApiKey:
        """From now on it opens nothing. Doing it twice is no error. Raises NotFound."""
        by_login(who)
        told = self._told("key_revoked", address)
        key: ApiKey | None = self.run(self.keys.revoke_key, who.account_id, key_id, self.now(), told)
        if key is None:
            raise NotFound("you have no key of that id")
        self.doorkeeper.forget_keys()
        return key

    def rotate(self, who: Identity, key_id: str, address: str) -> tuple[ApiKey, str]:
        """The same key under a new secret; the old one opens nothing from now on. Raises NotFound."""
        by_login(who)
        secret = new_secret()
        change = (who.account_id, key_id, token_hash(secret), shown_part(secret), self.now())
        key: ApiKey | None = self.run(self.keys.rotate_key, *change, self._told("key_rotated", address))
        if key is None:
            raise NotFound("you have no key of that id in force")
        self.doorkeeper.forget_keys()
        return key, secret

    def _told(self, action: str, address: str) -> Told[ApiKey | None]:
        return lambda key: self._event(action, key, address) if key else None

    def _event(self, action: str, key: ApiKey, address: str) -> Event:
        return Event(self.now(), action, key.account_id, address, f"key {key.id} {key.shown}…")
