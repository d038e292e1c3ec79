"""Users' settings in a SQL database, on a connection that `SqlStore` holds."""

from datetime import datetime

import sqlalchemy as sa

from database_service.stores.schema import user_settings
from database_service.user_settings import SavedSettings, next_version
from shared.sql.connections import LostRace


def read_settings(link: sa.Connection, user: str) -> SavedSettings | None:
    """The user's newest settings; None before the first."""
    t = user_settings.c
    row = link.execute(sa.select(t.version, t.document).where(t.user_name == user)).one_or_none()
    return row and SavedSettings(row.version, row.document)


def write_settings(link: sa.Connection, user: str, read: int, document: str, now: datetime) -> SavedSettings:
    """See `SettingsStore.save_settings`. Raises Conflict, or LostRace: another writer was faster, look again."""
    saved = read_settings(link, user)
    version = next_version(saved.version if saved else 0, read)
    values = {"version": version, "document": document, "saved_at": now}
    if saved is None:
        link.execute(sa.insert(user_settings).values(user_name=user, **values))
        return SavedSettings(version, document)
    change = sa.update(user_settings).where(user_settings.c.user_name == user, user_settings.c.version == read)
    if link.execute(change.values(**values)).rowcount != 1:
        raise LostRace
    return SavedSettings(version, document)
