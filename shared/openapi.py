"""The OpenAPI 3.1 document of a service, made from the very declarations its routes are registered with."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

Need = Literal["open", "read", "write", "admin"]
REF = "#/components/schemas/{model}"
PATH_PARAMETER = re.compile(r"<(?:[a-z]+:)?(\w+)>")


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One call: what it takes, what it answers, how often a client may make it (calls a minute; None: no limit).

    `other_types` are the content types that it answers in on request. With `max_rows` the body is a list of so many
    `body`s at most (`shared.web.rows`); the handler then gets `Rows`. A `hot` call also goes by the lane
    (`shared.web.lane`); its function must need no Flask and return a dict, or `Later` one. `quick` decodes a body
    faster than its model does, to an object with the same attributes, or says None where only the model can tell;
    `quick_rows` does so for a whole body of rows (`shared.web.rows`). A `quiet` call is asked for every second by a
    page or a machine: its successes leave no log line. `needs` says what whoever comes through the gateway must be
    allowed to do; unsaid, GET reads and everything else writes. `guard` gets the headers before the body is looked at;
    what it returns is the handler's `who`.
    """

    method: str
    path: str
    summary: str
    body: type[BaseModel] | None = None
    quick: Callable[[bytes], Any] | None = None
    quick_rows: Callable[[bytes, bool], list[Any] | None] | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    limit: int | None = None
    max_body: int = 1_000_000
    max_rows: int | None = None
    hot: bool = False
    quiet: bool = False
    needs: Need | None = None
    guard: Callable[[Any], Any] | None = None
    content_type: str = "application/json"
    other_types: tuple[str, ...] = ()
    errors: tuple[int, ...] = field(default=())


class ErrorDetail(BaseModel):
    """One wrong field."""

    field: str
    message: str


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str
    message: str
    details: list[ErrorDetail]


class ErrorAnswer(BaseModel):
    """Every error's shape."""

    success: bool
    error: ErrorBody


def build_document(title: str, version: str, port: int, routes: Sequence[RouteSpec]) -> dict[str, Any]:
    """The document for these routes; deterministic, so that it can be compared."""
    models = {model for route in routes for model in (route.body, route.query, route.headers, route.answer) if model}
    wanted = sorted(models | {ErrorAnswer}, key=lambda model: model.__name__)
    modes = [(model, "serialization" if _is_answer(model, routes) else "validation") for model in wanted]
    refs, definitions = models_json_schema(modes, ref_template=REF)  # type: ignore[arg-type]  # the mode is a Literal
    schemas = definitions.get("$defs", {})
    by_model = {model: refs[(model, mode)] for model, mode in modes}  # type: ignore[index]  # as above
    paths: dict[str, Any] = {}
    for route in routes:
        operations = paths.setdefault(PATH_PARAMETER.sub(r"{\1}", route.path), {})
        operations[route.method.lower()] = _operation(route, by_model, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Educational, on paper only: no call here places a real order.",
        },
        "servers": [{"url": "./"}],  # beside this document, wherever a gateway puts that
        "paths": paths,
        "components": {"schemas": schemas},
        "x-port": port,
    }


def _is_answer(model: type[BaseModel], routes: Sequence[RouteSpec]) -> bool:
    return model is ErrorAnswer or any(route.answer is model for route in routes)


def _operation(route: RouteSpec, by_model: dict[Any, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = by_model[route.answer] if route.answer else {"type": "object"}
    if route.content_type != "application/json":
        schema = {"type": "string"}
    kinds = (route.content_type, *route.other_types)
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method}_{route.path}").strip("_").lower(),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in PATH_PARAMETER.findall(route.path)),
            *_parameters("query", route.query, by_model, schemas),
            *_parameters("header", route.headers, by_model, schemas),
        ],
        "responses": {
            "200": {"description": "success", "content": {kind: {"schema": schema} for kind in kinds}},
            **{str(status): _error(by_model) for status in _statuses(route)},
        },
    }
    operation["x-needs"] = route.needs or ("read" if route.method == "GET" else "write")
    if route.limit is not None:
        operation["x-limit-per-minute"] = route.limit
    if route.body:
        operation["requestBody"] = {"required": True, "content": _body_kinds(route, by_model[route.body])}
    return operation


def _body_kinds(route: RouteSpec, schema: Any) -> dict[str, Any]:
    if route.max_rows is None:
        return {"application/json": {"schema": schema}}
    rows = {"type": "array", "items": schema, "minItems": 1, "maxItems": route.max_rows}
    lines = {"type": "string", "description": "the array's objects, one a line"}
    return {"application/json": {"schema": rows}, "application/x-ndjson": {"schema": lines}}


def _statuses(route: RouteSpec) -> list[int]:
    """The error statuses a route can answer, from what it declares."""
    statuses = {400, 403, 404, 405, *route.errors}
    if route.body:
        statuses |= {413, 415, 422}
    if route.query or route.headers or PATH_PARAMETER.search(route.path):
        statuses |= {422}
    if route.limit is not None:
        statuses |= {429}
    return sorted(statuses | {503})


def _parameters(
    place: str, model: type[BaseModel] | None, by_model: dict[Any, Any], schemas: dict[str, Any]
) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = schemas[by_model[model]["$ref"].rsplit("/", 1)[1]]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": place,
            "required": name in required,
            "schema": part,
            "description": part.get("description", ""),
        }
        for name, part in schema["properties"].items()
    ]


def _error(by_model: dict[Any, Any]) -> dict[str, Any]:
    return {"description": "error", "content": {"application/json": {"schema": by_model[ErrorAnswer]}}}
