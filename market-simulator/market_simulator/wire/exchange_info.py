"""exchangeInfo (binance-wire.md 8.3): what trades here, by which filters and limits."""

from collections.abc import Iterable
from typing import Any

from market_simulator.market import UNIT, SymbolInfo
from market_simulator.wire.limits import WEIGHT_PER_MINUTE
from market_simulator.wire.numbers import fixed8

MOST = 9_000_000


def exchange_info(now_ms: int, symbols: Iterable[SymbolInfo], permission_sets: bool, scale: int = 1) -> dict[str, Any]:
    """The answer of `/api/v3/exchangeInfo`."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms * scale,
        "rateLimits": [
            rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE),
            rate_limit("ORDERS", "SECOND", 10, 100),
            rate_limit("ORDERS", "DAY", 1, 200_000),
            rate_limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(info, permission_sets) for info in symbols],
        "sors": [],
    }


def rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    """One entry of `rateLimits`."""
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _symbol(info: SymbolInfo, permission_sets: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "symbol": info.symbol,
        "status": "TRADING",
        "baseAsset": info.base,
        "baseAssetPrecision": 8,
        "quoteAsset": info.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(info),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }
    if not permission_sets:
        del answer["permissionSets"]
    return answer


def _filters(info: SymbolInfo) -> list[dict[str, Any]]:
    tick, step = fixed8(info.tick_size), fixed8(info.step_size)
    lot = {"minQty": step, "maxQty": fixed8(MOST * UNIT), "stepSize": step}
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": fixed8(MOST * UNIT), "tickSize": tick},
        {"filterType": "LOT_SIZE", **lot},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", **lot, "minQty": fixed8(0), "stepSize": fixed8(0)},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5", "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5", "askMultiplierDown": "0.2", "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL", "minNotional": fixed8(5 * UNIT), "applyMinToMarket": True,
            "maxNotional": fixed8(MOST * UNIT), "applyMaxToMarket": False, "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]  # fmt: skip
