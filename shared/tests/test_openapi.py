"""The OpenAPI document is 3.1, complete, and made from the routes' own declarations."""

import re
from typing import Any

import jsonschema_rs
import pytest
from pydantic import Field

from shared.openapi import RouteSpec, build_document
from shared.web.models import Answer, Body, Headers, Query

pytestmark = pytest.mark.unit

REF = "#/components/schemas/"


class Leg(Body):
    """A part of the body, to be referred to."""

    price: float


class SaveBody(Body):
    """What is saved."""

    symbol: str = Field(max_length=32, description="the market")
    legs: list[Leg] = Field(default_factory=list)


class Filter(Query):
    """What is asked for."""

    symbol: str = Field(description="the market")
    limit: int = Field(100, le=1000)


class Keys(Headers):
    """The header that names a write."""

    key: str | None = Field(None, alias="Idempotency-Key")


class Saved(Answer):
    """What comes back."""

    signal_id: str


ROUTES = [
    RouteSpec("POST", "/signals/save", "Save", body=SaveBody, headers=Keys, answer=Saved, limit=100, errors=(409,)),
    RouteSpec("GET", "/signals/<signal_id>", "One", query=Filter, answer=Saved),
    RouteSpec("PUT", "/signals/<path:signal_id>/part/<int:number>", "Part", body=SaveBody),
    RouteSpec("GET", "/metrics", "Metrics", content_type="text/plain"),
    RouteSpec("POST", "/signals/batch", "Batch", body=SaveBody, max_rows=10),
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document("Test", "1.0.0", 5099, ROUTES)


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [ref for value in part.values() for ref in references(value)]
    return [ref for value in part for ref in references(value)] if isinstance(part, list) else []


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): operation for path, item in document["paths"].items() for method, operation in item.items()}


def test_it_has_the_structure_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= document["info"].keys()
    for (method, path), operation in operations(document).items():
        assert method in {"get", "put", "post", "delete", "patch"}
        assert path.startswith("/")
        in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)
        assert all({"name", "in", "required", "schema"} <= parameter.keys() for parameter in operation["parameters"])
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status)
            assert response["description"]


def test_every_schema_is_json_schema_2020_12(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {REF + name for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    assert REF + "Leg" in references(document)


def test_operation_ids_are_unique_and_plain(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9_]+", one) for one in ids)


def test_a_body_is_described_by_its_model(document: dict[str, Any]) -> None:
    body = operations(document)["post", "/signals/save"]["requestBody"]
    assert body == {"required": True, "content": {"application/json": {"schema": {"$ref": REF + "SaveBody"}}}}
    schema = document["components"]["schemas"]["SaveBody"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["symbol"]


def test_a_body_of_rows_is_described_in_both_its_kinds(document: dict[str, Any]) -> None:
    content = operations(document)["post", "/signals/batch"]["requestBody"]["content"]
    rows = {"type": "array", "items": {"$ref": REF + "SaveBody"}, "minItems": 1, "maxItems": 10}
    assert content["application/json"] == {"schema": rows}
    assert content["application/x-ndjson"]["schema"]["type"] == "string"


def test_query_and_headers_become_parameters_under_their_own_names(document: dict[str, Any]) -> None:
    found = operations(document)
    one = {p["name"]: p for p in found["get", "/signals/{signal_id}"]["parameters"]}
    assert [(name, p["in"], p["required"]) for name, p in one.items()] == [
        ("signal_id", "path", True), ("symbol", "query", True), ("limit", "query", False),
    ]  # fmt: skip
    assert one["symbol"]["description"] == "the market"
    save = found["post", "/signals/save"]["parameters"]
    assert [(p["name"], p["in"]) for p in save] == [("Idempotency-Key", "header")]


def test_errors_follow_from_what_a_route_declares(document: dict[str, Any]) -> None:
    found = operations(document)
    assert set(found["post", "/signals/save"]["responses"]) == {
        "200", "400", "403", "404", "405", "409", "413", "415", "422", "429", "503",
    }  # fmt: skip
    assert set(found["get", "/metrics"]["responses"]) == {"200", "400", "403", "404", "405", "503"}
    error = found["get", "/metrics"]["responses"]["404"]["content"]["application/json"]["schema"]
    assert error == {"$ref": REF + "ErrorAnswer"}


def test_a_limit_and_another_content_type_are_shown(document: dict[str, Any]) -> None:
    found = operations(document)
    assert found["post", "/signals/save"]["x-limit-per-minute"] == 100
    assert list(found["get", "/metrics"]["responses"]["200"]["content"]) == ["text/plain"]


def test_it_is_the_same_each_time(document: dict[str, Any]) -> None:
    assert build_document("Test", "1.0.0", 5099, ROUTES) == document
