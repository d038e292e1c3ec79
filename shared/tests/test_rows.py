"""Bodies of many rows: arrays and lines, gzip within bounds, and one bad row never spoils its neighbours."""

import gzip
import json
import zlib
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from shared.errors import FleetError, InvalidInput, MalformedInput, TooLarge, UnsupportedMediaType
from shared.web.models import Body
from shared.web.rows import PORTION, Rows, read_rows

PACKED = gzip.compress(b"[]", mtime=0)  # no time inside: every worker must name its tests alike

pytestmark = pytest.mark.unit
app = Flask("test")
NDJSON = "application/x-ndjson"


class Order(Body):
    """A row as services declare them."""

    symbol: str = Field(min_length=1)
    price: float = Field(gt=0)


def read(
    data: bytes, content_type: str = "application/json", coding: str = "", max_bytes: int = 1000, max_rows: int = 5
) -> Rows[Order]:
    headers = {"Content-Encoding": coding} if coding else {}
    with app.test_request_context("/", method="POST", data=data, content_type=content_type, headers=headers):
        return read_rows(request, Order, max_bytes, max_rows)


def prices(rows: Rows[Order]) -> list[Any]:
    """Each row's price, or the code and wrong fields of its error."""
    return [
        (value.code, [detail["field"] for detail in value.details]) if isinstance(value, FleetError) else value.price
        for value in rows.values
    ]


def order(price: Any = 1, **other: Any) -> dict[str, Any]:
    return {"symbol": "X", "price": price} | other


def text(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


def lines(*rows: Any) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows)


def test_an_array_and_lines_say_the_same() -> None:
    rows = [order(1), order(2)]
    assert read(text(*rows)) == read(lines(*rows), NDJSON) == read(lines(*rows) + b"\r\n\n", NDJSON + "; charset=utf-8")


@pytest.mark.parametrize(("kind", "write"), [("application/json", text), (NDJSON, lines)])
def test_each_row_is_checked_by_itself_and_names_its_field(kind: str, write: Any) -> None:
    rows = read(write(order(1), order(0), order("2"), order(3, more=1), 7), kind)
    assert prices(rows) == [
        1.0,
        ("validation_error", ["price"]),
        ("validation_error", ["price"]),
        ("validation_error", ["more"]),
        ("validation_error", ["row"]),
    ]


def test_a_line_that_is_no_json_is_that_rows_error() -> None:
    rows = read(lines(order(1)) + b'\n{"price": NaN}\n\n' + lines(order(2)), NDJSON)
    assert prices(rows) == [1.0, ("malformed", []), 2.0]
    assert rows.parse()[1].strip() == '{"price": NaN}'


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_is_inflated_several_members_too(coding: str) -> None:
    packed = gzip.compress(text(order(1))[:9]) + gzip.compress(text(order(1))[9:])
    assert prices(read(packed, coding=coding)) == [1.0]


def test_a_bomb_is_refused_without_being_inflated() -> None:
    packed = gzip.compress(gzip.compress(b" " * 50_000_000))
    with pytest.raises(TooLarge):
        read(gzip.decompress(packed), coding="gzip", max_bytes=100_000)


def test_members_without_end_are_refused() -> None:
    with pytest.raises(MalformedInput):
        read(gzip.compress(b"") * 1000, coding="gzip", max_bytes=100_000)


@pytest.mark.parametrize(
    "data", [b"", b"[]", PACKED[:-4], zlib.compress(b"[]"), PACKED + b"more"]
)
def test_what_is_no_gzip_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInput):
        read(data, coding="gzip")


@pytest.mark.parametrize(
    ("data", "kind", "error"),
    [
        (text(*[order()] * 6), "application/json", TooLarge),
        (lines(*[order()] * 6), NDJSON, TooLarge),
        (b"\n" * 500, NDJSON, TooLarge),
        (text(order(note="x" * 1000)), "application/json", TooLarge),
        (text(), "application/json", InvalidInput),
        (b"\n\n", NDJSON, InvalidInput),
        (b"", NDJSON, InvalidInput),
        (b"{}", "application/json", InvalidInput),
        (b"", "application/json", MalformedInput),
        (b"[1,", "application/json", MalformedInput),
        (b"[]", "text/plain", UnsupportedMediaType),
        (b"[]", "", UnsupportedMediaType),
    ],
)
def test_what_is_wrong_with_the_whole_is_said_once(data: bytes, kind: str, error: type[FleetError]) -> None:
    with pytest.raises(error):
        read(data, kind)


def test_another_coding_is_unsupported() -> None:
    with pytest.raises(UnsupportedMediaType):
        read(text(order()), coding="br")


def test_many_rows_keep_their_order() -> None:
    count = 3 * PORTION
    wanted = [order(n + 1) for n in range(count)]
    for data, kind in ((text(*wanted), "application/json"), (lines(*wanted), NDJSON)):
        assert prices(read(data, kind, max_bytes=10**6, max_rows=count)) == [float(n + 1) for n in range(count)]


@given(st.binary(max_size=200), st.sampled_from(["application/json", NDJSON]), st.sampled_from(["", "gzip"]))
def test_any_bytes_become_rows_or_an_error_of_the_contract(data: bytes, kind: str, coding: str) -> None:
    try:
        rows = read(gzip.compress(data) if coding else data, kind, coding)
    except (MalformedInput, InvalidInput, TooLarge):
        return
    assert len(rows.values) == len(rows.parse())
