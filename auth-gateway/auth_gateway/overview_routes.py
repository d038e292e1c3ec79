"""The calls about all services together."""

import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import orjson
from cachetools import LRUCache, TTLCache
from flask import Response, g, request
from pydantic import AfterValidator, Field

from auth_gateway.bodies import Credentials
from auth_gateway.descriptions import Ask as AskFor
from auth_gateway.descriptions import Descriptions
from auth_gateway.overview import MAX_SYMBOLS, Ask, Each, health_of_all, one_description, prices
from auth_gateway.passage import Call, Passage
from auth_gateway.upstream import read_object
from shared.config import split_list
from shared.errors import Unavailable
from shared.openapi import build_document
from shared.rate_limiter import client_address
from shared.service import Service
from shared.web.models import DataAnswer, Query
from shared.web.standard import docs_page, docs_script

STREAMING = "websocket-streaming"
AT_A_TIME = 8
HEALTH_S = 1.0  # how long one look at all services serves
MAX_BYTES = 1_000_000


def _symbols(value: str) -> str:
    symbols = split_list(value)
    if len(symbols) > MAX_SYMBOLS or not all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", symbol) for symbol in symbols):
        raise ValueError(f"must be at most {MAX_SYMBOLS} symbols by comma")
    return value


class PricesQuery(Query):
    """Which prices."""

    symbols: Annotated[str, Field(max_length=2000), AfterValidator(_symbols)] = ""


def add_overview_routes(
    service: Service, descriptions: Descriptions, services: list[str], ask_for: AskFor, passage: Passage, limit: int
) -> None:
    """Register them. `limit`: calls a minute of each, since one asks many services."""
    pool = ThreadPoolExecutor(AT_A_TIME, "overview")  # greenlets, where gevent has patched the process
    service.on_stop(lambda: pool.shutdown(wait=False, cancel_futures=True))

    def each(function: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        return list(pool.map(function, names))

    def ask(name: str, path: str) -> dict[str, Any]:
        answer = ask_for(name, path)
        document = read_object(answer.body, MAX_BYTES)
        if answer.status not in (200, 503) or document.get("success") is False:
            raise Unavailable(f"{name} answers {answer.status}")
        return document

    _add_health(service, ask, each, services, limit)
    _add_prices(service, ask, each, passage, limit)
    _add_description(service, descriptions, services, limit)


def _add_health(service: Service, ask: Ask, each: Each, services: list[str], limit: int) -> None:
    fresh: TTLCache[str, dict[str, Any]] = TTLCache(1, HEALTH_S, service.clock.monotonic)
    looking = threading.Lock()

    @service.route(
        "GET", "/api/health", needs="open", limit=limit, answer=DataAnswer, summary="How every service is", quiet=True
    )
    def health() -> dict[str, Any]:
        with looking:
            if (found := fresh.get("health")) is None:
                found = fresh["health"] = health_of_all(ask, each, services)
        return {"data": found}


def _add_prices(service: Service, ask: Ask, each: Each, passage: Passage, limit: int) -> None:
    @service.route(
        "GET", "/api/market/prices", limit=limit, query=PricesQuery, headers=Credentials, answer=DataAnswer, quiet=True,
        errors=(401, 403), summary="The newest prices of the default symbols, or of those named",
    )  # fmt: skip
    def market_prices(query: PricesQuery, headers: Credentials) -> dict[str, Any]:
        address = client_address(request.environ)
        named = {"symbol": query.symbols}
        call = Call(STREAMING, "GET", "/prices", named, b"", address, headers.authorization, headers.api_key)
        passage.judge(call, g.setdefault("limit_headers", {}))
        return {"data": prices(ask, each, [symbol.upper() for symbol in split_list(query.symbols)])}


def _add_description(service: Service, descriptions: Descriptions, services: list[str], limit: int) -> None:
    described: LRUCache[int, bytes] = LRUCache(1)  # it takes 90 ms to make

    @service.route(
        "GET", "/api/openapi.json", needs="open", limit=limit, summary="One description of every call of the fleet"
    )
    def openapi() -> Response:
        for name in services:
            descriptions.document(name)
        now = descriptions.changes
        if now not in described:
            of = service.health
            own = build_document(of.name, of.version, of.port, service.routes)
            described[now] = orjson.dumps(one_description(own, descriptions, services))
        return Response(described[now], mimetype="application/json")

    service.route(
        "GET", "/api/docs", needs="open", summary="A page to read and try them", content_type="text/html"
    )(docs_page)
    service.route(
        "GET", "/api/docs/docs.js", needs="open", summary="The page's script", content_type="text/javascript"
    )(docs_script)
