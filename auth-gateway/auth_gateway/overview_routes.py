"""The calls about all services together."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from flask import Response
from pydantic import AfterValidator, Field

from auth_gateway.descriptions import Ask, Descriptions
from auth_gateway.overview import MAX_SYMBOLS, health_of_all, one_description, prices
from auth_gateway.upstream import read_object
from shared.config import split_list
from shared.errors import Unavailable
from shared.openapi import build_document
from shared.service import Service
from shared.web.answers import json_answer
from shared.web.models import DataAnswer, Query
from shared.web.standard import docs_page, docs_script

AT_A_TIME = 8
MAX_BYTES = 1_000_000


def _symbols(value: str) -> str:
    symbols = split_list(value)
    if len(symbols) > MAX_SYMBOLS or not all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", symbol) for symbol in symbols):
        raise ValueError(f"must be at most {MAX_SYMBOLS} symbols by comma")
    return value


class PricesQuery(Query):
    """Which prices."""

    symbols: Annotated[str, Field(max_length=2000), AfterValidator(_symbols)] = ""


def add_overview_routes(service: Service, descriptions: Descriptions, services: list[str], ask_for: Ask) -> None:
    """Register them."""
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

    @service.route("GET", "/api/health", needs="open", answer=DataAnswer, summary="How every service is", quiet=True)
    def health() -> dict[str, Any]:
        return {"data": health_of_all(ask, each, services)}

    @service.route(
        "GET", "/api/market/prices", query=PricesQuery, answer=DataAnswer, quiet=True,
        summary="The newest prices of the default symbols, or of those named",
    )  # fmt: skip
    def market_prices(query: PricesQuery) -> dict[str, Any]:
        return {"data": prices(ask, each, [symbol.upper() for symbol in split_list(query.symbols)])}

    @service.route("GET", "/api/openapi.json", needs="open", summary="One description of every call of the fleet")
    def openapi() -> Response:
        health = service.health
        own = build_document(health.name, health.version, health.port, service.routes)
        return json_answer(one_description(own, descriptions, services))

    service.route(
        "GET", "/api/docs", needs="open", summary="A page to read and try them", content_type="text/html"
    )(docs_page)
    service.route(
        "GET", "/api/docs/docs.js", needs="open", summary="The page's script", content_type="text/javascript"
    )(docs_script)
