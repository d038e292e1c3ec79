"""exchangeInfo of USDT-M futures (binance-wire.md 8.3 and 9): what trades there, by which filters and limits."""

from collections.abc import Iterable
from typing import Any

from market_simulator.futures.market import FuturesInfo
from market_simulator.market import UNIT
from market_simulator.wire.exchange_info import rate_limit
from market_simulator.wire.limits import FUTURES_WEIGHT_PER_MINUTE
from market_simulator.wire.numbers import padded

NEVER_MS = 4_133_404_800_000  # a perpetual's delivery date: 2100-12-25
MOST_TICKS = 10**7
QUOTES = ("USDT",)


def futures_info(now_ms: int, contracts: Iterable[FuturesInfo]) -> dict[str, Any]:
    """The answer of `/fapi/v1/exchangeInfo`; without contracts also `/dapi/v1/exchangeInfo`'s."""
    symbols = [_symbol(contract) for contract in contracts]
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            rate_limit("REQUEST_WEIGHT", "MINUTE", 1, FUTURES_WEIGHT_PER_MINUTE),
            rate_limit("ORDERS", "MINUTE", 1, 1200),
            rate_limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in QUOTES if symbols
        ],
        "symbols": symbols,
    }


def _symbol(contract: FuturesInfo) -> dict[str, Any]:
    return {
        "symbol": contract.symbol,
        "pair": contract.symbol,
        "contractType": contract.contract_type,
        "deliveryDate": NEVER_MS,
        "onboardDate": contract.onboard_ms,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": contract.base,
        "quoteAsset": contract.quote,
        "marginAsset": contract.quote,
        "pricePrecision": contract.price_precision,
        "quantityPrecision": contract.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": padded(contract.percent_price, 2),
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(contract),
        "orderTypes": [
            "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip


def _filters(contract: FuturesInfo) -> list[dict[str, Any]]:
    tick = padded(contract.tick_size, contract.price_precision)
    step = padded(contract.step_size, contract.quantity_precision)
    most_price = padded(contract.tick_size * MOST_TICKS, contract.price_precision)

    def lot(kind: str, most: int) -> dict[str, Any]:
        most_quantity = padded(most, contract.quantity_precision)
        return {"filterType": kind, "minQty": step, "maxQty": most_quantity, "stepSize": step}

    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": most_price, "tickSize": tick},
        lot("LOT_SIZE", contract.most_quantity),
        lot("MARKET_LOT_SIZE", contract.most_market_quantity),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": padded(contract.least_notional, 0)},
        {
            "filterType": "PERCENT_PRICE", "multiplierDecimal": "4",
            "multiplierUp": padded(UNIT + contract.percent_price, 4),
            "multiplierDown": padded(UNIT - contract.percent_price, 4),
        },
    ]  # fmt: skip
