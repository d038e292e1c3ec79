"""Binance's streams, or those of what speaks its protocol, into the channels. One feed per market."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from shared.binance_stream import STOPPED, BinanceStream
from shared.binance_subscriptions import MAX_STREAMS
from shared.clock import Clock
from shared.logger import FleetLogger
from websocket_streaming.feeds.streams import ROUTES, channels_of, routes_of, streams
from websocket_streaming.feeds.wire import (
    DepthFrame,
    ForceOrderFrame,
    KlineFrame,
    MarkPriceFrame,
    TickerFrame,
    TradeFrame,
    decode_frame,
)
from websocket_streaming.freshness import SILENT_AFTER_S
from websocket_streaming.ticks import Bar, Depth, Liquidation, MarkPrice, Symbol, Ticker, Trade
from websocket_streaming.topics import Topic


class Listener(Protocol):
    """Who is told what came."""

    def on_trade(self, symbol: Symbol, trade: Trade) -> None:
        """A trade."""
        ...

    def on_ticker(self, symbol: Symbol, ticker: Ticker) -> None:
        """24 h figures."""
        ...

    def on_mark(self, symbol: Symbol, mark: MarkPrice) -> None:
        """A perpetual's mark price."""
        ...

    def on_bar(self, symbol: Symbol, interval: str, bar: Bar, event_ms: int) -> None:
        """A kline's state."""
        ...

    def on_depth(self, symbol: Symbol, depth: Depth) -> None:
        """A change of an order book."""
        ...

    def on_liquidation(self, symbol: Symbol, order: Liquidation) -> None:
        """A forced order."""
        ...

    def on_connection(self, market: str, channels: Iterable[str], connected: bool) -> None:
        """The upstream of these channels came or went."""
        ...


class BinanceFeed:
    """A market's connections. Topics open and close; streams are asked for once, however many topics need them."""

    def __init__(self, url: str, market: str, listener: Listener, clock: Clock, logger: FleetLogger) -> None:
        self._market, self._listener = market, listener
        self._connections = {
            path: _Connection(url, path, self, clock, logger, may_wait=market != "spot") for path in ROUTES[market]
        }
        self._up: set[str] = set()  # paths that are connected
        self._wanted: Counter[tuple[str, str]] = Counter()  # streams, by how many topics need them
        self._symbols: dict[str, Symbol] = {}  # one object per name: nothing is made per message
        self._topics: dict[str, int] = {}  # how many topics a name has
        self._handlers: dict[type, Callable[[Symbol, Any], None]] = {
            TradeFrame: listener.on_trade, TickerFrame: listener.on_ticker, MarkPriceFrame: listener.on_mark,
            DepthFrame: listener.on_depth,
        }  # fmt: skip

    def start(self) -> None:
        """Connect, and connect again whenever a connection is lost; returns at once."""
        for connection in self._connections.values():
            connection.start()

    def stop(self) -> None:
        """Disconnect."""
        for connection in self._connections.values():
            connection.stop()

    def fits(self, topics: list[Topic]) -> list[Topic]:
        """See `channels.Upstream`."""
        held = {path: {name for route, name in self._wanted if route == path} for path in self._connections}
        fitting = []
        for topic in topics:
            needed = streams(topic)
            if all(name in held[path] or len(held[path]) < MAX_STREAMS for path, name in needed):
                fitting.append(topic)
                for path, name in needed:
                    held[path].add(name)
        return fitting

    def open(self, topics: list[Topic]) -> None:
        """See `channels.Upstream`."""
        fresh: dict[str, list[str]] = {}
        for topic in topics:
            self._symbols.setdefault(topic.symbol, topic.of)
            self._topics[topic.symbol] = self._topics.get(topic.symbol, 0) + 1
            for stream in streams(topic):
                self._wanted[stream] += 1
                if self._wanted[stream] == 1:
                    fresh.setdefault(stream[0], []).append(stream[1])
        for path, names in fresh.items():
            self._connections[path].subscribe(names)

    def close(self, topics: list[Topic]) -> None:
        """See `channels.Upstream`. The exchange is told by `settle`."""
        for topic in topics:
            for stream in streams(topic):
                self._wanted[stream] -= 1
                if self._wanted[stream] <= 0:
                    del self._wanted[stream]
            self._topics[topic.symbol] -= 1
            if not self._topics[topic.symbol]:
                del self._topics[topic.symbol], self._symbols[topic.symbol]

    def settle(self) -> None:
        """About once a second: unsubscribe from what was closed and not opened again meanwhile.

        The exchange takes 5 messages a second: a client that subscribes and unsubscribes in turn must not reach it.
        """
        for path, connection in self._connections.items():
            connection.settle({name for route, name in self._wanted if route == path})

    def renew(self, topics: list[Topic]) -> None:
        """See `channels.Upstream`. A connection that brings nothing at all is replaced."""
        for path, connection in self._connections.items():
            names = [name for topic in topics for route, name in streams(topic) if route == path]
            if names:
                connection.renew(list(dict.fromkeys(names)))

    def on_message(self, message: bytes) -> bool:
        """A frame came; False when it is none of ours, or garbage: what it hides shows as silence."""
        try:
            data = decode_frame(message).data
        except msgspec.DecodeError:
            return False
        symbol = self._symbols.get(data.symbol)
        if symbol is None:
            return True  # some frames still come after UNSUBSCRIBE
        if handler := self._handlers.get(type(data)):
            handler(symbol, data)
        elif isinstance(data, KlineFrame):
            self._listener.on_bar(symbol, data.bar.interval, data.bar, data.event_ms)
        elif isinstance(data, ForceOrderFrame):
            self._listener.on_liquidation(symbol, data.liquidation())
        return True

    def on_state(self, path: str, connected: bool) -> None:
        """A connection came or went: tell the channels that stand on it, once all that they need is there."""
        before = self._standing()
        (self._up.add if connected else self._up.discard)(path)
        if changed := before ^ self._standing():
            self._listener.on_connection(self._market, sorted(changed), connected)

    @property
    def names(self) -> list[str]:
        """The symbols that are streamed."""
        return sorted(self._symbols)

    def _standing(self) -> set[str]:
        return {channel for channel in channels_of(self._market) if routes_of(self._market, channel) <= self._up}


