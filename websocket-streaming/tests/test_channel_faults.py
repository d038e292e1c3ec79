"""R8–R13 for every channel: connections cut, frames lost, swapped and repeated, REST refused, clients that don't read.

Each prints its figures (`pytest -s -m faults`); FAULTS_SCALE=1 is full length.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import requests
import websocket

from shared.testing.followers import BookFollower, Follower
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess
from websocket_streaming.live_channel import BEGINS_WITHIN_S

pytestmark = [pytest.mark.integration, pytest.mark.websocket, pytest.mark.faults, pytest.mark.slow]

SCALE = float(os.environ.get("FAULTS_SCALE", "0.04"))
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(scope="module")
def market() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false"}) as running:
        yield running


@pytest.fixture(scope="module")
def service(market: ServiceProcess) -> Iterator[ServiceProcess]:
    requests.get(f"{market.base_url}/fapi/v1/depth?symbol=BTCUSDT&limit=5", timeout=60)  # it reads a tape
    settings = {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false", "DEFAULT_SYMBOLS": ",".join(SYMBOLS)}
    with ServiceProcess("websocket-streaming", settings) as running:
        wait_until(lambda: not running.get("/price/BTCUSDT")["stale"], what="a fresh price")
        yield running


@pytest.fixture
def follow(service: ServiceProcess) -> Iterator[Callable[..., Any]]:
    opened: list[Follower] = []

    def begin(path: str, kind: type[Follower] = Follower) -> Follower:
        opened.append(kind(service.ws_url + path))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def begin(simulator: ServiceProcess, name: str, **more: Any) -> str:
    answer = requests.post(f"{simulator.base_url}/sim/scenario", json={"name": name, **more}, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["id"])


def truth(market: ServiceProcess, id: str) -> dict[str, Any]:
    scenarios = market.get("/sim/status")["data"]["scenarios"]
    found: dict[str, Any] = next(one for one in scenarios if one["id"] == id)
    return found


def stats(service: ServiceProcess) -> dict[str, Any]:
    data: dict[str, Any] = service.get("/stats")["data"]
    return data


def ids(trades: Follower) -> list[int]:
    return [trade["trade_id"] for trade in trades.data("trade")]


def assert_whole(trades: Follower) -> None:
    """Every trade once, in order, none told as missed."""
    seen = ids(trades)
    wrong = [(before, after) for before, after in pairwise(seen) if after != before + 1]
    assert wrong == []
    assert not any("missed" in trade for trade in trades.data("trade"))


def reconnected(service: ServiceProcess, before: int) -> bool:
    """Whether the upstream was connected again since."""
    return int(stats(service)["reconnects"]) > before


def was_told(one: Follower, stale: bool) -> bool:
    """Whether the newest status is that."""
    told = one.data("status")
    return bool(told) and told[-1]["stale"] is stale


def wait_for_looks(count: int) -> None:
    """Return after so many of the looks that come once a second: who was told stale before knows what holds now."""
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > count, what=f"{count} looks")


class PriceWatch(Follower):
    """Notes when the price turned stale and when it was right again, by this process's clock."""

    def __init__(self, url: str) -> None:
        self.changes: list[tuple[float, bool]] = []
        super().__init__(url)

    def take(self, event: str, data: dict[str, Any]) -> None:
        if event == "price_update" and (not self.changes or self.changes[-1][1] != data["stale"]):
            self.changes.append((time.monotonic(), data["stale"]))


