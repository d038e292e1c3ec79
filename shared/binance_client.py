"""Binance's public REST: spot and USDT-M futures, market data only, no key (binance-spot-api-docs, rest-api.md).

    BinanceClient().ticker_24h("BTCUSDT")

Answers are the exchange's own JSON: prices and quantities exact strings, ids and times (ms) integers. The exchange's
budget is kept: a call that would exceed it is refused here, and after a 429 or 418 none goes out until it may.
"""

import math
import threading
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import orjson

from shared.clock import Clock, SystemClock
from shared.config import config
from shared.errors import FleetError, InvalidInput, NotFound, RateLimited, Unavailable
from shared.http_client import RETRIES, TOTAL_TIMEOUT_S, Answer, HttpClient

Market = Literal["spot", "futures"]

WEIGHT_LIMIT: dict[Market, int] = {"spot": 6_000, "futures": 2_400}  # a minute and IP, until exchangeInfo says other
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
DEFAULT_PAUSE_S = {429: 60.0, 418: 120.0}  # if the answer lacks Retry-After: the window; the shortest ban
TOO_MUCH_WEIGHT, BAD_SYMBOL = -1003, -1121
PREFIX: dict[Market, str] = {"spot": "/api/v3", "futures": "/fapi/v1"}


class _Listed(msgspec.Struct):
    symbol: str
    status: str


class _Listing(msgspec.Struct):
    symbols: list[_Listed]


class WeightBudget:
    """What one IP may still ask of one market within this minute, as the exchange counts it. Thread-safe."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self.used = 0
        self._clock = clock
        self._window_ends = -math.inf
        self._guessed = True  # until an answer tells where the exchange's minute ends
        self._closed_until = -math.inf
        self._closed_by: type[FleetError] = RateLimited
        self._lock = threading.Lock()

    def spend(self, weight: int) -> None:
        """Count a call that is about to go out. Raises RateLimited or (banned) Unavailable when it must not."""
        with self._lock:
            now = self._clock.monotonic()
            if now < self._closed_until:
                raise self._closed_by("the exchange asked for a pause", retry_after_s=self._closed_until - now)
            self._roll(now)
            if self.used + weight > self.limit:
                raise RateLimited("the weight of this minute is used up", retry_after_s=self._window_ends - now)
            self.used += weight

    def learn(self, used: int, seconds_left: float | None) -> None:
        """What an answer says: weight used in its minute, and how long that minute still lasts (None: not said)."""
        with self._lock:
            now = self._clock.monotonic()
            self._roll(now)
            ends = self._window_ends if seconds_left is None else now + seconds_left
            if not self._guessed and ends < self._window_ends - 30:
                return  # of the minute before: it was overtaken by an answer of this one
            is_new = not self._guessed and ends > self._window_ends + 30
            # Within a minute the count only grows, so the highest is the newest.
            self.used = used if is_new else max(self.used, used)
            self._window_ends, self._guessed = ends, self._guessed and seconds_left is None

    def pause(self, status: int, seconds: float) -> FleetError:
        """Let nothing out for `seconds`; returns the error that says so."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)
            self._closed_by = Unavailable if status == 418 else RateLimited
        return self._closed_by(f"the exchange answers {status}", retry_after_s=seconds)

    def _roll(self, now: float) -> None:
        if now >= self._window_ends:
            self.used, self._window_ends, self._guessed = 0, now + 60, True


