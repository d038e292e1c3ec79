"""A market ten times as fast: whoever keeps up gets every update once and in order, whatever the others do."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket, pytest.mark.slow]

# A client of the official library that starts by polling and is upgraded, with acknowledgements and a reconnection.
SCRIPT = """
const { io } = require("socket.io-client");
const socket = io(process.argv[1], { reconnectionDelay: 100 });
const say = (...words) => console.log(JSON.stringify(words));
let connections = 0;
socket.io.on("open", () => {
  say("transport", socket.io.engine.transport.name);
  socket.io.engine.once("upgrade", (transport) => say("transport", transport.name));
});
socket.on("connect", async () => {
  connections += 1;
  say("acknowledged", await socket.timeout(10000).emitWithAck("subscribe", { symbols: ["BTCUSDT", "ETHUSDT"] }));
});
let seen = 0;
socket.on("price_update", (d) => {
  say("update", connections, d.symbol, d.seq);
  seen += 1;
  if (seen === 400) socket.io.engine.close();
  if (seen === 800) socket.disconnect();
});
setTimeout(() => process.exit(1), 30000).unref();
"""


@pytest.fixture(scope="module")
def busy() -> Iterator[ServiceProcess]:
    with ServiceProcess("market-simulator", {"SIM_LIMITS": "false", "SIM_SPEED": "10"}) as market:
        settings = {"SIMULATOR_URL": market.base_url, "RATE_LIMIT_ENABLED": "false"}
        with ServiceProcess("websocket-streaming", settings) as running:
            yield running


def numbers(updates: list[dict[str, Any]], symbol: str) -> list[int]:
    return [update["seq"] for update in updates if update["symbol"] == symbol]


def test_who_keeps_up_gets_every_update_in_order_while_others_come_and_go(
    busy: ServiceProcess, connect: Callable[..., Any]
) -> None:
    good = connect(busy.base_url, transports=["websocket"])
    good.ask("subscribe", {"symbols": ["BTCUSDT", "ETHUSDT"]}, "subscribed")
    restless = [connect(busy.base_url) for _ in range(3)]
    while len(good.data("price_update")) < 2000:
        for other in restless:
            other.ask("subscribe", {"symbols": ["BTCUSDT", "ETHUSDT"]}, "subscribed")
            other.ask("unsubscribe", {"symbols": ["ETHUSDT"]}, "unsubscribed")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        got = numbers(good.data("price_update"), symbol)
        assert got == list(range(got[0], got[0] + len(got)))
    for other in restless:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            got = numbers(other.data("price_update"), symbol)
            assert got == sorted(got)  # the newest comes again with each subscription, nothing older after it


def test_the_plain_path_and_socket_io_bring_the_same_updates(
    busy: ServiceProcess, connect: Callable[..., Any]
) -> None:
    client = connect(busy.base_url, transports=["websocket"])
    client.ask("subscribe", {"symbols": ["BTCUSDT"]}, "subscribed")
    plain = websocket.create_connection(busy.ws_url + "/stream/price/BTCUSDT", timeout=15)
    messages = [json.loads(plain.recv()) for _ in range(500)]
    plain.close()
    ours = {message["data"]["seq"]: message["data"] for message in messages if message["event"] == "price_update"}
    wait_until(lambda: numbers(client.data("price_update"), "BTCUSDT")[-1] >= max(ours), what="the same by Socket.IO")
    theirs = {update["seq"]: update for update in client.data("price_update")}
    common = [seq for seq in ours if seq in theirs]
    assert len(common) > 400
    assert all(ours[seq] == theirs[seq] for seq in common)


def test_the_javascript_client_is_upgraded_acknowledged_and_reconnected_without_disorder(
    busy: ServiceProcess, node: str, root: Path
) -> None:
    ended = subprocess.run(
        [node, "-e", SCRIPT, busy.base_url], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout[-500:]
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [words[1] for words in said if words[0] == "transport"][:2] == ["polling", "websocket"]
    assert ["acknowledged"] in [words[:1] for words in said]
    updates = [words[1:] for words in said if words[0] == "update"]
    assert {connection for connection, _, _ in updates} == {1, 2}
    for connection in (1, 2):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            got = [seq for number, name, seq in updates if (number, name) == (connection, symbol)]
            assert got == sorted(set(got))
