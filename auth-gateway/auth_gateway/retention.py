"""What is too old in the audit log leaves it, a portion at a time, so that no writer waits long."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from auth_gateway.audit import AuditLog
from auth_gateway.identity import Worker
from shared.errors import Unavailable

EVERY_S = 3600.0
AGAIN_S = 60.0  # where the database was away


class Retention:
    """A thread that looks at the start and every hour. `run` keeps a blocking call from holding up others."""

    def __init__(
        self,
        entries: AuditLog,
        days: int,
        now: Callable[[], datetime],
        run: Worker,
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._entries, self._days, self._now, self._run, self._log = entries, days, now, run, log
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin, if there is any age; 0 days means for ever."""
        if self._days:
            threading.Thread(target=self._watch, name="retention", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _watch(self) -> None:
        done = self._try()
        while not self._stopped.wait(EVERY_S if done else AGAIN_S):
            done = self._try()

    def _try(self) -> bool:
        portions = 0
        try:
            while not self._stopped.is_set() and self._forget():
                portions += 1
        except Unavailable as away:
            self._log.warning("the audit log is not shortened: %s", away.message)
            return False
        except Exception:  # noqa: BLE001  # whatever it is, the next look may go well
            self._log.exception("the audit log could not be shortened; trying again")
            return False
        if portions:
            self._log.info("the audit log was shortened: older than %d days", self._days)
        return True

    def _forget(self) -> bool:
        now = self._now()
        done: bool = self._run(self._entries.forget, now - timedelta(days=self._days), now)
        return done
