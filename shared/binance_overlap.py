"""From one connection to the next without a gap and without a duplicate. No socket, no thread.

While the next connection begins, the old one goes on and is what listeners hear; what the next one brings is held. Once
the old one has brought everything up to where the next one began, the held messages that the old one did not bring
follow, and the next connection is heard. That works since every message says its place in its stream: trades by their
ids, books by their update ids, the others by their event time (binance-spot-api-docs, web-socket-streams.md).
"""

from typing import Any

import orjson

MAX_HELD_BYTES = 32_000_000
PLACE_FIELDS = {"trade": "t", "aggTrade": "a", "depthUpdate": "u", "bookTicker": "u"}  # by event type
OTHER_PLACES = ("u", "lastUpdateId", "E")  # spot's bookTicker and partial depth have no event type


class Overlap:
    """Merges the old connection's messages with the next one's."""

    def __init__(self) -> None:
        self._heard: dict[str, int] = {}  # per stream: the last place that listeners got
        self._begun: dict[str, int] = {}  # per stream: the first place that the next connection brought
        self._held: list[tuple[str, int, bytes]] = []
        self._held_bytes = 0

    def hear(self, text: bytes) -> None:
        """The old connection brought this, and listeners got it."""
        if (place := _place(text)) is not None:
            stream, number = place
            self._heard[stream] = max(number, self._heard.get(stream, number))

    def hold(self, text: bytes) -> None:
        """The next connection brought this. What doesn't say its place is the old one's business until its end."""
        if (place := _place(text)) is not None:
            self._begun.setdefault(*place)
            self._held.append((*place, text))
            self._held_bytes += len(text)

    @property
    def is_full(self) -> bool:
        """Whether so much is held that waiting has to end."""
        return self._held_bytes > MAX_HELD_BYTES

    @property
    def has_met(self) -> bool:
        """Whether the old connection has brought all streams up to where the next one began."""
        return all(stream in self._heard and self._heard[stream] >= first for stream, first in self._begun.items())

    def release(self) -> list[bytes]:
        """What the old connection did not bring, in order; the overlap is over."""
        fresh = []
        for stream, number, text in self._held:
            if number > self._heard.get(stream, number - 1):
                self._heard[stream] = number
                fresh.append(text)
        self._held, self._held_bytes = [], 0
        return fresh


def _place(text: bytes) -> tuple[str, int] | None:
    try:
        document: Any = orjson.loads(text)
        data = document["data"]
        data = data[0] if isinstance(data, list) else data
        fields = (PLACE_FIELDS[data["e"]],) if data.get("e") in PLACE_FIELDS else OTHER_PLACES
        number = next(data[name] for name in fields if isinstance(data.get(name), int))
        return str(document["stream"]), number
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration):
        return None