class BinanceClient:
    """Public market data. Thread-safe; opens nothing before the first call, URLs come from the settings by then.

    Every call takes `market` ("spot" or "futures"), may block for about 30 s (three attempts), and raises
    NotFound (no such symbol), InvalidInput (the exchange refuses a parameter), RateLimited or Unavailable (both say
    when to retry).
    """

    def __init__(
        self,
        base_url: str | None = None,
        futures_base_url: str | None = None,
        *,
        clock: Clock | None = None,
        timeout_s: float = TOTAL_TIMEOUT_S,
        retries: int = RETRIES,
    ) -> None:
        self._urls: dict[Market, str | None] = {"spot": base_url, "futures": futures_base_url}
        self._clock = clock or SystemClock()
        self._timeout_s, self._retries = timeout_s, retries
        self._http: dict[Market, HttpClient] = {}
        self._lock = threading.Lock()
        self.budgets = {market: WeightBudget(limit, self._clock) for market, limit in WEIGHT_LIMIT.items()}

    def ping(self, market: Market = "spot") -> None:
        """Return if the exchange answers."""
        self._call(market, "/ping", 1)

    def time(self, market: Market = "spot") -> int:
        """The exchange's time in ms."""
        return int(self._call(market, "/time", 1)["serverTime"])

    def exchange_info(self, symbol: str | None = None, market: Market = "spot") -> Any:
        """Symbols with their filters, and the limits in force (which this client then keeps)."""
        # Futures know no `symbol` here and always list all.
        asked = _upper(symbol) if market == "spot" else None
        info = self._call(market, "/exchangeInfo", 20 if market == "spot" else 1, symbol=asked)
        for limit in info.get("rateLimits", []):
            if (limit["rateLimitType"], limit["interval"], limit["intervalNum"]) == ("REQUEST_WEIGHT", "MINUTE", 1):
                self.budgets[market].limit = int(limit["limit"])
        return info

    def trading_symbols(self, market: Market = "spot") -> frozenset[str]:
        """Every symbol that trades now. Reads nothing else of exchangeInfo: parsed whole, spot's costs 66 MB."""
        shorter = {"showPermissionSets": "false", "symbolStatus": "TRADING"} if market == "spot" else {}
        answer = self._ask(market, "/exchangeInfo", 20 if market == "spot" else 1, **shorter)
        try:
            listing = msgspec.json.decode(answer.body, type=_Listing)
        except msgspec.DecodeError as error:
            raise Unavailable(f"the exchange's list of symbols can't be read: {error}") from None
        return frozenset(entry.symbol for entry in listing.symbols if entry.status == "TRADING")

    def ticker_24h(self, symbol: str | Sequence[str] | None = None, market: Market = "spot") -> Any:
        """The last 24 h of a symbol; a list of them for several symbols (spot alone) or for all (None)."""
        weight = _list_weight(symbol, one=2, all_=80) if market == "spot" else (1 if symbol else 40)
        return self._call(market, "/ticker/24hr", weight, **_symbols(symbol, market))

    def ticker_price(self, symbol: str | Sequence[str] | None = None, market: Market = "spot") -> Any:
        """The last price of a symbol; a list for several (spot alone) or all."""
        if market == "futures":
            weight, path = (1 if symbol else 2), "/fapi/v2/ticker/price"  # v1 is deprecated
            return self._call(market, path, weight, **_symbols(symbol, market))
        return self._call(market, "/ticker/price", 2 if isinstance(symbol, str) else 4, **_symbols(symbol, market))

    def book_ticker(self, symbol: str | Sequence[str] | None = None, market: Market = "spot") -> Any:
        """The best bid and ask of a symbol; a list for several (spot alone) or all."""
        weight = (2 if isinstance(symbol, str) else 4) if market == "spot" else (2 if symbol else 5)
        return self._call(market, "/ticker/bookTicker", weight, **_symbols(symbol, market))

    def depth(self, symbol: str, limit: int = 100, market: Market = "spot") -> Any:
        """A snapshot of the order book; futures take one of 5 10 20 50 100 500 1000, spot 1 to 5000."""
        spot = [(100, 5), (500, 25), (1000, 50), (5000, 250)]
        futures = [(50, 2), (100, 5), (500, 10), (1000, 20)]
        weight = _tier(limit, spot if market == "spot" else futures)
        return self._call(market, "/depth", weight, symbol=_upper(symbol), limit=limit)

    def trades(self, symbol: str, limit: int = 500, market: Market = "spot") -> Any:
        """The newest trades, oldest first."""
        return self._call(market, "/trades", 25 if market == "spot" else 5, symbol=_upper(symbol), limit=limit)

    def historical_trades(
        self, symbol: str, *, from_id: int | None = None, limit: int = 500, market: Market = "spot"
    ) -> Any:
        """Trades from an id on, oldest first; without it the newest. Some mirrors of spot don't serve it (404)."""
        weight = 25 if market == "spot" else 200
        return self._call(
            market, "/historicalTrades", weight, symbol=_upper(symbol), fromId=from_id, limit=limit
        )

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        market: Market = "spot",
    ) -> Any:
        """Trades of one taker at one price, oldest first; bounds inclusive, none of them: the newest."""
        weight = 4 if market == "spot" else 20
        span = {"fromId": from_id, "startTime": start_ms, "endTime": end_ms}
        return self._call(market, "/aggTrades", weight, symbol=_upper(symbol), limit=limit, **span)

    def klines(
        self,
        symbol: str,
        interval: str,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int = 500,
        market: Market = "spot",
    ) -> Any:
        """Rows of 12, oldest first; the last is the bar still forming. Bounds inclusive, on the open time."""
        weight = 2 if market == "spot" else _tier(limit, [(99, 1), (499, 2), (1000, 5), (1500, 10)])
        span = {"interval": interval, "startTime": start_ms, "endTime": end_ms}
        return self._call(market, "/klines", weight, symbol=_upper(symbol), limit=limit, **span)

    def close(self) -> None:
        """Close the kept connections."""
        for http in self._http.values():
            http.close()

    def _call(self, market: Market, path: str, weight: int, **params: Any) -> Any:
        return self._ask(market, path, weight, **params).json()

    def _ask(self, market: Market, path: str, weight: int, **params: Any) -> Answer:
        budget = self.budgets[market]
        budget.spend(weight)
        full_path = path if path.startswith("/fapi") else PREFIX[market] + path
        answer = self._client(market).get(full_path, params)
        if full_path != "/fapi/v2/ticker/price":  # its count is documented as inaccurate
            _learn(budget, answer)
        if answer.status in (418, 429):
            pause_s = answer.retry_after_s or DEFAULT_PAUSE_S[answer.status]
            raise budget.pause(answer.status, pause_s)
        if answer.status >= 300:
            raise _refusal(answer)
        return answer

    def _client(self, market: Market) -> HttpClient:
        with self._lock:
            if market not in self._http:
                configured = config.BINANCE_REST_URL if market == "spot" else config.BINANCE_FUTURES_REST_URL
                url = self._urls[market] or configured
                self._http[market] = HttpClient(
                    url, timeout_s=self._timeout_s, retries=self._retries, clock=self._clock
                )
            return self._http[market]


