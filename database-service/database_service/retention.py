"""Retention: what is older than its table's age is removed, a portion at a time, so that no writer waits long.

A signal's age counts from its `timestamp`, a trade's from `closed_at`. Of a signal the audit chain keeps sequence, hash
and the reason. Idempotency keys have an age of their own (idempotency.py); settings of users have none.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from shared.errors import Unavailable

Aged = Literal["signals", "performance"]
PORTION = 1000  # rows in one transaction: some 10 ms
EVERY_S = 3600.0
AGAIN_S = 60.0  # where the database was away


class Rule(NamedTuple):
    """Rows of `table` older than `age` leave."""

    table: Aged
    age: timedelta

    @property
    def reason(self) -> str:
        """What the audit chain says of a removed row."""
        return f"retention: older than {self.age.days} days"


class Expirable(Protocol):
    """A store that can forget. Raises Unavailable if it is away."""

    def expire(self, table: Aged, before: datetime, limit: int, reason: str, now: datetime) -> int:
        """Remove at most `limit` rows from before that moment, the oldest first, in one transaction; how many it was.

        Of signals, sequence and hash stay behind with the reason.
        """
        ...


def rules(signals_days: int, performance_days: int) -> list[Rule]:
    """The rules in force; 0 days means for ever."""
    ages: list[tuple[Aged, int]] = [("signals", signals_days), ("performance", performance_days)]
    return [Rule(table, timedelta(days=days)) for table, days in ages if days]


def sweep(store: Expirable, rule: Rule, now: datetime) -> Iterator[int]:
    """Remove what the rule says; yields after each portion how many rows it was."""
    while removed := store.expire(rule.table, now - rule.age, PORTION, rule.reason, now):
        yield removed


class Retention:
    """A thread that sweeps at the start and every hour. `write` runs each portion where writes run."""

    def __init__(
        self,
        store: Expirable,
        in_force: Sequence[Rule],
        now: Callable[[], datetime],
        write: Callable[..., int],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
    ):
        self._store, self._rules, self._now, self._write, self._log = store, in_force, now, write, log
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin, if there is any rule."""
        if self._rules:
            threading.Thread(target=self._watch, name="retention", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def expire(self, table: Aged, before: datetime, limit: int, reason: str, now: datetime) -> int:
        """The store's, one portion after the other through `write`; nothing any more once stopped."""
        if self._stopped.is_set():
            return 0
        return self._write(self._store.expire, table, before, limit, reason, now)

    def _watch(self) -> None:
        done = [self._try(rule) for rule in self._rules]
        while not self._stopped.wait(EVERY_S if all(done) else AGAIN_S):
            done = [self._try(rule) for rule in self._rules]

    def _try(self, rule: Rule) -> bool:
        try:
            removed = sum(sweep(self, rule, self._now()))
        except Unavailable as away:
            self._log.warning("retention waits for its next turn: %s", away.message)
            return False
        if removed:
            self._log.info("%s: %d rows removed (%s)", rule.table, removed, rule.reason)
        return True
