"""How the two markets differ on the wire: names of streams, payloads, speeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from market_simulator.market import BookTicker, BookView, DepthUpdate, Trade
from market_simulator.wire import futures_payloads, payloads
from market_simulator.wire.aggregates import FUTURES_SETTLED_MS, SETTLED_MS, Aggregate
from market_simulator.wire.calls import Markets
from market_simulator.wire.futures_streams import NATIVE_DEPTH_MS, parse_futures_stream
from market_simulator.wire.futures_timed import futures_feed
from market_simulator.wire.payloads import Payload
from market_simulator.wire.streams import Channel, parse_stream
from market_simulator.wire.timed import TimedFeed, spot_feed


class Words(Protocol):
    """The payloads of what happens in a market; the modules payloads and futures_payloads. `info` is the market's."""

    def trade(self, info: Any, event: Trade, scale: int, /) -> Payload: ...
    def agg_trade(self, info: Any, event: Aggregate, scale: int, /) -> Payload: ...
    def book_ticker(self, info: Any, event: BookTicker, scale: int, /) -> Payload: ...
    def depth_update(self, info: Any, event: DepthUpdate, scale: int, /) -> Payload: ...
    def partial_depth(
        self, info: Any, event: DepthUpdate, book: BookView, levels: int, scale: int, /
    ) -> Payload: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One market's. `native_depth_ms`: the period of the diff stream that carries the market's updates one by one."""

    parse: Callable[[str], Channel]
    words: Words
    native_depth_ms: int
    settled_ms: int
    feed: Callable[[Channel, Any, Markets, int], TimedFeed]


SPOT = Dialect(parse_stream, payloads, 100, SETTLED_MS, spot_feed)
FUTURES = Dialect(parse_futures_stream, futures_payloads, NATIVE_DEPTH_MS, FUTURES_SETTLED_MS, futures_feed)
