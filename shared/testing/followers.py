"""Clients of plain WebSocket that read in a thread of their own: events as they come, and the order book they give."""

import json
import threading
from collections.abc import Callable
from typing import Any, Self

import websocket

from shared.testing.net import wait_until

Top = tuple[tuple[float, float], tuple[float, float]]  # best bid and ask, each price and quantity


class Follower:
    """Notes every event of one plain stream, in order."""

    def __init__(self, url: str) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._ws = websocket.create_connection(url, timeout=30)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                message = self._ws.recv()
            except (OSError, websocket.WebSocketException):
                return
            if message:
                document = json.loads(message)
                self.take(document["event"], document["data"])

    def take(self, event: str, data: dict[str, Any]) -> None:
        """An event came."""
        self.events.append((event, data))

    def data(self, event: str) -> list[dict[str, Any]]:
        """The data of all such events so far."""
        return [data for name, data in list(self.events) if name == event]

    def wait(self, event: str, count: int = 1, timeout_s: float = 15.0) -> list[dict[str, Any]]:
        """Return once there are so many of the event."""
        wait_until(lambda: len(self.data(event)) >= count, timeout_s, what=f"{count} of {event}")
        return self.data(event)

    def close(self) -> None:
        self._ws.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BookFollower(Follower):
    """A client's book: snapshot, then deltas. `tops` has the best levels at every update id it was at."""

    def __init__(self, url: str) -> None:
        self.sides: tuple[dict[float, float], dict[float, float]] = {}, {}
        self.update_id = 0
        self.snapshots = self.deltas = 0
        self.tops: dict[int, Top] = {}
        self.broken: list[str] = []
        super().__init__(url)

    def take(self, event: str, data: dict[str, Any]) -> None:
        """See `Follower`."""
        if event != "orderbook_update":
            super().take(event, data)
            return
        if data["type"] == "snapshot":
            self.snapshots += 1
            self.sides = {}, {}
        elif data["previous_update_id"] != self.update_id:
            self.broken.append(f"{data['previous_update_id']} after {self.update_id}")
        else:
            self.deltas += 1
        for side, levels in zip(self.sides, (data["bids"], data["asks"]), strict=True):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        update_id = data["update_id"]
        if not all(self.sides):
            self.broken.append(f"a side is empty at {update_id}")
        else:
            top = self.tops[update_id] = self.top()
            if top[0][0] >= top[1][0]:
                self.broken.append(f"crossed at {update_id}")
        self.update_id = update_id  # last: who waits for it reads `tops` then

    def top(self) -> Top:
        """Best bid and ask."""
        bids, asks = self.sides
        bid, ask = max(bids), min(asks)
        return (bid, bids[bid]), (ask, asks[ask])


def follow_tickers(url: str, note: Callable[[dict[str, Any]], None]) -> websocket.WebSocket:
    """Read a raw stream of the exchange in a thread; each payload goes to `note`."""
    ws = websocket.create_connection(url, timeout=30)

    def read() -> None:
        while True:
            try:
                message = ws.recv()
            except (OSError, websocket.WebSocketException):
                return
            if message:
                note(json.loads(message))

    threading.Thread(target=read, daemon=True).start()
    return ws