def _learn(budget: WeightBudget, answer: Answer) -> None:
    used = answer.headers.get(WEIGHT_HEADER, "")
    if not used.isdecimal():
        return
    # The window ends on the exchange's minute: `Date: Sat, 01 Nov 2025 12:00:42 GMT` has 18 s left.
    second = answer.headers.get("Date", "")[23:25]
    budget.learn(int(used), 60.0 - int(second) if second.isdecimal() else None)


def _refusal(answer: Answer) -> FleetError:
    """An error body is `{"code": -1121, "msg": "Invalid symbol."}`; a firewall's 403 is a page of HTML."""
    document = answer.json()
    if not isinstance(document, dict) or "code" not in document:
        return Unavailable(f"the exchange answers {answer.status}")
    text = f"the exchange refuses: {document.get('msg')} ({document['code']})"
    if document["code"] == BAD_SYMBOL:
        return NotFound(text)
    if document["code"] == TOO_MUCH_WEIGHT:
        return RateLimited(text, retry_after_s=answer.retry_after_s or DEFAULT_PAUSE_S[429])
    return InvalidInput(text)


def _upper(symbol: str | None) -> str | None:
    """REST wants upper case; lower is refused as an illegal character (-1100)."""
    return None if symbol is None else symbol.upper()


def _symbols(symbol: str | Sequence[str] | None, market: Market) -> dict[str, Any]:
    if symbol is None or isinstance(symbol, str):
        return {"symbol": _upper(symbol)}
    if market == "futures":
        raise InvalidInput.field("symbol", "futures take one symbol or all")
    return {"symbols": orjson.dumps([name.upper() for name in symbol]).decode()}


def _list_weight(symbol: str | Sequence[str] | None, *, one: int, all_: int) -> int:
    if symbol is None:
        return all_
    return one if isinstance(symbol, str) else _tier(len(symbol), [(20, 2), (100, 40), (10_000, all_)])


def _tier(size: int, tiers: list[tuple[int, int]]) -> int:
    """The weight of the first tier that holds `size`; of the last for what the exchange clamps or refuses."""
    return next((weight for most, weight in tiers if size <= most), tiers[-1][1])
