"""Settings of a user: a bounded JSON object under a version, so that two editors can't overwrite each other unseen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import Conflict


@dataclass(frozen=True, slots=True)
class SavedSettings:
    """What is saved: `version` counts the saves, `document` is the settings' JSON text."""

    version: int
    document: str


def next_version(current: int, read: int) -> int:
    """The version a save makes of `current` (0: never saved) for a client that last read `read`.

    Raises Conflict if that is not the current one: read again, then retry.
    """
    if read != current:
        raise Conflict(
            f"the settings are at version {current}, not {read}; read them again",
            details=[{"field": "version", "message": f"is stale: the current version is {current}"}],
        )
    return current + 1


class SettingsStore(Protocol):
    """What settings need of a place that stores them. Every call raises Unavailable if the place is away."""

    def settings(self, user: str) -> SavedSettings | None:
        """A user's settings; None if never saved."""
        ...

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """Save for a client that read version `read` (0: none). Raises Conflict if that is stale."""
        ...