@pytest.mark.timeout(900)
def test_r8_cut_again_and_again_every_gap_is_found_and_filled(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any]
) -> None:
    trades = [follow(f"/stream/trades/{symbol}") for symbol in SYMBOLS]
    books = [follow(f"/stream/orderbook/{symbol}", BookFollower) for symbol in SYMBOLS]
    watch = PriceWatch(f"{service.ws_url}/stream/price/BTCUSDT")
    wait_until(lambda: all(book.deltas for book in books) and len(ids(trades[0])) > 5, what="all streams")
    lies: list[dict[str, Any]] = []
    over = threading.Event()

    def look_for_lies() -> None:
        while not over.wait(0.1):
            price = service.get("/price/BTCUSDT")
            if price["age_ms"] > 10_500 and not price["stale"]:
                lies.append(price)

    looker = threading.Thread(target=look_for_lies)
    looker.start()
    cuts, back_s = max(3, round(60 * SCALE)), []
    for _ in range(cuts):
        begun, reconnects = time.monotonic(), stats(service)["reconnects"]
        begin(market, "cut")
        wait_until(partial(reconnected, service, reconnects), what="connected again")
        wait_until(lambda: not service.get("/price/BTCUSDT")["stale"], what="fresh again")
        back_s.append(time.monotonic() - begun)
        # REST may know it first; the next cut must find the client told, or the two would be one to it.
        wait_until(lambda: bool(watch.changes) and not watch.changes[-1][1], what="the client told, too")
        if SCALE >= 1:
            over.wait(max(0.0, 10 - back_s[-1]))
    seen = [len(ids(one)) for one in trades]
    more = list(zip(trades, seen, strict=True))
    wait_until(lambda: all(len(ids(one)) > count + 5 for one, count in more), what="trades that go on")
    deltas = [book.deltas for book in books]
    wait_until(lambda: all(b.deltas > n for b, n in zip(books, deltas, strict=True)), 20, what="books that go on")
    wait_until(lambda: stats(service)["gaps_found"] == stats(service)["gaps_filled"], 20, what="all gaps filled")
    over.set()
    looker.join()
    watch.close()
    figures = stats(service)
    p95 = sorted(back_s)[int(len(back_s) * 0.95)]
    print(
        f"R8: {cuts} cuts, fresh again p95 {p95:.2f} s, worst {max(back_s):.2f} s; {figures['gaps_found']} gaps found, "
        f"{figures['gaps_filled']} filled; {sum(map(len, map(ids, trades)))} trades without a hole; "
        f"{sum(book.snapshots for book in books)} snapshots, {len(lies)} prices older than they said"
    )
    assert lies == []
    assert p95 <= (2.0 if SCALE >= 1 else 5.0), "three cuts are no p95"
    for one in trades:
        assert_whole(one)
    for book in books:
        assert book.broken == []
    assert [stale for _, stale in watch.changes].count(True) >= cuts, "each cut was told"


def test_r9_a_silent_symbol_is_told_on_every_channel_and_no_other_symbol_is(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any]
) -> None:
    wait_for_looks(2)  # the test before left gaps that were just filled
    paths = ("orderbook/{}", "trades/{}", "klines/{}/1m")
    silent = [follow("/stream/" + path.format("ETHUSDT")) for path in paths]
    others = [follow("/stream/" + path.format("BTCUSDT")) for path in paths]
    events = ("orderbook_update", "trade", "kline")
    for one, event in [*zip(silent, events, strict=True), *zip(others, events, strict=True)]:
        one.wait(event)
    begun = time.monotonic()
    id = begin(market, "silent_symbol", symbol="ETHUSDT", duration_s=60)
    for one in silent:
        wait_until(partial(was_told, one, True), 20, what="told as stale")
    noticed_s = time.monotonic() - begun
    requests.delete(f"{market.base_url}/sim/scenario/{id}", timeout=10)
    for one in silent:
        wait_until(partial(was_told, one, False), 20, what="told as right again")
    print(f"R9: three channels of the silent symbol told as stale within {noticed_s:.1f} s")
    assert noticed_s <= 12.5  # 10 s, and the second in which it is looked
    assert [one.data("status") for one in others] == [[], [], []]
    wait_until(lambda: stats(service)["gaps_found"] == stats(service)["gaps_filled"], 20, what="the gap filled")
    assert_whole(silent[1])


