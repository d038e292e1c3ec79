"""What the service needs of a place that stores everything: signals, performance, settings, and a life of its own."""

from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from database_service.batches import Batch
from database_service.performance import TradeStore
from database_service.signals import SignalStore
from database_service.user_settings import SettingsStore

Source = Literal["database", "cache", "memory", "database+spool"]


class Counts(NamedTuple):
    """How many rows there are."""

    signals: int
    performance: int


class Store(SignalStore, TradeStore, SettingsStore, Protocol):
    """A whole store. `durable`: does what it accepted survive a crash of everything at that instant?"""

    durable: bool

    @property
    def source(self) -> Source:
        """The contract's name for where answers come from, now."""
        ...

    def append_batch(self, batch: Batch, now: datetime) -> str:
        """Store a batch in one transaction; its answer's JSON text, or the kept one of the first under its key.

        Raises BatchRefused (nothing is stored), InvalidInput for a key that had another body, Unavailable.
        """
        ...

    def counts(self) -> Counts:
        """The rows as last known; asks nobody, so it never blocks."""
        ...

    def probe(self) -> None:
        """Ask the place whether it is there, and count anew. Raises Unavailable with the reason."""
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...
