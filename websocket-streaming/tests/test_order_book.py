"""The order book: exact, sorted, and honest about how far it reaches."""

import gzip
from decimal import Decimal
from itertools import islice

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.fleet import ROOT
from websocket_streaming import order_book
from websocket_streaming.order_book import MAX_LEVELS, SHALLOW, BadLevel, OrderBook, Side, number, scaled
from websocket_streaming.ticks import Depth, Levels, Snapshot


def plain_text(value: Decimal) -> str:
    return format(value, "f")


def values(levels: Levels) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in levels]


class PlainSide:
    """What `Side` does, in the plainest way and by decimals."""

    def __init__(self, sign: int, levels: Levels, is_cut: bool, max_levels: int = MAX_LEVELS) -> None:
        self._sign, self._max_levels = sign, max_levels
        self._border: Decimal | None = None
        self._held: dict[Decimal, Decimal] = {}  # by price, signed so that the lowest is the best
        self.apply(levels)
        if is_cut and self._held:
            self._border = max(self._held)

    def apply(self, levels: Levels) -> list[tuple[Decimal, Decimal]]:
        changed = []
        for price, quantity in values(levels):
            key = price * self._sign
            if self._border is not None and key > self._border:
                continue
            if quantity:
                self._held[key] = quantity
            elif self._held.pop(key, None) is None:
                continue
            changed.append((price, quantity))
        return changed + self._shorten() if len(self._held) > self._max_levels else changed

    def _shorten(self) -> list[tuple[Decimal, Decimal]]:
        keys = sorted(self._held)
        self._border = keys[-self._max_levels // 4 - 1]
        gone = keys[-self._max_levels // 4 :]
        for key in gone:
            del self._held[key]
        return [(key * self._sign, Decimal(0)) for key in gone]

    def best(self) -> list[tuple[Decimal, Decimal]]:
        return [(key * self._sign, self._held[key]) for key in sorted(self._held)]


PRICES = st.decimals(min_value="0.00000001", max_value="999999", places=8).map(plain_text)


def test_best_levels_come_first_with_the_exchanges_own_texts() -> None:
    snapshot = Snapshot(7, [("10.00", "1.50"), ("9.90", "2")], [("10.10", "3"), ("10.20", "4")])
    book = OrderBook(snapshot, 100)
    bids, asks = book.apply(Depth(1, 8, 9, [("9.95", "5"), ("9.90", "0.000")], [("10.05", "1"), ("77", "0")]))
    assert (bids, asks) == ([("9.95", "5"), ("9.90", "0.000")], [("10.05", "1")]), "an unknown level can't be deleted"
    assert book.bids.best(5) == [("10.00", "1.50"), ("9.95", "5")]
    assert book.asks.best(2) == [("10.05", "1"), ("10.10", "3")]
    assert (book.update_id, book.is_crossed) == (9, False)


def test_the_same_price_in_another_form_is_the_same_level() -> None:
    side = Side(-1, [("10.0", "1")], is_cut=False)
    changed = side.apply([("10.00000000", "2"), ("9", "0"), ("010.50", "3")])
    assert values(changed) == values([("10", "2"), ("10.5", "3")])
    assert values(side.best(5)) == values([("10.5", "3"), ("10", "2")])
    assert values(side.apply([("10.5000", "0.00")])) == values([("10.5", "0")])
    assert values(side.best(1)) == values([("10", "2")])


def test_a_crossed_book_is_told() -> None:
    book = OrderBook(Snapshot(1, [("10", "1")], [("11", "1")]), 100)
    book.apply(Depth(1, 2, 2, [("11", "1")], []))
    assert book.is_crossed


def test_levels_beyond_a_cut_snapshot_are_left_out_and_nearing_the_border_is_told() -> None:
    levels = [(str(1000 - n), "1") for n in range(SHALLOW)]
    side = Side(-1, levels, is_cut=True)
    assert side.apply([(str(1000 - SHALLOW), "1"), ("1001", "1")]) == [("1001", "1")]
    shallow = [side.is_shallow]
    side.apply([("1001", "0"), ("1000", "0")])
    assert [*shallow, side.is_shallow] == [False, True]
    whole = Side(-1, levels[:3], is_cut=False)
    assert whole.apply([("1", "1")]) == [("1", "1")]
    assert not whole.is_shallow


def test_a_side_is_bounded_and_says_which_levels_it_let_go() -> None:
    side = Side(1, [(str(n), "1") for n in range(1, MAX_LEVELS + 1)], is_cut=False)
    changed = side.apply([("0.5", "1")])
    assert changed[0] == ("0.5", "1")
    assert {quantity for _, quantity in changed[1:]} == {"0"}
    assert len(side) == MAX_LEVELS + 1 - len(changed[1:])
    assert side.apply([(str(MAX_LEVELS + 5), "1")]) == [], "beyond the new border"


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1e5", "nan", "1_0", " 1", "1.2.3", "\u0661", "1" * 30, "0." + "1" * 11]
)
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(BadLevel):
        scaled(text)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "x"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(BadLevel):
        Side(-1, [("1", text)], is_cut=False)


@given(PRICES | st.decimals(min_value=0, max_value="99999999999999", places=8).map(plain_text))
def test_a_number_leaves_with_exactly_the_exchanges_value(text: str) -> None:
    assert Decimal(orjson.dumps(number(text)).decode()) == Decimal(text)
    assert Decimal(scaled(text)) == Decimal(text).scaleb(10)


@given(st.lists(st.tuples(PRICES, st.sampled_from(["0", "0.00", "1", "2.5"])), max_size=60))
def test_a_side_equals_a_plain_dictionary(levels: list[tuple[str, str]]) -> None:
    plain: dict[Decimal, str] = {}
    bids, asks = Side(-1, [], is_cut=False), Side(1, [], is_cut=False)
    for price, quantity in levels:
        bids.apply([(price, quantity)])
        asks.apply([(price, quantity)])
        plain[Decimal(price)] = quantity
    held = sorted((price, quantity) for price, quantity in plain.items() if Decimal(quantity))
    assert [(Decimal(price), quantity) for price, quantity in asks.best(100)] == held
    assert [(Decimal(price), quantity) for price, quantity in bids.best(100)] == held[::-1]


# Few prices, so that they meet, around a power of ten, so that their texts differ in length; written in many ways.
TEXTS = st.tuples(st.integers(980, 1020), st.sampled_from(["", "0", "00", "000"]), st.sampled_from(["", "0"])).map(
    lambda made: f"{made[2]}{made[0] / 100:.{'2' if made[0] % 10 else '1'}f}{made[1]}"
)
USUAL_TEXTS = st.integers(980, 1020).map(lambda hundredths: f"{hundredths / 100:.2f}000000")
QUANTITIES = st.sampled_from(["0.00000000", "1.50000000", "0.00000000", "20.00000000", "0.10000000"])
ODD_QUANTITIES = QUANTITIES | st.sampled_from(["0", "0.0", "-0", "0e3", "3", "1e2", "1_0", " 7"])


def updates(prices: st.SearchStrategy[str], quantities: st.SearchStrategy[str]) -> st.SearchStrategy[list[Levels]]:
    update = st.lists(st.tuples(prices, quantities), max_size=12, unique_by=lambda level: Decimal(level[0]))
    return st.lists(update, max_size=12)


@example([[("9.81000000", "1.50000000")], [("9.80000000", "1.50000000")]], -1, True)
@given(updates(USUAL_TEXTS, QUANTITIES) | updates(TEXTS, ODD_QUANTITIES), st.sampled_from([-1, 1]), st.booleans())
def test_a_side_does_as_the_plain_one_in_any_form_of_numbers(told: list[Levels], sign: int, is_cut: bool) -> None:
    with pytest.MonkeyPatch.context() as few:
        for name, value in {"NEAR": 2, "MANY_NEAR": 5, "MAX_LEVELS": 16, "SAMPLE": 4}.items():
            few.setattr(order_book, name, value)
        first = told[0] if told else []
        side, plain = Side(sign, first, is_cut), PlainSide(sign, first, is_cut, 16)
        for levels in told:
            assert sorted(values(side.apply(levels))) == sorted(plain.apply(levels))
            expected = plain.best()
            assert values(side.best(100)) == expected
            assert values(side.best(1)) == expected[:1]
            assert len(side) == len(expected)
            assert side.best_key == (scaled(side.best(1)[0][0]) * sign if expected else None)


# Of one length: with a price twice and forms mixed, nobody could tell which was last, and the update is refused.
ONE_LENGTH = st.integers(980, 999).map(lambda hundredths: f"{hundredths / 100:.2f}000000")


@given(updates(ONE_LENGTH, QUANTITIES), st.lists(st.tuples(ONE_LENGTH, QUANTITIES), max_size=40))
def test_of_a_price_told_twice_in_one_update_the_last_word_counts(told: list[Levels], levels: Levels) -> None:
    told = [[("9.50000000", "1.00000000")], *told]
    side, client = Side(1, [level for update in told for level in update], is_cut=False), PlainSide(1, [], False)
    client.apply(side.best(100))
    client.apply(side.apply(levels))
    assert sorted(values(side.best(100))) == client.best()
    once = PlainSide(1, [level for update in [*told, levels] for level in update], is_cut=False)
    assert client.best() == once.best()


def test_a_price_told_twice_in_two_forms_is_refused() -> None:
    side = Side(-1, [("10.00", "1.0")], is_cut=False)
    with pytest.raises(BadLevel):
        side.apply([("10.00", "0"), ("10", "2.0")])


@pytest.mark.parametrize(
    "text", ["nan", "-1.00", "", "x", "1,2", "inf", "1e18", "[1]", "true", "null", "1.0.0", "\ud800"]
)
@pytest.mark.parametrize("place", [0, 1])
def test_nonsense_among_usual_levels_is_refused(text: str, place: int) -> None:
    side = Side(1, [("10.00", "1.00")], is_cut=False)
    bad = ("11.00", text) if place else (text, "1.00")
    with pytest.raises(BadLevel):
        side.apply([("10.50", "2.00"), bad, ("10.00", "0.00")])


@pytest.mark.parametrize("name", ["spot-btcusdt", "usdm-btcusdt"])
def test_a_side_does_as_the_plain_one_on_the_recorded_market(name: str) -> None:
    with gzip.open(ROOT / "market-simulator" / "tape" / f"binance-{name}_20240808.txt.gz") as lines:
        documents = [orjson.loads(line.partition(b" ")[2]) for line in islice(lines, 3000)]
    snapshot = next(document for document in documents if "lastUpdateId" in document)
    told = [data for document in documents if (data := document.get("data", {})).get("e") == "depthUpdate"][:250]
    for sign, whole, field in ((-1, "bids", "b"), (1, "asks", "a")):
        for is_cut in (True, False):
            first = [tuple(level) for level in snapshot[whole]]
            side, plain = Side(sign, first, is_cut), PlainSide(sign, first, is_cut)
            for turn, update in enumerate(told):
                levels = [tuple(level) for level in update[field]]
                assert values(side.apply(levels)) == plain.apply(levels)
                if turn % 10 == 0:
                    expected = plain.best()
                    assert values(side.best(len(expected) + 1)) == expected
                    assert values(side.best(1)) == expected[:1]