@pytest.mark.parametrize("who", ["service", "market"])
def test_r9_a_process_that_stands_still_for_3_s_makes_nothing_stale(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any], who: str
) -> None:
    paths = ("orderbook/{}", "trades/{}", "klines/{}/1m")
    events = ("orderbook_update", "trade", "kline")
    kinds = list(zip(paths, events, strict=True))
    wait_for_looks(2)
    followed = [(follow("/stream/" + path.format(symbol)), event) for symbol in SYMBOLS for path, event in kinds]
    for one, event in followed:
        one.wait(event)
    opened = time.monotonic()
    wait_until(lambda: time.monotonic() - opened > BEGINS_WITHIN_S, what="the end of the time to begin")
    before, pid = stats(service), {"service": service, "market": market}[who].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped > 3, what="the stall")
    finally:
        os.kill(pid, signal.SIGCONT)
    seen = [len(one.data(event)) for one, event in followed]
    more = list(zip(followed, seen, strict=True))
    wait_until(lambda: all(len(one.data(event)) > count for (one, event), count in more), 20, what="all streams again")
    wait_for_looks(2)
    assert [one.data("status") for one, _ in followed] == [[]] * len(followed)
    assert stats(service)["gaps_found"] == before["gaps_found"]


@pytest.mark.parametrize("market_name", ["spot", "futures"])
@pytest.mark.parametrize(
    ("fault", "params", "is_loss"),
    [("drop", {"share": 0.1}, True), ("duplicate", {"share": 0.3}, False), ("reorder", {"share": 0.1}, True),
     ("bad_json", {"share": 0.1}, True)],
)  # fmt: skip
def test_r10_a_book_is_never_published_crossed_or_gapped_and_only_its_own_symbol_is_resynced(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any],
    market_name: str, fault: str, params: dict[str, Any], is_loss: bool,
) -> None:  # fmt: skip
    struck, other = (follow(f"/stream/orderbook/{s}?market={market_name}", BookFollower) for s in SYMBOLS)
    wait_until(lambda: struck.deltas > 3 and other.deltas > 3, 20, what="both books")
    snapshots = other.snapshots
    stream = {"stream": "btcusdt@depth@100ms"} | params
    more = {"market": "futures"} if market_name == "futures" else {}
    id = begin(market, fault, params=stream, seed=7, duration_s=max(6, round(60 * SCALE)), **more)
    wait_until(lambda: not truth(market, id)["running"], 120, what="the fault's end")
    deltas = struck.deltas
    wait_until(lambda: struck.deltas > deltas + 20, 20, what="a book that goes on")
    shown = service.get(f"/orderbook/BTCUSDT?market={market_name}&limit=1")["data"]
    wait_until(lambda: struck.update_id >= shown["update_id"], what="the same update")
    print(
        f"R10 {market_name} {fault}: {truth(market, id)['planted']['frames']} frames struck, {struck.deltas} deltas, "
        f"{struck.snapshots} snapshots, {len(struck.broken)} wrong; the other symbol {other.snapshots - snapshots} more"
    )
    assert struck.broken == other.broken == []
    assert other.snapshots == snapshots
    assert (struck.snapshots > 1) is is_loss
    if top := struck.tops.get(shown["update_id"]):
        assert top == (tuple(shown["bids"][0]), tuple(shown["asks"][0]))


def test_r10_a_snapshot_that_stays_old_is_not_believed(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any]
) -> None:
    begin(market, "stale_snapshot", symbol="BTCUSDT", duration_s=4)
    book = follow("/stream/orderbook/BTCUSDT", BookFollower)
    wait_until(lambda: book.deltas > 5, 30, what="a book after the lie")
    assert book.broken == []


@pytest.mark.parametrize("fault", ["drop", "reorder", "duplicate"])
def test_r8_trades_that_are_lost_swapped_or_repeated_come_whole_and_once(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any], fault: str
) -> None:
    trades = follow("/stream/trades/BTCUSDT")
    trades.wait("trade", 3)
    params = {"stream": "btcusdt@trade", "share": 0.2}
    id = begin(market, fault, params=params, seed=3, duration_s=max(5, round(60 * SCALE)))
    wait_until(lambda: not truth(market, id)["running"], 120, what="the fault's end")
    wait_until(lambda: stats(service)["gaps_found"] == stats(service)["gaps_filled"], 20, what="all gaps filled")
    seen = len(ids(trades))
    wait_until(lambda: len(ids(trades)) > seen + 3, 20, what="trades that go on")
    by_rest = sum(trade["source"] == "rest" for trade in trades.data("trade"))
    struck = truth(market, id)["planted"]["frames"]
    print(f"R8 trades {fault}: {struck} frames struck, {len(ids(trades))} trades without a hole, {by_rest} by REST")
    assert_whole(trades)
    assert (by_rest > 0) is (fault == "drop")


