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


def of_the_tape(tape: dict[int, Top], shown: dict[int, Top]) -> dict[int, Top]:
    """Those shown that are the recording's own: each lap shifts all its ids by the same number."""
    found: dict[int, Top] = {}
    for _ in range(3):  # laps that a run may touch
        left = sorted(shown.keys() - found.keys())
        if len(left) < 10:
            break
        shifts = {left[5] - id for id, best in tape.items() if best == shown[left[5]]}
        laps = [{id: shown[id] for id in left if tape.get(id - shift) == shown[id]} for shift in shifts]
        for lap in sorted(laps, key=len)[-1:]:
            found |= lap
    return found


@pytest.mark.timeout(900)
def test_the_book_at_the_client_equals_every_comparable_recorded_best_price(market: ServiceProcess) -> None:
    states = max(150, round(LAP_STATES * SCALE))
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
        # A busy simulator joins updates of futures: they have far fewer states, and come to these later.
        enough = [states if kind == "spot" else 0.1 * states for kind, _ in MARKETS]
        wait_until(
            lambda: all(len(book.tops) >= least for book, least in zip(books, enough, strict=True)),
            timeout_s=600, what="the lap's end",
        )  # fmt: skip
        for book in books:
            book.close()
        for socket in sockets:
            socket.close()
    comparable: list[int] = []
    for (kind, symbol), tops, book in zip(MARKETS, shown, books, strict=True):
        assert book.broken == []
        from_tape = of_the_tape(recorded(kind, symbol), tops)
        reached = from_tape.keys() & book.tops.keys()
        mismatches = [id for id in reached if book.tops[id] != from_tape[id]]
        others = [id for id in tops.keys() & book.tops.keys() if book.tops[id] != tops[id]]
        print(
            f"{kind} {symbol}: {len(book.tops)} states of the book, {len(reached)} compared with the recording, "
            f"{len(mismatches)} mismatches; {book.snapshots} snapshots, {book.deltas} deltas"
        )
        assert mismatches == others == []
        comparable.append(len(reached))
        assert len(from_tape) >= 0.5 * len(tops)
    assert all(comparable)
    assert sum(comparable) >= 0.1 * states
