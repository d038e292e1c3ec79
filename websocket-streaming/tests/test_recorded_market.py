"""The proof: the recorded market through the whole path gives at the client the recorded best prices, always."""

import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from shared.fleet import ROOT
from shared.testing.followers import BookFollower, Top, follow_tickers
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket, pytest.mark.faults, pytest.mark.slow]

SCALE = float(os.environ.get("FAULTS_SCALE", "0.04"))
LAP_STATES = 3500  # of a spot book, ten a second: a little more than one lap of the tape
SPEED = 5
MARKETS = [("spot", "BTCUSDT"), ("spot", "ETHUSDT"), ("futures", "BTCUSDT"), ("futures", "ETHUSDT")]


@pytest.fixture(scope="module")
def market() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false", "SIM_SPEED": str(SPEED)}) as running:
        for symbol in ("BTCUSDT", "ETHUSDT"):  # the first call of futures reads a tape
            requests.get(f"{running.base_url}/fapi/v1/depth?symbol={symbol}&limit=5", timeout=60)
        yield running


def recorded(market: str, symbol: str) -> dict[int, Top]:
    """The bookTickers on the tape, by update id."""
    kind = "spot" if market == "spot" else "usdm"
    path = ROOT / "market-simulator" / "tape" / f"binance-{kind}-{symbol.lower()}_20240808.txt.gz"
    tops: dict[int, Top] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            frame = json.loads(line.partition(" ")[2])
            if frame.get("stream", "").endswith("@bookTicker"):
                tops[frame["data"]["u"]] = top(frame["data"])
    return tops


def top(ticker: dict[str, Any]) -> Top:
    return (float(ticker["b"]), float(ticker["B"])), (float(ticker["a"]), float(ticker["A"]))


def shift_of(tape: dict[int, Top], shown: dict[int, Top]) -> int:
    """By how much this lap's ids are above the recording's: the shift that finds most of the tickers shown."""
    first = sorted(shown)[5]
    shifts = [first - id for id, best in tape.items() if best == shown[first]]
    return max(shifts, key=lambda shift: sum(tape.get(id - shift) == best for id, best in shown.items()))


@pytest.mark.timeout(900)
def test_the_book_at_the_client_equals_every_comparable_recorded_best_price(market: ServiceProcess) -> None:
    with ServiceProcess(
        "websocket-streaming", {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false"}
    ) as service:
        shown: list[dict[int, Top]] = [{} for _ in MARKETS]
        sockets = []
        for (kind, symbol), tops in zip(MARKETS, shown, strict=True):
            path = f"{'/ws' if kind == 'spot' else '/public/ws'}/{symbol.lower()}@bookTicker"

            def note(ticker: dict[str, Any], tops: dict[int, Top] = tops) -> None:
                tops[ticker["u"]] = top(ticker)

            sockets.append(follow_tickers(market.ws_url + path, note))
        books = [BookFollower(f"{service.ws_url}/stream/orderbook/{name}?market={kind}") for kind, name in MARKETS]
        states = max(150, round(LAP_STATES * SCALE))
        wait_until(lambda: len(books[0].tops) >= states, timeout_s=600, what="the lap's end")
        for book in books:
            book.close()
        for socket in sockets:
            socket.close()
    for (kind, symbol), tops, book in zip(MARKETS, shown, books, strict=True):
        assert book.broken == []
        tape = recorded(kind, symbol)
        shift = shift_of(tape, tops)
        from_tape = {id: best for id, best in tops.items() if tape.get(id - shift) == best}
        reached = from_tape.keys() & book.tops.keys()
        mismatches = [id for id in reached if book.tops[id] != from_tape[id]]
        others = [id for id in tops.keys() & book.tops.keys() if book.tops[id] != tops[id]]
        print(
            f"{kind} {symbol}: {len(book.tops)} states of the book, {len(reached)} compared with the recording, "
            f"{len(mismatches)} mismatches; {book.snapshots} snapshots, {book.deltas} deltas"
        )
        assert mismatches == others == []
        assert len(reached) >= 5
        assert len(from_tape) >= 0.5 * len(tops)
