"""Prices of the past from the exchange: the open of the 1-minute bar that holds the moment, so at most a minute old.

Bars come 1,000 at a time (one call, weight 2) and are kept: what is past doesn't change. One calibration makes at most
`MAX_CALLS` calls in `MAX_S`; the next one finds what this one fetched.
"""

from __future__ import annotations  # array takes no parameter at run time

import json
import math
import re
from array import array
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cachetools import LRUCache

from shared.binance_client import BinanceClient, Market
from shared.clock import Clock
from shared.config import Settings
from shared.errors import InvalidInput, NotFound, RateLimited, Unavailable

MINUTE_MS = 60_000
BARS = 1000  # the most that spot answers in one call, 16.7 h
BLOCK_MS = BARS * MINUTE_MS
MAX_BLOCKS = 2_000  # kept; 8 KB each
MAX_CALLS = 60  # weight 120 of 6,000 a minute (futures: 300 of 2,400)
MAX_S = 10.0
LISTED = re.compile(r"[A-Z0-9_]{1,32}")
Block = tuple[Market, str, int]


class MarketHistory:
    """What was fetched so far, for all calibrations. `client` is asked for at the first call that needs it."""

    def __init__(self, client: Callable[[], BinanceClient], clock: Clock):
        self._client, self.clock = client, clock
        self.kept: LRUCache[Block, array[float]] = LRUCache(MAX_BLOCKS)

    def prices(self, market: Market) -> MarketPrices:
        """The prices of one calibration."""
        return MarketPrices(self, market)

    def fetch(self, block: Block) -> array[float]:
        """The opens of a block's minutes, NaN where there is none. Blocks; raises what BinanceClient raises."""
        market, symbol, start_ms = block
        opens = array("d", [math.nan]) * BARS
        end_ms = start_ms + BLOCK_MS - 1
        for bar in self._client().klines(symbol, "1m", start_ms=start_ms, end_ms=end_ms, limit=BARS, market=market):
            place = (int(bar[0]) - start_ms) // MINUTE_MS
            if 0 <= place < BARS:
                opens[place] = float(bar[1])
        if end_ms + MINUTE_MS < self.clock.now().timestamp() * 1000:  # else later minutes will come
            self.kept[block] = opens
        return opens


class MarketPrices:
    """See `calibration.Prices`. `complete` is False once the bounds or the exchange kept a price from being asked.

    `trouble` is then the exchange's error, if it was that.
    """

    def __init__(self, history: MarketHistory, market: Market):
        self._history, self._market = history, market
        self._ends = history.clock.monotonic() + MAX_S
        self._calls = 0
        self._blocks: dict[Block, array[float]] = {}
        self._unknown: set[str] = set()
        self.complete = True
        self.trouble: RateLimited | Unavailable | None = None

    def at(self, symbol: str, moment: datetime) -> float | None:
        """See `Prices.at`."""
        listed = symbol.replace("/", "").replace("-", "")  # BTC/USDT is the exchange's BTCUSDT
        if listed in self._unknown or not LISTED.fullmatch(listed):
            return None
        at_ms = int(moment.timestamp() * 1000)
        start_ms = at_ms - at_ms % BLOCK_MS
        opens = self._block((self._market, listed, start_ms))
        price = math.nan if opens is None else opens[(at_ms - start_ms) // MINUTE_MS]
        return None if math.isnan(price) else price

    def _block(self, block: Block) -> array[float] | None:
        known = self._blocks.get(block) or self._history.kept.get(block)
        if known is None and self._may_ask():
            known = self._ask(block)
        if known is not None:
            self._blocks[block] = known
        return known

    def _may_ask(self) -> bool:
        if self.trouble or self._calls >= MAX_CALLS or self._history.clock.monotonic() > self._ends:
            self.complete = False
        return self.complete

    def _ask(self, block: Block) -> array[float] | None:
        self._calls += 1
        try:
            return self._history.fetch(block)
        except (NotFound, InvalidInput):
            self._unknown.add(block[1])
        except (RateLimited, Unavailable) as error:
            self.trouble, self.complete = error, False
        return None


def market_client(settings: Settings, clock: Clock) -> BinanceClient:
    """The exchange that the fleet is on: by MARKET, and for `auto` by the verdict that websocket-streaming keeps.

    Without a verdict it is Binance: simulated prices must not judge signals by accident.
    """
    venue = _verdict(settings.VAR_DIR / "market.json") if settings.MARKET == "auto" else settings.MARKET
    url = settings.SIMULATOR_URL if venue == "simulator" else None
    return BinanceClient(url, url, clock=clock, timeout_s=4.0, retries=1)


def _verdict(path: Path) -> str | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document.get("venue") if isinstance(document, dict) else None
