"""Webhooks, their events and dead letters in a SQL database."""

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from auth_gateway.audit import Told
from auth_gateway.hooks import MAX_LETTERS, DeadLetter, Hook
from auth_gateway.stores.audit_log import recorded
from auth_gateway.stores.schema import dead_letters, hook_events, hooks
from shared.sql.connections import Connections

REMEMBERED = timedelta(hours=1)  # of events: far past both ends of the window that a signature holds for
JSON_FIELDS = ("fields", "fixed")


class SqlHooks:
    """See `HookStore`."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def add_hook(self, hook: Hook, most: int, told: Told[bool]) -> bool:
        """See `HookStore.add_hook`."""
        mine = sa.select(sa.func.count()).select_from(hooks).where(hooks.c.account_id == hook.account_id)
        values = {name: getattr(hook, name) for name in Hook.__slots__}
        values |= {name: json.dumps(values[name]) for name in JSON_FIELDS}

        def add(link: sa.Connection) -> bool:
            if (link.scalar(mine) or 0) >= most:
                return False
            link.execute(sa.insert(hooks).values(letters=0, **values))
            return True

        return self._connections.transact(recorded(add, told), alone=True)

    def hooks_of(self, account_id: str) -> list[Hook]:
        """See `HookStore.hooks_of`."""
        query = sa.select(hooks).where(hooks.c.account_id == account_id).order_by(hooks.c.created_at.desc())
        with self._connections.reading() as link:
            return [_hook(row) for row in link.execute(query)]

    def hook(self, hook_id: str) -> Hook | None:
        """See `HookStore.hook`."""
        with self._connections.reading() as link:
            row = link.execute(sa.select(hooks).where(hooks.c.id == hook_id)).one_or_none()
        return None if row is None else _hook(row)

    def delete_hook(self, account_id: str, hook_id: str, told: Told[Hook | None]) -> Hook | None:
        """See `HookStore.delete_hook`."""
        mine = (hooks.c.account_id == account_id, hooks.c.id == hook_id)

        def work(link: sa.Connection) -> Hook | None:
            row = link.execute(sa.select(hooks).where(*mine)).one_or_none()
            if row is None:
                return None
            for table in (hook_events, dead_letters):  # SQLite cascades only where it is asked to
                link.execute(sa.delete(table).where(table.c.hook_id == hook_id))
            link.execute(sa.delete(hooks).where(*mine))
            return _hook(row)

        return self._connections.transact(recorded(work, told), alone=True)

    def has_seen(self, hook_id: str, event: str) -> bool:
        """See `HookStore.has_seen`."""
        query = sa.select(hook_events.c.event).where(hook_events.c.hook_id == hook_id, hook_events.c.event == event)
        with self._connections.reading() as link:
            return link.execute(query).one_or_none() is not None

    def note(
        self, hook_id: str, event: str, now: datetime, letter: tuple[str, str] | None, told: Told[int | None]
    ) -> int | None:
        """See `HookStore.note`. Of two requests with one event the later one changes nothing."""
        e = hook_events.c
        seen = sa.select(e.event).where(e.hook_id == hook_id, e.event == event)
        there = sa.select(hooks.c.id).where(hooks.c.id == hook_id)  # it may have been deleted meanwhile

        def work(link: sa.Connection) -> int | None:
            if link.scalar(seen) is not None or link.scalar(there) is None:
                return None
            link.execute(sa.delete(hook_events).where(e.hook_id == hook_id, e.seen_at < now - REMEMBERED))
            link.execute(sa.insert(hook_events).values(hook_id=hook_id, event=event, seen_at=now))
            return None if letter is None else _add_letter(link, hook_id, event, now, *letter)

        return self._connections.transact(recorded(work, told), alone=True)

    def letters_of(self, hook_id: str) -> list[DeadLetter]:
        """See `HookStore.letters_of`."""
        d = dead_letters.c
        query = sa.select(dead_letters).where(d.hook_id == hook_id).order_by(d.number.desc()).limit(MAX_LETTERS)
        with self._connections.reading() as link:
            return [_letter(row) for row in link.execute(query)]

    def letter(self, hook_id: str, number: int) -> DeadLetter | None:
        """See `HookStore.letter`."""
        with self._connections.reading() as link:
            row = link.execute(sa.select(dead_letters).where(*_one(hook_id, number))).one_or_none()
        return None if row is None else _letter(row)

    def remove_letter(self, hook_id: str, number: int, told: Told[None]) -> None:
        """See `HookStore.remove_letter`."""
        self._execute(sa.delete(dead_letters).where(*_one(hook_id, number)), told)

    def failed_again(self, hook_id: str, number: int, reason: str, told: Told[None]) -> None:
        """See `HookStore.failed_again`."""
        change = sa.update(dead_letters).where(*_one(hook_id, number))
        change = change.values(reason=reason, attempts=dead_letters.c.attempts + 1)
        self._execute(change, told)

    def _execute(self, change: sa.Update | sa.Delete, told: Told[None]) -> None:
        def work(link: sa.Connection) -> None:
            link.execute(change)

        self._connections.transact(recorded(work, told), alone=True)


def _add_letter(link: sa.Connection, hook_id: str, event: str, now: datetime, body: str, reason: str) -> int:
    d = dead_letters.c
    link.execute(sa.update(hooks).where(hooks.c.id == hook_id).values(letters=hooks.c.letters + 1))
    number = int(link.scalar(sa.select(hooks.c.letters).where(hooks.c.id == hook_id)) or 0)
    values = {"hook_id": hook_id, "number": number, "event": event, "body": body, "reason": reason}
    link.execute(sa.insert(dead_letters).values(**values, attempts=1, at=now))
    kept = sa.select(d.number).where(d.hook_id == hook_id).order_by(d.number.desc()).limit(MAX_LETTERS)
    link.execute(sa.delete(dead_letters).where(d.hook_id == hook_id, d.number.not_in(kept.scalar_subquery())))
    return number


def _one(hook_id: str, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return dead_letters.c.hook_id == hook_id, dead_letters.c.number == number


def _hook(row: sa.Row[Any]) -> Hook:
    values = {name: getattr(row, name) for name in Hook.__slots__}
    return Hook(**values | {name: json.loads(values[name]) for name in JSON_FIELDS})


def _letter(row: sa.Row[Any]) -> DeadLetter:
    return DeadLetter(**{name: getattr(row, name) for name in DeadLetter.__slots__})
