"""What is said of all services together: their health, their prices, one description of every call."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from auth_gateway.descriptions import Descriptions
from shared.errors import FleetError, Unavailable

MAX_SYMBOLS = 50
Ask = Callable[[str, str], dict[str, Any]]  # (service, path) -> its document; raises FleetError
Each = Callable[[Callable[[str], Any], Iterable[str]], list[Any]]  # a function over names, side by side
SCHEMAS = "#/components/schemas/"


def health_of_all(ask: Ask, each: Each, services: Sequence[str]) -> dict[str, Any]:
    """State of each service (`healthy`, `degraded`, `unhealthy` or `down`) and of the whole."""

    def one(name: str) -> dict[str, Any]:
        try:
            said = ask(name, "/health")
        except FleetError as error:
            return {"status": "down", "detail": error.message}
        return {key: said.get(key) for key in ("status", "version", "uptime", "uptime_seconds", "dependencies")}

    found = dict(zip(services, each(one, services), strict=True))
    well = all(state["status"] == "healthy" for state in found.values())
    return {"status": "healthy" if well else "degraded", "services": found}


def prices(ask: Ask, each: Each, symbols: Sequence[str]) -> dict[str, Any]:
    """The newest price of each symbol (the stream's default ones if none is named) and which are missing."""
    wanted = symbols or _default_symbols(ask)

    def one(symbol: str) -> dict[str, Any] | None:
        try:
            said = ask("websocket-streaming", f"/price/{symbol}")
            return {**said["data"], "source": said["source"], "age_ms": said["age_ms"]}
        except (FleetError, KeyError, TypeError):
            return None

    found = dict(zip(wanted, each(one, wanted), strict=True))
    missing = [symbol for symbol, price in found.items() if price is None]
    return {"prices": [price for price in found.values() if price is not None], "missing": missing}


def _default_symbols(ask: Ask) -> list[str]:
    said = ask("websocket-streaming", "/symbols").get("data")
    found = said.get("default_symbols") if isinstance(said, dict) else None
    if not isinstance(found, list) or not all(isinstance(symbol, str) for symbol in found):
        raise Unavailable("websocket-streaming names no symbols")
    return found[:MAX_SYMBOLS]


def one_description(own: Mapping[str, Any], descriptions: Descriptions, services: Iterable[str]) -> dict[str, Any]:
    """The OpenAPI document of the whole fleet: the gateway's own calls, and each service's below /api/<service>."""
    paths, schemas = dict(own["paths"]), dict(own["components"]["schemas"])
    for name in services:
        document = descriptions.document(name)
        if document is None:
            continue
        # Two services may name a model alike.
        renamed = json.loads(json.dumps(document).replace(f'"{SCHEMAS}', f'"{SCHEMAS}{name}.'))
        for path, operations in renamed["paths"].items():
            tagged = {
                method: {**operation, "tags": [name], "operationId": f"{name}_{operation['operationId']}"}
                for method, operation in operations.items()
            }
            paths[f"/api/{name}{path}"] = tagged
        schemas |= {f"{name}.{model}": schema for model, schema in renamed["components"]["schemas"].items()}
    info = {**own["info"], "title": "Trading fleet"}
    return {**own, "info": info, "servers": [{"url": "/"}], "paths": paths, "components": {"schemas": schemas}}