class _Connection:
    """One connection, and what the exchange was asked for on it: a little more than is wanted."""

    def __init__(
        self, url: str, path: str, feed: BinanceFeed, clock: Clock, logger: FleetLogger, *, may_wait: bool
    ) -> None:
        self._url, self._path, self._feed, self._clock, self._logger = url + path, path, feed, clock, logger
        self._stream = BinanceStream(url, self._on_message, self._on_state, clock, path=path)
        self._told: set[str] = set()
        self._last_message_at = clock.monotonic()
        self._may_wait, self._started, self._wanted_start = may_wait, False, False
        self._connected_before = False

    def start(self) -> None:
        """Connect; one that `may_wait` only when it has something to carry (an empty connection is of no use)."""
        self._wanted_start = True
        if not self._started and (self._told or not self._may_wait):
            self._started = True
            self._stream.start()

    def stop(self) -> None:
        """Disconnect."""
        self._stream.stop()

    def subscribe(self, names: list[str]) -> None:
        """Ask for these too."""
        if len(self._told.union(names)) > MAX_STREAMS:
            self._feed.settle()
        fresh = [name for name in names if name not in self._told]
        self._told.update(fresh)
        self._stream.subscribe(fresh)
        if self._wanted_start:
            self.start()

    def settle(self, wanted: set[str]) -> None:
        """Unsubscribe from all but these."""
        gone = self._told - wanted
        self._told -= gone
        self._stream.unsubscribe(sorted(gone))

    def renew(self, names: list[str]) -> None:
        """Subscribe anew, or connect anew when nothing comes at all."""
        if self._clock.monotonic() - self._last_message_at >= SILENT_AFTER_S:
            self._stream.reconnect()
            return
        self._stream.unsubscribe(names)
        self._stream.subscribe(names)

    def _on_message(self, message: bytes) -> None:
        if self._feed.on_message(message):
            self._last_message_at = self._clock.monotonic()

    def _on_state(self, connected: bool) -> None:
        self._last_message_at = self._clock.monotonic()
        self._feed.on_state(self._path, connected)
        if self._stream.reason == STOPPED:
            return
        if not connected:
            what = "lost" if self._connected_before else "away"
            self._logger.warning("Upstream %s at %s (%s); trying again", what, self._url, self._stream.reason)
            return
        names = self._feed.names if not self._connected_before else [f"{len(self._feed.names)} symbols again"]
        self._connected_before = True
        for name in names:
            self._logger.info("Upstream connected: %s", name)
