"""Keeps a database prepared: migrates it when it is first reached, and again if it is exchanged for another."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from shared.errors import Unavailable

EVERY_S = 0.5


class Preparable(Protocol):
    """A store with a schema."""

    @property
    def prepared(self) -> bool:
        """True when the schema is known to be the newest."""
        ...

    def prepare(self) -> bool:
        """Look; False if the migrations must run. Raises Unavailable."""
        ...


class Keeper:
    """A thread that prepares the store as soon as it can be. `blocking` runs a call that would hold up others."""

    def __init__(
        self,
        store: Preparable,
        migrate: Callable[[], None],
        blocking: Callable[[Callable[[], bool]], bool],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._store, self._migrate, self._blocking, self._log = store, migrate, blocking, log
        self._stopped = threading.Event()
        self._said = ""

    def start(self) -> None:
        """Prepare now if the database is there, and from now on whenever it needs it."""
        self._try()
        threading.Thread(target=self._watch, name="database-keeper", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            if not self._store.prepared:
                self._try()

    def _try(self) -> None:
        try:
            if not self._blocking(self._store.prepare):
                self._migrate()
                self._blocking(self._store.prepare)
            self._log.info("the database is ready")
            self._said = ""
        except Unavailable as away:
            if away.message != self._said:  # once per reason, not twice a second
                self._log.warning("%s", away.message)
            self._said = away.message
        except Exception:  # noqa: BLE001  # whatever it is, the next look may find it mended
            self._log.exception("the database could not be prepared; looking again")
