"""The exchange's procedure for a local order book, on made events and on the recorded market."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.fleet import ROOT
from websocket_streaming.book_sync import BookSync
from websocket_streaming.ticks import Depth, Snapshot

TAPE = ROOT / "market-simulator" / "tape"


def spot(first: int, last: int, bid: str = "10") -> Depth:
    return Depth(1, first, last, [(bid, str(last))], [])


def futures(previous: int, first: int, last: int) -> Depth:
    return Depth(1, first, last, [("10", str(last))], [], previous)


def snapshot(id: int) -> Snapshot:
    return Snapshot(id, [("10", "1")], [("11", "1")])


def quantity(sync: BookSync) -> str:
    assert sync.book is not None
    return sync.book.bids.best(1)[0][1]


def test_updates_wait_for_the_snapshot_and_old_ones_are_dropped() -> None:
    sync = BookSync("spot", 1000)
    for depth in (spot(1, 5), spot(6, 8), spot(9, 12)):
        assert sync.on_depth(depth) is None
    assert sync.on_snapshot(snapshot(7))
    assert (sync.synced, quantity(sync)) == (True, "12")


def test_a_snapshot_that_falls_exactly_between_two_updates_is_right() -> None:
    sync = BookSync("spot", 1000)
    sync.on_depth(spot(6, 8))
    assert sync.on_snapshot(snapshot(5))
    assert sync.on_depth(spot(9, 9)) == ([("10", "9")], [])


def test_a_snapshot_older_than_what_waits_is_refused_and_the_next_one_taken() -> None:
    sync = BookSync("spot", 1000)
    sync.on_depth(spot(6, 8))
    assert not sync.on_snapshot(snapshot(4))
    assert not sync.synced
    assert sync.on_snapshot(snapshot(6))


def test_repeats_are_ignored_and_updates_that_overlap_are_taken() -> None:
    sync = BookSync("spot", 1000)
    assert sync.on_snapshot(snapshot(5))
    assert sync.on_depth(spot(6, 8)) is not None
    assert sync.on_depth(spot(6, 8)) is None
    assert sync.on_depth(spot(7, 10)) is not None
    assert sync.synced


@pytest.mark.parametrize(
    ("market", "hole"), [("spot", spot(8, 9)), ("futures", futures(7, 8, 9)), ("futures", futures(5, 8, 9))]
)
def test_a_hole_loses_the_book_until_a_snapshot_covers_it(market: str, hole: Depth) -> None:
    sync = BookSync(market, 1000)
    assert sync.on_snapshot(snapshot(5))
    assert sync.on_depth(Depth(1, 6, 6, [("10", "6")], [], 5)) is not None
    assert sync.on_depth(hole) is None
    assert (sync.synced, quantity(sync)) == (False, "6"), "the last whole book, known to be old"
    assert sync.on_snapshot(snapshot(8))
    assert (sync.synced, quantity(sync)) == (True, "9")


def test_swapped_updates_are_put_in_order_while_they_wait() -> None:
    sync = BookSync("spot", 1000)
    for depth in (spot(9, 12), spot(6, 8)):
        sync.on_depth(depth)
    assert sync.on_snapshot(snapshot(5))
    assert quantity(sync) == "12"


def test_a_crossed_book_is_lost_and_never_shown() -> None:
    sync = BookSync("spot", 1000)
    assert sync.on_snapshot(snapshot(5))
    assert sync.on_depth(spot(6, 6, bid="12")) is None
    assert (sync.synced, sync.book) == (False, None)
    crossed = BookSync("spot", 1000)
    assert not crossed.on_snapshot(Snapshot(5, [("12", "1")], [("11", "1")]))


def test_a_price_that_jumps_past_the_known_levels_loses_the_book_and_nothing_of_it_is_shown() -> None:
    sync = BookSync("spot", 2)
    assert sync.on_snapshot(Snapshot(5, [("10", "1"), ("9", "1")], [("11", "1"), ("12", "1")]))
    gone = [("10", "0"), ("9", "0"), ("5", "1")]
    assert sync.on_depth(Depth(1, 6, 6, gone, [])) is None, "5 lies beyond what the snapshot told"
    assert (sync.synced, sync.book) == (False, None)
    whole = BookSync("spot", 3)
    assert whole.on_snapshot(Snapshot(5, [("10", "1"), ("9", "1")], [("11", "1")]))
    assert whole.on_depth(Depth(1, 6, 6, gone, [])) == (gone, [])


def test_nonsense_in_an_update_loses_the_book() -> None:
    sync = BookSync("spot", 1000)
    assert sync.on_snapshot(snapshot(5))
    assert sync.on_depth(Depth(1, 6, 6, [("x", "1")], [])) is None
    assert sync.book is None
    assert not sync.on_snapshot(Snapshot(7, [("x", "1")], []))
    assert sync.on_snapshot(snapshot(8))


def test_futures_follow_the_update_before_whatever_the_ids() -> None:
    sync = BookSync("futures", 1000)
    for depth in (futures(80, 85, 90), futures(90, 120, 130)):
        sync.on_depth(depth)
    assert sync.on_snapshot(snapshot(100)), "between two updates nothing happened to this symbol"
    assert sync.on_depth(futures(130, 200, 210)) == ([("10", "210")], [])


def frames(name: str) -> Iterator[Any]:
    with gzip.open(TAPE / f"{name}_20240808.txt.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line.partition(" ")[2])


@pytest.mark.parametrize(
    ("name", "market", "at_least"),
    [("binance-spot-btcusdt", "spot", 500), ("binance-spot-ethusdt", "spot", 500),
     ("binance-usdm-btcusdt", "futures", 400), ("binance-usdm-ethusdt", "futures", 400)],
)  # fmt: skip
def test_the_recorded_market_gives_the_recorded_best_prices(name: str, market: str, at_least: int) -> None:
    """Straight from the recording: every bookTicker with the id that the book has reached is equal to it."""
    # As if 1,000 levels were all: the recording has one snapshot only, and the price goes beyond its border.
    sync, tickers, compared = BookSync(market, 5000), {}, 0
    for frame in frames(name):
        if "lastUpdateId" in frame:
            assert sync.on_snapshot(Snapshot(frame["lastUpdateId"], _levels(frame["bids"]), _levels(frame["asks"])))
            continue
        data = frame["data"]
        if frame["stream"].endswith("@bookTicker"):
            tickers[data["u"]] = (data["b"], data["B"]), (data["a"], data["A"])
        elif "@depth" in frame["stream"]:
            changes = Depth(data["E"], data["U"], data["u"], _levels(data["b"]), _levels(data["a"]), data.get("pu"))
            was_synced = sync.synced
            sync.on_depth(changes)
            assert sync.synced == was_synced, "no gap, no crossing"
        if sync.synced and sync.book and (best := tickers.pop(sync.book.update_id, None)):
            assert (sync.book.bids.best(1), sync.book.asks.best(1)) == ([best[0]], [best[1]])
            compared += 1
    print(f"{name}: {compared} compared, 0 mismatches")
    assert compared >= at_least


def _levels(rows: list[list[str]]) -> list[tuple[str, str]]:
    return [(price, quantity) for price, quantity in rows]
