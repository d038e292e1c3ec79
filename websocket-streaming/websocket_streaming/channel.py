"""What all channels have in common, and what they need of places (feeds), as Protocols."""

from collections.abc import Callable
from typing import Protocol

from websocket_streaming.journal import Document
from websocket_streaming.topics import Topic


class Upstream(Protocol):
    """The exchange's streams of one market."""

    def fits(self, topics: list[Topic]) -> list[Topic]:
        """Those of `topics` that the connection can carry besides what it does."""
        ...

    def open(self, topics: list[Topic]) -> None:
        """Stream these too; returns at once."""
        ...

    def close(self, topics: list[Topic]) -> None:
        """Stop streaming these; returns at once."""
        ...

    def renew(self, topics: list[Topic]) -> None:
        """Nothing comes for these though there is news: subscribe anew, or connect anew if nothing comes at all."""
        ...


class Channel(Protocol):
    """One channel, of all its symbols."""

    event: str

    def open(self, topic: Topic) -> None:
        """Somebody wants the topic."""
        ...

    def close(self, topic: Topic) -> None:
        """Nobody wants it any more."""
        ...

    def greet(self, topic: Topic) -> Document | None:
        """What a new subscriber gets at once."""
        ...

    def warn(self, topic: Topic) -> Document | None:
        """The `status` that a new subscriber gets besides, None where the newest value says all."""
        ...

    def catch_up(self, topic: Topic, event: str, document: Document, skipped: int) -> tuple[str, Document]:
        """What a client gets that had no room for `skipped` updates before this one."""
        ...

    def on_connection(self, market: str, connected: bool) -> None:
        """The market's upstream of this channel came or went."""
        ...

    def tell_stale(self) -> None:
        """Tell subscribers what became stale, and what is right again."""
        ...


CatchUp = Callable[[Topic, str, Document, int], tuple[str, Document]]


class TimeSource(Protocol):
    """The exchange's clock."""

    def time_ms(self) -> int:
        """Unix milliseconds. Raises FleetError; retry later."""
        ...
