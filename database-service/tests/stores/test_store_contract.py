"""What every store must do alike, memory, Redis, SQLite and PostgreSQL; real servers, real files."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from database_service import admission
from database_service.batches import Batch, BatchRefused
from database_service.idempotency import Key, KeyName
from database_service.performance import TradeFilter
from database_service.signals import MAX_PORTION, Content, Cursor, SignalFilter, content_of
from database_service.storage import Store
from shared.errors import Conflict, InvalidInput

pytestmark = pytest.mark.integration
NOON = datetime(2025, 11, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ID = "BTCUSDT:2025-11-01T12:00:00.000000"
Make = Callable[..., Any]


def ids(store: Store, limit: int = 100, **wanted: Any) -> list[str]:
    page = store.history(SignalFilter(**wanted), limit)
    return [orjson.loads(document)["signal_id"] for document in page.documents]


def test_a_signal_is_read_back_as_it_was_stored(store: Store, signal: Make) -> None:
    metadata = {"huge": 1e308, "tiny": 5e-324, "big": 2**63, "texts": ["ç", "日本", "💥", "'; DROP TABLE signals; --"]}
    [verdict] = store.append([signal(price=1e308, metadata=metadata, stop_loss=5e-324)], NOON)
    assert (verdict.status, verdict.id) == ("stored", ID)
    document = orjson.loads(store.get(ID) or "")
    assert document == {
        "signal_id": ID, "symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 1e308,
        "timestamp": "2025-11-01T12:00:00.000000Z", "stop_loss": 5e-324, "metadata": metadata,
        "compliant": True, "violations": [],
    }  # fmt: skip


def test_an_unknown_id_is_none(store: Store) -> None:
    assert store.get("nobody") is None


def test_an_empty_text_is_not_none(store: Store, signal: Make) -> None:
    store.append([signal(bot_id="")], NOON)
    assert ids(store, bot_id="") == [ID]


def test_a_different_signal_at_the_same_place_gets_the_next_ordinal(store: Store, signal: Make) -> None:
    first = store.append([signal(price=1.0), signal(price=2.0)], NOON)
    second = store.append([signal(price=3.0)], NOON)
    assert [v.id for v in [*first, *second]] == [ID, f"{ID}~2", f"{ID}~3"]


def test_the_same_content_at_the_same_place_is_the_same_signal(store: Store, signal: Make) -> None:
    store.append([signal(price=1.0), signal(price=2.0)], NOON)
    again = store.append([signal(price=2.0), signal(price=1.0), signal(price=2.0)], NOON)
    assert [(v.status, v.id) for v in again] == [("duplicate", f"{ID}~2"), ("duplicate", ID), ("duplicate", f"{ID}~2")]
    assert store.counts().signals == 2


def test_a_clients_id_is_kept_and_refuses_another_body(store: Store, signal: Make) -> None:
    assert store.append([signal(signal_id="mine")], NOON)[0].id == "mine"
    assert store.append([signal(signal_id="mine")], NOON)[0].status == "duplicate"
    later = signal(signal_id="mine", timestamp=NOON + SECOND, timestamp_given=False)
    assert store.append([later], NOON)[0].status == "duplicate"
    for other in (signal(signal_id="mine", price=2.0), signal(signal_id="mine", timestamp=NOON + SECOND)):
        [verdict] = store.append([other], NOON)
        assert verdict.status == "refused"
        assert isinstance(verdict.error, InvalidInput)
        assert verdict.error.details[0]["field"] == "signal_id"
    assert store.counts().signals == 1


def test_a_clients_id_that_looks_like_a_place_is_gone_round(store: Store, signal: Make) -> None:
    store.append([signal(signal_id=ID, symbol="OTHER"), signal(signal_id=f"{ID}~2", symbol="OTHER")], NOON)
    assert store.append([signal()], NOON)[0].id == f"{ID}~3"


def test_one_refused_signal_does_not_touch_the_others(store: Store, signal: Make) -> None:
    verdicts = store.append([signal(signal_id="a"), signal(signal_id="a", price=2.0), signal(signal_id="b")], NOON)
    assert [v.status for v in verdicts] == ["stored", "refused", "stored"]
    assert sorted(ids(store)) == ["a", "b"]


def test_a_thousand_different_signals_at_one_place_all_get_their_own_id(store: Store, signal: Make) -> None:
    verdicts = store.append([signal(price=float(n + 1)) for n in range(1000)], NOON)
    assert len({v.id for v in verdicts}) == 1000
    assert verdicts[999].id == f"{ID}~1000"


def test_what_stands_at_a_busy_place_is_not_read_again(
    store: Store, signal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([signal(price=float(n + 1)) for n in range(100)], NOON)
    read: list[str] = []

    def noting(document: str) -> Content:
        read.append(document)
        return content_of(document)

    monkeypatch.setattr(admission, "content_of", noting)
    verdicts = store.append([signal(price=50.0), signal(price=500.0)], NOON)
    assert [(v.status, v.id) for v in verdicts] == [("duplicate", f"{ID}~50"), ("stored", f"{ID}~101")]
    assert len(read) <= 1


def test_a_batch_is_stored_with_its_key_or_not_at_all(store: Store, signal: Make) -> None:
    first, second, third = (signal(signal_id=name).signal for name in "abc")
    bad = InvalidInput.field("price", "is bad")
    key = Key(KeyName("/signals/batch", "k"), "a body")
    answer = store.append_batch(Batch([first, bad], key), NOON)
    assert store.append_batch(Batch([first, bad], key), NOON) == answer
    with pytest.raises(InvalidInput, match="another body"):
        store.append_batch(Batch([second], key._replace(body_hash="another")), NOON)
    with pytest.raises(BatchRefused):
        store.append_batch(Batch([second, bad], key._replace(name=KeyName("/signals/batch", "l")), atomic=True), NOON)
    after = orjson.loads(store.append_batch(Batch([third], key._replace(name=KeyName("/signals/batch", "l"))), NOON))
    assert (after["stored"], store.counts().signals) == (1, 2)
    assert ids(store) == ["c", "a"]


def test_a_key_gives_the_first_answer_again(store: Store, signal: Make) -> None:
    [first] = store.append([signal("k", timestamp_given=False)], NOON)
    [again] = store.append([signal("k", timestamp=NOON + SECOND, timestamp_given=False)], NOON + SECOND)
    assert (again.status, again.id) == ("replayed", first.id)
    assert store.counts().signals == 1


def test_a_key_with_another_body_is_refused(store: Store, signal: Make) -> None:
    store.append([signal("k")], NOON)
    [verdict] = store.append([signal("k", body_hash="another body", price=2.0)], NOON)
    assert verdict.error is not None
    assert verdict.error.details[0]["field"] == "Idempotency-Key"
    assert store.counts().signals == 1


def test_a_key_twice_in_one_list_stores_once(store: Store, signal: Make) -> None:
    verdicts = store.append([signal("k"), signal("k"), signal("k", body_hash="another body")], NOON)
    assert [v.status for v in verdicts] == ["stored", "replayed", "refused"]


def test_a_refused_signal_leaves_its_key_free(store: Store, signal: Make) -> None:
    store.append([signal(signal_id="mine")], NOON)
    assert store.append([signal("k", signal_id="mine", price=2.0)], NOON)[0].status == "refused"
    assert store.append([signal("k", body_hash="corrected", signal_id="other", price=2.0)], NOON)[0].status == "stored"


def test_a_key_is_kept_for_a_day(store: Store, signal: Make) -> None:
    store.append([signal("k")], NOON)
    day = NOON + timedelta(hours=24)
    store.append([signal("another", timestamp=day)], day)
    assert store.append([signal("k")], day + SECOND)[0].status == "replayed"


def test_a_hundred_identical_requests_at_once_store_one_row_with_like_answers(store: Store, signal: Make) -> None:
    with ThreadPoolExecutor(100) as pool:
        wanted = [signal("same", timestamp=NOON + n * SECOND, timestamp_given=False) for n in range(100)]
        verdicts = list(pool.map(lambda one: store.append([one], NOON)[0], wanted))
    assert len({v.id for v in verdicts}) == 1
    assert Counter(v.status for v in verdicts) == {"stored": 1, "replayed": 99}
    assert store.counts().signals == 1


def test_a_hundred_different_signals_at_one_place_at_once_all_get_their_own_id(store: Store, signal: Make) -> None:
    with ThreadPoolExecutor(20) as pool:
        verdicts = list(pool.map(lambda n: store.append([signal(price=n + 1.0)], NOON)[0], range(100)))
    assert {v.id for v in verdicts} == {ID, *(f"{ID}~{n}" for n in range(2, 101))}


def test_history_is_newest_first_whatever_the_order_of_arrival(store: Store, signal: Make) -> None:
    for minutes in (5, 1, 9, 3):
        store.append([signal(signal_id=str(minutes), timestamp=NOON + timedelta(minutes=minutes))], NOON)
    assert ids(store) == ["9", "5", "3", "1"]


def test_pages_follow_each_other_without_gap_or_repeat(store: Store, signal: Make) -> None:
    store.append([signal(price=n + 1.0, timestamp=NOON + SECOND * (n // 4)) for n in range(50)], NOON)
    whole, seen, cursor = ids(store), [], None
    for _ in range(8):
        page = store.history(SignalFilter(), 7, cursor)
        seen += [orjson.loads(document)["signal_id"] for document in page.documents]
        cursor = page.next
        if cursor is None:
            break
    assert seen == whole
    assert len(whole) == 50


def portions(store: Store, limit: int, **wanted: Any) -> list[bytes]:
    """The lines of every portion of an export."""
    found, cursor = list[bytes](), None
    for _ in range(100):
        portion = store.portion(SignalFilter(**wanted), limit, cursor)
        assert portion.complete
        found.append(portion.lines)
        cursor = portion.next
        if cursor is None:
            return found
    raise AssertionError("this export does not end")


@pytest.mark.parametrize("wanted", [{}, {"symbol": "BTCUSDT"}, {"strategy": "rsi"}, {"min_confidence": 0.1}])
@pytest.mark.parametrize("limit", [1, 7, 25, 50, 100])
def test_portions_are_history_whatever_the_order_of_arrival(
    store: Store, signal: Make, limit: int, wanted: dict[str, Any]
) -> None:
    """29 and 50 share no divisor: the signals come in all but the order of time, four at each moment."""
    moments = [NOON + SECOND * (n * 29 % 50 // 4) for n in range(50)]
    store.append([signal(price=n + 1.0, strategy="rsi", timestamp=at) for n, at in enumerate(moments)], NOON)
    found = b"".join(portions(store, limit, **wanted))
    assert found.decode().splitlines() == store.history(SignalFilter(), 100).documents
    assert found.endswith(b"\n")


def test_portions_of_nothing_are_one_and_empty(store: Store, signal: Make) -> None:
    store.append([signal()], NOON)
    assert portions(store, 10, symbol="NOBODY") == [b""]
    assert store.portion(SignalFilter(), 10, Cursor(NOON - SECOND, 1)).next is None


def test_a_portion_of_long_signals_is_bounded_in_bytes(store: Store, signal: Make) -> None:
    rows = [signal(timestamp=NOON + SECOND * n, metadata={"text": "ş" * 30_000}) for n in range(40)]
    store.append(rows, NOON)
    found = portions(store, 2_000)
    assert max(map(len, found)) <= MAX_PORTION + 1
    assert b"".join(found).decode().splitlines() == store.history(SignalFilter(), 100).documents


def test_a_signal_that_arrives_between_two_pages_disturbs_neither(store: Store, signal: Make) -> None:
    store.append([signal(signal_id=str(n), timestamp=NOON + n * SECOND) for n in range(4)], NOON)
    first = store.history(SignalFilter(), 2)
    store.append([signal(signal_id="new", timestamp=NOON + 60 * SECOND)], NOON)
    second = store.history(SignalFilter(), 2, first.next)
    assert [orjson.loads(d)["signal_id"] for d in second.documents] == ["1", "0"]
    assert second.next is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"symbol": "ETHUSDT"}, ["b"]),
        ({"signal_type": "SELL"}, ["c"]),
        ({"strategy": "rsi"}, ["d", "a"]),
        ({"bot_id": "bot-1"}, ["d"]),
        ({"start": NOON + SECOND}, ["d", "c", "b"]),
        ({"end": NOON + SECOND}, ["a"]),
        ({"start": NOON + SECOND, "end": NOON + 3 * SECOND}, ["c", "b"]),
        ({"min_confidence": 0.9}, ["d"]),
        ({"symbol": "BTCUSDT", "strategy": "rsi", "min_confidence": 0.1}, ["d", "a"]),
        ({"symbol": "nobody"}, []),
    ],
)
def test_filters_choose(store: Store, signal: Make, wanted: dict[str, Any], found: list[str]) -> None:
    store.append(
        [
            signal(signal_id="a", strategy="rsi"),
            signal(signal_id="b", symbol="ETHUSDT", timestamp=NOON + SECOND),
            signal(signal_id="c", signal_type="SELL", timestamp=NOON + 2 * SECOND),
            signal(signal_id="d", strategy="rsi", bot_id="bot-1", confidence=0.9, timestamp=NOON + 3 * SECOND),
        ],
        NOON,
    )
    assert ids(store, **wanted) == found


def test_moments_keep_their_microseconds(store: Store, signal: Make) -> None:
    for micros in (1, 999_999, 535_448):
        store.append([signal(timestamp=NOON.replace(microsecond=micros))], NOON)
    assert [one[-6:] for one in ids(store)] == ["999999", "535448", "000001"]


def test_trades_come_in_the_order_of_closing_with_exact_money(store: Store, trade: Make) -> None:
    store.track([trade(pnl="0.1", closed_at=NOON + SECOND), trade(pnl="0.2"), trade(pnl="-1e14")], NOON)
    lines = list(store.trades(TradeFilter()))
    assert [line.pnl for line in lines] == [Decimal("0.2"), Decimal("-1e14"), Decimal("0.1")]
    assert lines[0].closed_at == NOON
    assert store.counts().performance == 3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"strategy": "rsi"}, {"1", "2"}),
        ({"symbol": "ETHUSDT"}, {"2"}),
        ({"bot_id": "b"}, {"3"}),
        ({"start": NOON + SECOND}, {"2", "3"}),
        ({"end": NOON + 2 * SECOND}, {"1", "2"}),
        ({"strategy": "nobody"}, set()),
    ],
)
def test_trades_are_chosen(store: Store, trade: Make, wanted: dict[str, Any], found: set[str]) -> None:
    rows = [
        trade(pnl="1"),
        trade(pnl="2", symbol="ETHUSDT", closed_at=NOON + SECOND),
        trade(pnl="3", strategy="macd", bot_id="b", closed_at=NOON + 2 * SECOND),
    ]
    store.track(rows, NOON)
    assert {str(line.pnl) for line in store.trades(TradeFilter(**wanted))} == found


def test_a_trades_key_gives_the_first_answer_again_and_refuses_another_body(store: Store, trade: Make) -> None:
    [first, again] = store.track([trade("k"), trade("k")], NOON)
    [later] = store.track([trade("k")], NOON)
    assert (again.status, again.id) == (later.status, later.id) == ("replayed", first.id)
    assert store.track([trade("k", body_hash="another body")], NOON)[0].status == "refused"
    assert store.counts().performance == 1


def test_settings_are_versioned_and_a_stale_version_changes_nothing(store: Store) -> None:
    assert store.settings("ann") is None
    assert store.save_settings("ann", 0, '{"a":1}', NOON).version == 1
    assert store.save_settings("ann", 1, '{"a":2}', NOON).version == 2
    for stale in (0, 1, 3):
        with pytest.raises(Conflict) as conflict:
            store.save_settings("ann", stale, "{}", NOON)
        assert conflict.value.details[0]["field"] == "version"
    saved = store.settings("ann")
    assert saved is not None
    assert (saved.version, saved.document) == (2, '{"a":2}')
    assert store.settings("bob") is None


def test_of_many_editors_at_once_one_wins(store: Store) -> None:
    store.save_settings("ann", 0, "{}", NOON)

    def save(editor: int) -> bool:
        try:
            store.save_settings("ann", 1, f'{{"editor":{editor}}}', NOON)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(save, range(10))) == 1


def test_everything_outlives_a_restart_except_in_memory(
    open_store: Callable[[], Store], signal: Make, trade: Make
) -> None:
    first = open_store()
    first.append([signal("k"), signal(price=2.0)], NOON)
    first.track([trade("k", pnl="0.1")], NOON)
    first.save_settings("ann", 0, '{"a":1}', NOON)
    first.close()
    second = open_store()
    second.probe()
    if second.source == "memory":
        assert second.counts() == (0, 0)
        return
    assert second.counts() == (2, 1)
    assert ids(second) == [f"{ID}~2", ID]
    assert second.append([signal("k"), signal(price=2.0), signal(price=3.0)], NOON)[0].status == "replayed"
    assert ids(second) == [f"{ID}~3", f"{ID}~2", ID]
    assert [line.pnl for line in second.trades(TradeFilter())] == [Decimal("0.1")]
    saved = second.settings("ann")
    assert saved is not None
    assert saved.version == 1


def test_an_empty_list_is_nothing(store: Store) -> None:
    assert store.append([], NOON) == []
    assert store.track([], NOON) == []
