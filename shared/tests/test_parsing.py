"""Whatever bytes a client sends become a value or an error of the contract, never another exception."""

import json
from typing import Annotated, Any

import orjson
import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from shared.errors import InvalidInput, MalformedInput, TooLarge, UnsupportedMediaType
from shared.web.models import Body, Headers, Query, Shape
from shared.web.parsing import MAX_DEPTH, MAX_DETAILS, parse_json, read_body, read_headers, read_query

pytestmark = pytest.mark.unit

app = Flask("test")


class Order(Body):
    """A body as services declare them."""

    symbol: str = Field(min_length=1, max_length=32)
    price: float = Field(gt=0)
    count: int = 1
    notes: dict[str, Any] = Field(default_factory=dict)
    levels: list[float] = Field(default_factory=list)
    side: Annotated[str, Shape("^(UP|DOWN)$", "must be UP or DOWN")] = "UP"


class Page(Query):
    """A query as services declare them."""

    symbol: str | None = None
    limit: int = Field(100, ge=1, le=1000)
    minimum: float | None = None


class Keys(Headers):
    """Headers as services declare them."""

    key: str | None = Field(None, alias="Idempotency-Key", max_length=8)


def body(data: bytes, content_type: str = "application/json", max_bytes: int = 1000) -> Order:
    with app.test_request_context("/", method="POST", data=data, content_type=content_type):
        order: Order = read_body(request, Order, max_bytes)
        return order


def query(text: str) -> Page:
    """As servers hand it over (PEP 3333): each byte a character, encoded or not."""
    with app.test_request_context("/", environ_overrides={"QUERY_STRING": text.encode().decode("latin-1")}):
        return read_query(request, Page)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ORDERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("symbol", "price", "count", "notes", "levels", "x\x00"), VALUES)
)


@settings(max_examples=500)
@given(st.binary())
def test_any_bytes_give_a_value_or_an_error_of_the_contract(data: bytes) -> None:
    try:
        parse_json(data)
    except MalformedInput as error:
        orjson.dumps(error.message)


@settings(max_examples=500)
@given(ORDERS | VALUES)
def test_any_document_gives_a_body_or_an_error_that_can_be_sent(document: Any) -> None:
    try:
        assert isinstance(body(json.dumps(document).encode(), max_bytes=1_000_000), Order)
    except (MalformedInput, InvalidInput) as error:
        orjson.dumps([error.message, error.details])


@settings(max_examples=500)
@given(st.binary() | st.text().map(str.encode))
def test_any_query_gives_a_value_or_an_error_that_can_be_sent(raw: bytes) -> None:
    try:
        with app.test_request_context("/", environ_overrides={"QUERY_STRING": raw.decode("latin-1")}):
            assert isinstance(read_query(request, Page), Page)
    except (MalformedInput, InvalidInput) as error:
        orjson.dumps([error.message, error.details])


def test_a_query_that_is_not_utf_8_is_malformed() -> None:
    overrides = {"QUERY_STRING": "symbol=\xff"}
    with app.test_request_context("/", environ_overrides=overrides), pytest.raises(MalformedInput, match="UTF-8"):
        read_query(request, Page)


def test_a_good_body_becomes_its_model() -> None:
    order = body(b'{"symbol":"BTCUSDT","price":110000}')
    assert (order.symbol, order.price, order.count) == ("BTCUSDT", 110000.0, 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"NaN", b'{"price": NaN}', b'{"price": Infinity}', b'{"price": 1e999}', b'{"symbol": "\\ud800"}',
     b'{"symbol": "\\u0000"}', b'{"\\u0000": 1}', b'{"notes": {"a": ["\\u0000"]}}', b'"\xff"', b"{'a': 1}",
     b"[" * 100_000, b"\x00", b'{"a": 1,}', b'{"a": 01}', b"// no\n{}", b"\xef\xbb\xbf{}"],
    ids=lambda data: repr(data[:24]),
)  # fmt: skip
def test_what_no_reader_should_accept_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInput):
        parse_json(data)


def test_what_is_malformed_is_shown_by_line_and_column() -> None:
    with pytest.raises(MalformedInput, match=r"line 2, column 12"):
        parse_json(b'{\n  "price": x}')


