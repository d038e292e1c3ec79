"""Accounts in a SQL database."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from auth_gateway.accounts import Account, AccountChange, login_key
from auth_gateway.audit import Told
from auth_gateway.stores.audit_log import recorded
from auth_gateway.stores.schema import accounts, login_names
from auth_gateway.stores.sessions import end_sessions_of
from shared.sql.connections import Connections


class SqlAccounts:
    """See `AccountStore`."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def add_account(self, account: Account, told: Told[bool]) -> bool:
        """See `AccountStore.add_account`."""
        names = {login_key(account.email), login_key(account.username)}

        def add(link: sa.Connection) -> bool:
            taken = sa.select(login_names.c.name).where(login_names.c.name.in_(names)).limit(1)
            if link.execute(taken).first() is not None:
                return False
            link.execute(sa.insert(accounts).values({name: getattr(account, name) for name in Account.__slots__}))
            link.execute(sa.insert(login_names), [{"name": name, "account_id": account.id} for name in names])
            return True

        return self._connections.transact(recorded(add, told), alone=True)

    def account(self, account_id: str) -> Account | None:
        """See `AccountStore.account`."""
        return self._one(sa.select(accounts).where(accounts.c.id == account_id))

    def account_named(self, name: str) -> Account | None:
        """See `AccountStore.account_named`."""
        joined = accounts.join(login_names, login_names.c.account_id == accounts.c.id)
        return self._one(sa.select(accounts).select_from(joined).where(login_names.c.name == name))

    def rehash(self, account_id: str, password_hash: str) -> None:
        """See `AccountStore.rehash`."""
        change = sa.update(accounts).where(accounts.c.id == account_id).values(password_hash=password_hash)
        self._connections.transact(lambda link: link.execute(change))

    def change_password(self, account_id: str, password_hash: str, now: datetime, told: Told[list[str]]) -> list[str]:
        """See `AccountStore.change_password`."""
        return self._change(account_id, {"password_hash": password_hash}, now, told)

    def change_account(
        self, account_id: str, asked: AccountChange, now: datetime, told: Told[list[str]]
    ) -> list[str]:  # fmt: skip
        """See `AccountStore.change_account`."""
        return self._change(account_id, {n: v for n, v in asdict(asked).items() if v is not None}, now, told)

    def _change(self, account_id: str, values: dict[str, Any], now: datetime, told: Told[list[str]]) -> list[str]:
        change = sa.update(accounts).where(accounts.c.id == account_id).values(**values)

        def work(link: sa.Connection) -> list[str]:
            link.execute(change)
            return end_sessions_of(link, account_id, now)

        return self._connections.transact(recorded(work, told), alone=True)

    def _one(self, query: sa.Select[Any]) -> Account | None:
        with self._connections.reading() as link:
            row = link.execute(query).one_or_none()
        return None if row is None else Account(**{name: getattr(row, name) for name in Account.__slots__})
