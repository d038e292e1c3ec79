"""What the quick decoder takes, the model takes and understands alike; what it leaves is left to the model."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database_service import bodies
from database_service.plain_bodies import PlainSignal, plain_signal, plain_signals
from shared.errors import FleetError
from shared.web.parsing import body_as

pytestmark = pytest.mark.unit
BASE = '"symbol":"btc","signal_type":"BUY","confidence":0.5,"price":1'
FIELDS = PlainSignal.__struct_fields__
numbers = st.integers() | st.floats(allow_nan=False) | st.sampled_from([0, 1, -1, 3, 0.65, 1000, 1001, 5e-324, 1e308])
texts = st.text(max_size=70) | st.sampled_from(["BTCUSDT", "BUY", "2025-11-01T10:47:01.535448Z", "2025-11-01", "save"])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=30,
)
good: dict[str, Any] = {
    "symbol": "BTC", "signal_type": "BUY", "confidence": 0.5, "price": 1, "timestamp": "2025-11-01T10:47:01+03:00",
    "strategy": "rsi", "bot_id": "b", "timeframe": "1h", "stop_loss": 0.9, "take_profit": 2, "leverage": 3,
    "indicators": {"rsi": 30}, "metadata": {"deep": [{"er": None}]}, "signal_id": "my-1",
}  # fmt: skip
bodies_of_some = st.fixed_dictionaries(
    {name: st.just(good[name]) | values for name in FIELDS[:4]},
    optional={name: st.just(good.get(name)) | values for name in (*FIELDS[4:], "other")},
)


def by_model(data: bytes) -> bodies.SaveBody | None:
    try:
        model: bodies.SaveBody = body_as(bodies.SaveBody, data)
    except FleetError:
        return None
    return model


def assert_agrees(data: bytes) -> bool:
    """The quick one takes it, and then as the model does."""
    plain = plain_signal(data)
    if plain is None:
        return False
    model = by_model(data)
    assert model is not None, data
    for name in FIELDS:
        assert repr(getattr(plain, name)) == repr(getattr(model, name)), name
    return True


@given(bodies_of_some)
def test_whatever_it_takes_the_model_takes_alike(body: dict[str, Any]) -> None:
    assert_agrees(json.dumps(body).encode())
    assert_agrees(json.dumps(body, ensure_ascii=False).encode(errors="replace"))


def test_a_plain_body_with_every_field_is_taken() -> None:
    assert assert_agrees(json.dumps(good).encode())


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ("", True), (',"metadata":null', True), (',"metadata":{"a":-0,"b":1E5}', True), (',"price":2', True),
        (',"metadata":{"a":1,"a":2}', True), (',"price":123456789012345678901234567890', True),
        (',"metadata":{"a":18446744073709551616}', True), (',"strategy":"\x7f"', True), (',"strategy":"\\/"', True),
        (',"metadata":{"a":1e400}', False), (',"metadata":{"a":"\\u0000"}', False), (',"strategy":"\\ud800"', False),
        (',"metadata":' + '{"a":' * 21 + "1" + "}" * 22, False), (',"metadata":[]', False), (',"price":01', False),
        (f',"metadata":{{"a":"{"x" * 20_000}"}}', False), (',"signal_type":"BUY\\n"', False), (',"x":1', False),
        (',"signal_id":"save"', False), (',"signal_id":"a\\n"', False), (',"timestamp":5', False),
        (',"price":0', False), (',"symbol":"\u0131"', False),
        (',"symbol":""', False), (',"price":true', False), (',"strategy":"\t"', False),
    ],
)  # fmt: skip
def test_odd_bodies_are_taken_or_left(more: str, taken: bool) -> None:
    assert assert_agrees(f"{{{BASE}{more}}}".encode()) == taken


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b'{"symbol":"\xff"}', b"\xef\xbb\xbf{}", b"{} {}"])
def test_what_is_no_object_is_left(data: bytes) -> None:
    assert plain_signal(data) is None


@pytest.mark.parametrize("depth", [50, 500, 990, 5_000, 100_000])
def test_whatever_is_nested_too_deep_is_left_to_the_model_which_refuses_it(depth: int) -> None:
    data = f'{{{BASE},"metadata":{{"a":{"[" * depth}{"]" * depth}}}}}'.encode()
    assert plain_signal(data) is None
    assert by_model(data) is None
    assert plain_signals(b"[" + data + b"]", False) is None
    assert plain_signals(data + b"\n" + data, True) is None


def test_rows_are_taken_together_or_left_together() -> None:
    row = f"{{{BASE}}}"
    assert [s.symbol for s in plain_signals(f"[{row},{row}]".encode(), False) or ()] == ["BTC", "BTC"]
    assert [s.symbol for s in plain_signals(f"{row}\n{row}\r\n".encode(), True) or ()] == ["BTC", "BTC"]
    assert plain_signals(f'[{row},{{"symbol":1}}]'.encode(), False) is None
    assert plain_signals(f"{row}\n[]".encode(), True) is None