def test_nesting_is_allowed_up_to_its_bound() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        with pytest.raises(MalformedInput, match="nested more than 64 deep"):
            parse_json(opening * (MAX_DEPTH + 1) + b"1" + closing * (MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ["\\\\u0000", "u0000"])
def test_what_only_looks_like_nul_passes(text: str) -> None:
    assert parse_json(f'"{text}"'.encode()) == text.replace("\\\\", "\\")


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1e400", "-1e400"])
def test_a_number_past_every_type_is_refused_or_read_as_the_nearest(number: str) -> None:
    try:
        assert body(f'{{"symbol": "A", "price": {number}}}'.encode()).price == float(number) < 1e300
    except MalformedInput:
        assert "e400" in number


@pytest.mark.parametrize(
    ("document", "field", "message"),
    [
        ({"symbol": "A"}, "price", "is required"),
        ({"symbol": "A", "price": 1, "colour": 1}, "colour", "is not known here"),
        ({"symbol": "A", "price": "1"}, "price", "must be a valid number"),
        ({"symbol": "A", "price": True}, "price", "must be a valid number"),
        ({"symbol": "A", "price": None}, "price", "must be a valid number"),
        ({"symbol": "A", "price": 0}, "price", "must be greater than 0"),
        ({"symbol": 7, "price": 1}, "symbol", "must be a valid string"),
        ({"symbol": "A", "price": 1, "count": 1.5}, "count", "must be a valid integer"),
        ({"symbol": "A", "price": 1, "levels": [1, "2"]}, "levels.1", "must be a valid number"),
        ({"symbol": "", "price": 1}, "symbol", "must have at least 1 character"),
        ({"symbol": "A", "price": 1, "notes": []}, "notes", "must be a JSON object"),
        ({"symbol": "A", "price": 1, "side": "up"}, "side", "must be UP or DOWN"),
        ({"symbol": "A", "price": 1, "side": 7}, "side", "must be UP or DOWN"),
    ],
)
def test_what_is_not_acceptable_is_named_by_its_field(document: object, field: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        body(json.dumps(document).encode())
    (detail,) = refused.value.details
    assert detail["field"] == field
    assert message in detail["message"]


def test_a_shape_stands_in_the_description_as_its_pattern() -> None:
    assert Order.model_json_schema()["properties"]["side"]["pattern"] == "^(UP|DOWN)$"


def test_every_wrong_field_is_named_up_to_a_bound() -> None:
    with pytest.raises(InvalidInput) as refused:
        body(json.dumps({"levels": ["x"] * 100, "symbol": "", "price": -1}).encode())
    assert len(refused.value.details) == MAX_DETAILS
    assert {"symbol", "price"} <= {detail["field"] for detail in refused.value.details}


@pytest.mark.parametrize("data", [b"[]", b'"text"', b"1", b"null"])
def test_a_body_that_is_no_object_is_not_acceptable(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="body: must be a JSON object"):
        body(data)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_that_is_not_sent_as_json_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        body(b'{"symbol":"A","price":1}', content_type)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/a+json"])
def test_json_is_read_whatever_its_parameters(content_type: str) -> None:
    assert body(b'{"symbol":"A","price":1}', content_type).price == 1


def test_a_body_over_its_bound_is_too_large_before_it_is_read() -> None:
    with pytest.raises(TooLarge, match="over 1,000 bytes"):
        body(b"x" * 1001, "text/plain")


def test_query_texts_are_converted() -> None:
    page = query("symbol=BTC&limit=5&minimum=0.5")
    assert (page.symbol, page.limit, page.minimum) == ("BTC", 5, 0.5)


def test_an_empty_query_value_counts_as_not_given() -> None:
    assert query("symbol=&limit=").limit == 100


@pytest.mark.parametrize(
    ("text", "field"),
    [("limit=5&limit=6", "limit"), ("colour=1", "colour"), ("limit=x", "limit"), ("limit=1001", "limit"),
     ("minimum=nan", "minimum"), ("minimum=inf", "minimum"), ("symbol=%00", "symbol"), ("%00=1", "query"),
     ("limit=" + "9" * 5000, "limit")],
)  # fmt: skip
def test_a_wrong_query_is_named_by_its_field(text: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        query(text)
    assert refused.value.details[0]["field"] == field


def test_only_the_declared_headers_are_read() -> None:
    with app.test_request_context("/", headers={"Idempotency-Key": "k-1", "X-Other": "1"}):
        assert read_headers(request, Keys).key == "k-1"
    with app.test_request_context("/"):
        assert read_headers(request, Keys).key is None
    with app.test_request_context("/", headers={"Idempotency-Key": "x" * 9}), pytest.raises(InvalidInput):
        read_headers(request, Keys)
