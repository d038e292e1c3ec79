"""Sessions and their refresh tokens in a SQL database."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from auth_gateway.audit import Told
from auth_gateway.denylist import MAX_REMEMBERED
from auth_gateway.sessions import Exchange, Session
from auth_gateway.stores.audit_log import recorded
from auth_gateway.stores.schema import refresh_tokens, sessions
from shared.sql.connections import Connections, LostRace


class SqlSessions:
    """See `SessionStore`."""

    def __init__(self, connections: Connections):
        self._connections = connections

    def begin_session(self, session: Session, token_hash: str, told: Told[None]) -> None:
        """See `SessionStore.begin_session`. What is over goes in the same transaction, some at a time."""
        values = {name: getattr(session, name) for name in Session.__slots__}
        over = sa.select(sessions.c.id).where(sessions.c.expires_at < session.begun_at).limit(20)

        def begin(link: sa.Connection) -> None:
            link.execute(sa.insert(sessions).values(**values))
            link.execute(sa.insert(refresh_tokens).values(hash=token_hash, session_id=session.id))
            if ids := link.scalars(over).all():
                link.execute(sa.delete(refresh_tokens).where(refresh_tokens.c.session_id.in_(ids)))
                link.execute(sa.delete(sessions).where(sessions.c.id.in_(ids)))

        self._connections.transact(recorded(begin, told), alone=True)

    def exchange(self, token_hash: str, next_hash: str, now: datetime, told: Told[Exchange]) -> Exchange:
        """See `SessionStore.exchange`."""
        joined = refresh_tokens.join(sessions, sessions.c.id == refresh_tokens.c.session_id)
        wanted = sa.select(refresh_tokens.c.used_at, sessions).select_from(joined)

        def exchange(link: sa.Connection) -> Exchange:
            row = link.execute(wanted.where(refresh_tokens.c.hash == token_hash)).one_or_none()
            if row is None:
                return Exchange(None)
            session = Session(*(getattr(row, name) for name in Session.__slots__))
            if row.used_at is not None:
                _end(link, sessions.c.id == session.id, now)
                return Exchange(session, reused=True)
            if session.ended_at is not None or session.expires_at <= now:
                return Exchange(None)
            free = (refresh_tokens.c.hash == token_hash, refresh_tokens.c.used_at.is_(None))
            if link.execute(sa.update(refresh_tokens).where(*free).values(used_at=now)).rowcount != 1:
                raise LostRace
            link.execute(sa.insert(refresh_tokens).values(hash=next_hash, session_id=session.id))
            return Exchange(session)

        return self._connections.transact(recorded(exchange, told))  # not alone: it seldom says anything

    def end_session(self, session_id: str, now: datetime, told: Told[None]) -> None:
        """See `SessionStore.end_session`."""

        def end(link: sa.Connection) -> None:
            _end(link, sessions.c.id == session_id, now)

        self._connections.transact(recorded(end, told), alone=True)

    def still_open(self, session_ids: Sequence[str], now: datetime) -> set[str]:
        """See `SessionStore.still_open`."""
        c = sessions.c
        query = sa.select(c.id).where(c.id.in_(session_ids), c.ended_at.is_(None), c.expires_at > now)
        with self._connections.reading() as link:
            return set(link.scalars(query))

    def ended_since(self, moment: datetime) -> list[str]:
        """See `SessionStore.ended_since`."""
        newest = sa.select(sessions.c.id).where(sessions.c.ended_at > moment).order_by(sessions.c.ended_at.desc())
        with self._connections.reading() as link:
            return list(link.scalars(newest.limit(MAX_REMEMBERED)))


def end_sessions_of(link: sa.Connection, account_id: str, now: datetime) -> list[str]:
    """End all that an account has, in the transaction of `link`; their ids."""
    open_ones = (sessions.c.account_id == account_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
    ids = list(link.scalars(sa.select(sessions.c.id).where(*open_ones)))
    _end(link, sessions.c.id.in_(ids), now)
    return ids


def _end(link: sa.Connection, which: sa.ColumnElement[bool], now: datetime) -> None:
    link.execute(sa.update(sessions).where(which, sessions.c.ended_at.is_(None)).values(ended_at=now))
