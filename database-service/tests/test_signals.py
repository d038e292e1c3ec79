"""Signals by themselves: symbols, ids, sameness, cursors."""

import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database_service.admission import Admission, names_asked
from database_service.cursors import MAX_NUMBER, decode_cursor, encode_cursor
from database_service.signals import Cursor, NewSignal, SignalFilter, Submission, content_of, normal_symbol, stored
from shared.clock import parse_time

pytestmark = pytest.mark.unit
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
moments = st.datetimes(datetime(2009, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
letters = [chr(n) for n in range(sys.maxunicode + 1) if chr(n).isalpha() or chr(n).isdecimal()]
symbols = st.text(st.sampled_from([*"ABCabc019_-/", *letters[::101]]), min_size=1, max_size=32)


def new(**fields: object) -> NewSignal:
    values = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.8, "price": 1.0, "timestamp": NOON} | fields
    return NewSignal(**values)  # type: ignore[arg-type]  # the tests name the fields


def test_every_letter_there_is_stays_one_allowed_letter_in_upper_case() -> None:
    for letter in letters:
        upper = normal_symbol(letter)
        assert len(upper) == 1
        assert normal_symbol(upper) == upper


@pytest.mark.parametrize("text", ["", "x" * 33, "A B", "A:B", "A~B", "A.B", "½", "e\u0301", "\ud800", "A\n"])
def test_other_characters_are_no_symbol(text: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        normal_symbol(text)


@given(symbols, moments)
def test_an_id_is_the_symbol_and_the_time_to_the_microsecond(symbol: str, moment: datetime) -> None:
    place = new(symbol=normal_symbol(symbol), timestamp=moment).place
    name, _, time = place.partition(":")
    assert name == normal_symbol(symbol)
    assert len(time) == 26
    assert parse_time(time) == moment


def test_the_same_moment_in_another_zone_is_the_same_place() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert new(timestamp=elsewhere).place == new().place


def test_the_order_of_fields_does_not_make_another_signal() -> None:
    assert new(metadata={"a": 1, "b": 2}).digest() == new(metadata={"b": 2, "a": 1}).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "ETH"}, {"signal_type": "SELL"}, {"confidence": 0.9}, {"price": 2.0}, {"strategy": "s"},
        {"bot_id": "b"}, {"timeframe": "1h"}, {"stop_loss": 1.0}, {"take_profit": 1.0}, {"leverage": 1.0},
        {"indicators": {}}, {"metadata": {}},
    ],
)  # fmt: skip
def test_any_other_content_makes_another_signal(change: dict[str, object]) -> None:
    assert new(**change).digest() != new().digest()


def test_id_and_time_are_not_content() -> None:
    assert new(signal_id="x", timestamp=NOON + timedelta(1)).digest() == new().digest()


leaves = st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
trees = st.dictionaries(st.text(), values)


@given(st.floats(1e-300, 1e300), moments, trees | st.none(), st.text() | st.none())
def test_a_stored_signal_says_what_the_new_one_said(
    price: float, moment: datetime, metadata: dict[str, object] | None, strategy: str | None
) -> None:
    signal = new(price=price, timestamp=moment, metadata=metadata, strategy=strategy)
    content = content_of(stored(signal, "id").document)
    assert content == (signal.digest(), moment)
    assert content.same_as(signal)


def test_free_names_cost_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewSignal, "digest", lambda _: pytest.fail("worked out"))
    submissions = [Submission(new(**fields)) for fields in ({}, {"symbol": "B"}, {"signal_id": "x"})]
    admission = Admission({}, {}).add_all(submissions, names_asked(submissions))
    assert [verdict.status for verdict in admission.verdicts] == ["stored"] * 3


@given(st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from(["A", "B"]), st.integers(0, 2))))
def test_each_content_at_a_place_has_exactly_one_id(wanted: list[tuple[float, str, int]]) -> None:
    submissions = [
        Submission(new(price=price, symbol=symbol, timestamp=NOON + timedelta(seconds=second)))
        for price, symbol, second in wanted
    ]
    admission = Admission({}, {}).add_all(submissions, names_asked(submissions))
    ids = {content: verdict.id for content, verdict in zip(wanted, admission.verdicts, strict=True)}
    assert len(set(ids.values())) == len(ids) == len(admission.signals)
    assert [ids[content] for content in wanted] == [verdict.id for verdict in admission.verdicts]


@given(moments, st.integers(0, MAX_NUMBER))
def test_a_cursor_survives_its_text(moment: datetime, number: int) -> None:
    cursor = Cursor(moment, number)
    assert decode_cursor(encode_cursor(cursor)) == cursor


@given(st.text(max_size=80))
def test_any_other_text_is_refused_or_a_cursor(text: str) -> None:
    try:
        cursor = decode_cursor(text)
    except ValueError:
        return
    assert encode_cursor(cursor) == text


def test_a_filter_includes_its_start_and_excludes_its_end() -> None:
    signal = stored(new(), "id")
    assert SignalFilter(start=NOON, end=NOON + timedelta(microseconds=1)).admits(signal)
    assert not SignalFilter(end=NOON).admits(signal)