@pytest.mark.parametrize("fault", ["day_cut", "server_shutdown"])
def test_r11_the_planned_end_of_a_connection_leaves_no_gap_and_no_repeat(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any], fault: str
) -> None:
    trades, bars = follow("/stream/trades/BTCUSDT"), follow("/stream/klines/BTCUSDT/1s")
    book = follow("/stream/orderbook/BTCUSDT", BookFollower)
    wait_until(lambda: book.deltas > 3 and bars.data("kline") and len(ids(trades)) > 3, what="all streams")
    begun, reconnects = time.monotonic(), stats(service)["reconnects"]
    if fault == "server_shutdown":  # announced: the next connection has taken over before this one ends
        id = begin(market, fault, duration_s=8)
        wait_until(lambda: not truth(market, id)["running"], 20, what="the end of the old connection")
        assert stats(service)["reconnects"] == reconnects
    else:
        begin(market, fault)
        wait_until(lambda: reconnected(service, reconnects), 20, what="another connection")
    reconnected_s = time.monotonic() - begun
    seen, deltas = len(ids(trades)), book.deltas
    wait_until(lambda: len(ids(trades)) > seen + 5 and book.deltas > deltas + 5, 20, what="streams that go on")
    wait_until(lambda: stats(service)["gaps_found"] == stats(service)["gaps_filled"], 20, what="all gaps filled")
    finals = [bar["open_time"] for bar in bars.data("kline") if bar["final"]]
    print(f"R11 {fault}: another connection after {reconnected_s:.1f} s; {len(ids(trades))} trades, {len(finals)} bars")
    assert_whole(trades)
    assert book.broken == []
    assert len(finals) == len(set(finals))


@pytest.mark.parametrize("fault", ["banned", "too_many_requests"])
def test_r11_nothing_is_asked_during_a_ban_and_all_is_filled_after_it(
    market: ServiceProcess, service: ServiceProcess, follow: Callable[..., Any], fault: str
) -> None:
    trades = follow("/stream/trades/BTCUSDT")
    book = follow("/stream/orderbook/BTCUSDT", BookFollower)
    wait_until(lambda: book.deltas > 3 and len(ids(trades)) > 3, what="both streams")
    id = begin(market, fault, duration_s=6)
    begin(market, "cut")
    wait_until(lambda: not truth(market, id)["running"], 60, what="the ban's end")
    asked = truth(market, id)["planted"]["calls"]
    snapshots, deltas = book.snapshots, book.deltas
    wait_until(lambda: book.deltas > deltas + 3, 30, what="a book after the ban")
    wait_until(lambda: stats(service)["gaps_found"] == stats(service)["gaps_filled"], 30, what="all gaps filled")
    print(f"R11 {fault}: {asked} calls met the refusal, {stats(service)['gaps_filled']} gaps filled after it")
    assert asked <= 6, "those that were under way when the first was refused"
    assert book.snapshots >= snapshots
    assert book.broken == []
    assert_whole(trades)


