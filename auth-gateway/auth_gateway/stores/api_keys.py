"""API keys in a SQL database."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from auth_gateway.api_keys import ApiKey
from auth_gateway.audit import Told
from auth_gateway.stores.audit_log import recorded
from auth_gateway.stores.schema import accounts, api_keys
from shared.sql.connections import Connections

LISTS = ("scopes", "symbols")
MAX_LISTED = 1000


class SqlApiKeys:
    """See `ApiKeyStore`."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def add_key(self, key: ApiKey, secret_hash: str, most: int, told: Told[bool]) -> bool:
        """See `ApiKeyStore.add_key`."""
        mine = sa.select(sa.func.count()).select_from(api_keys).where(*_in_force(key.account_id, key.created_at))
        values = {name: getattr(key, name) for name in ApiKey.__slots__}
        values |= {name: " ".join(values[name]) for name in LISTS}

        def add(link: sa.Connection) -> bool:
            if (link.scalar(mine) or 0) >= most:
                return False
            link.execute(sa.insert(api_keys).values(hash=secret_hash, **values))
            return True

        return self._connections.transact(recorded(add, told), alone=True)

    def keys_of(self, account_id: str) -> list[ApiKey]:
        """See `ApiKeyStore.keys_of`."""
        query = sa.select(api_keys).where(api_keys.c.account_id == account_id)
        with self._connections.reading() as link:
            newest = query.order_by(api_keys.c.created_at.desc()).limit(MAX_LISTED)
            return [_key(row) for row in link.execute(newest)]

    def still_open(self, secret_hashes: Sequence[str], now: datetime) -> set[str]:
        """See `ApiKeyStore.still_open`."""
        query = sa.select(api_keys.c.hash).join(accounts, accounts.c.id == api_keys.c.account_id)
        query = query.where(api_keys.c.hash.in_(secret_hashes), *_unspent(now), accounts.c.disabled.is_(False))
        with self._connections.reading() as link:
            return set(link.scalars(query))

    def revoke_key(self, account_id: str, key_id: str, now: datetime, told: Told[ApiKey | None]) -> ApiKey | None:
        """See `ApiKeyStore.revoke_key`."""
        open_one = (api_keys.c.account_id == account_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        change = sa.update(api_keys).where(*open_one).values(revoked_at=now)
        return self._connections.transact(recorded(_changed(account_id, key_id, change), told), alone=True)

    def rotate_key(
        self, account_id: str, key_id: str, secret_hash: str, shown: str, now: datetime, told: Told[ApiKey | None]
    ) -> ApiKey | None:
        """See `ApiKeyStore.rotate_key`."""
        open_one = (*_in_force(account_id, now), api_keys.c.id == key_id)
        change = sa.update(api_keys).where(*open_one).values(hash=secret_hash, shown=shown)
        changed = _changed(account_id, key_id, change)

        def work(link: sa.Connection) -> ApiKey | None:
            key = changed(link)
            return key if key is not None and key.in_force(now) else None

        return self._connections.transact(recorded(work, told), alone=True)


def _changed(account_id: str, key_id: str, change: sa.Update) -> Callable[[sa.Connection], ApiKey | None]:
    one = sa.select(api_keys).where(api_keys.c.account_id == account_id, api_keys.c.id == key_id)

    def work(link: sa.Connection) -> ApiKey | None:
        link.execute(change)
        row = link.execute(one).one_or_none()
        return None if row is None else _key(row)

    return work


def _in_force(account_id: str, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return api_keys.c.account_id == account_id, *_unspent(now)


def _unspent(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    t = api_keys.c
    return t.revoked_at.is_(None), sa.or_(t.expires_at.is_(None), t.expires_at > now)


def _key(row: sa.Row[Any]) -> ApiKey:
    values = {name: getattr(row, name) for name in ApiKey.__slots__}
    return ApiKey(**values | {name: tuple(values[name].split()) for name in LISTS})