@pytest.mark.parametrize("path", ["/stream/orderbook/BTCUSDT", "/stream/trades/BTCUSDT"])
def test_r12_a_reader_that_falls_behind_gets_a_right_book_and_a_true_count(path: str) -> None:
    """A market fifty times as fast; the client stops reading for a while and then reads on."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false", "SIM_SPEED": "50"}) as market:
        settings = {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false"}
        with ServiceProcess("websocket-streaming", settings) as service, Follower(service.ws_url + path) as witness:
            slow = websocket.create_connection(service.ws_url + path, sockopt=small, timeout=30)
            slow.recv()
            out, seen = stats(service)["messages_out"], len(witness.events)

            def skipped() -> int:
                """What the witness got and the slow client did not: `messages_out` leaves out what is skipped."""
                both = 2 * (len(witness.events) - seen)
                return both - int(stats(service)["messages_out"] - out)

            # Until its buffers are full, however long that takes; after 10 s more it would be closed.
            wait_until(lambda: skipped() > 50, 90, what="updates that are skipped")
            reader = _Reader(slow)
            reader.read_until(lambda: reader.jumps > 0 and reader.after_jump > 20)
            print(f"R12 {path}: {reader.count} events after the stall, {reader.jumps} jumps, missed {reader.missed}")
            slow.close()
    assert reader.wrong == []
    assert reader.jumps > 0


class _Reader:
    """Reads on after a stall and checks what it is told."""

    def __init__(self, ws: websocket.WebSocket) -> None:
        self._ws = ws
        self.count = self.jumps = self.after_jump = self.missed = 0
        self.wrong: list[str] = []
        self._last_id: int | None = None
        self._told = 0  # by a status since the last trade
        self._update_id: int | None = None

    def read_until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40
        while not done() and time.monotonic() < deadline:
            message = json.loads(self._ws.recv())
            self.count += 1
            self.after_jump += self.jumps > 0
            data = message["data"]
            if message["event"] == "trade":
                self._trade(data)
            elif message["event"] == "orderbook_update":
                self._book(data)
            elif message["event"] == "status":  # it came last, so it stands for the trades before it
                self._told = data.get("missed", 0)

    def _trade(self, data: dict[str, Any]) -> None:
        skipped = 0 if self._last_id is None else data["trade_id"] - self._last_id - 1
        told, self._told = data.get("missed", 0) + self._told, 0
        self.missed += told
        self.jumps += skipped > 0
        if skipped != told:
            self.wrong.append(f"{skipped} skipped, {told} told")
        self._last_id = data["trade_id"]

    def _book(self, data: dict[str, Any]) -> None:
        if data["type"] == "snapshot":
            self.jumps += self._update_id is not None
        elif self._update_id is not None and data["previous_update_id"] != self._update_id:
            self.wrong.append(f"{data['previous_update_id']} after {self._update_id}")
        self._update_id = data["update_id"]


def test_r13_a_client_that_was_away_gets_all_since_or_is_told(
    service: ServiceProcess, connect: Callable[..., Any]
) -> None:
    witness, away = connect(service.base_url), connect(service.base_url)
    wish = {"symbols": list(SYMBOLS), "channels": ["price", "trades", "orderbook"]}
    for client in (witness, away):
        client.ask("subscribe", wish, "subscribed")
    wait_until(lambda: len(away.data("trade")) > 3 and len(away.data("orderbook_update")) > 10, what="some updates")
    away.close()
    events = {"price": "price_update", "trades": "trade", "orderbook": "orderbook_update"}
    last: dict[str, dict[str, Any]] = {}
    for channel, event in events.items():
        for data in away.data(event):
            last[f"{channel}:{data['symbol']}"] = {"epoch": data["epoch"], "seq": data["seq"]}
    gone = time.monotonic()
    wait_until(lambda: time.monotonic() - gone > max(3, 30 * SCALE), 60, what="the time away")
    back = connect(service.base_url)
    back.ask("subscribe", {**wish, "last": last}, "subscribed")
    wait_until(lambda: len(back.data("orderbook_update")) > 30, what="all since")
    told = {f"{data['channel']}:{data['symbol']}" for data in back.data("resync_required")}
    served = 0
    for channel, event in events.items():
        for symbol in SYMBOLS:
            key = f"{channel}:{symbol}"
            seqs = [data["seq"] for data in back.data(event) if data["symbol"] == symbol]
            if key in last and key not in told and seqs:
                assert seqs == list(range(last[key]["seq"] + 1, last[key]["seq"] + 1 + len(seqs))), key
                served += len(seqs)
    away_s = time.monotonic() - gone
    print(f"R13: away {away_s:.0f} s, {served} updates given without a gap, {len(told)} topics to resync")
    assert served > 30
