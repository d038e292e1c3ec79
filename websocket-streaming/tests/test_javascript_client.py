"""The official JavaScript client speaks to the service."""

import json
import subprocess
from pathlib import Path

import pytest

from shared.testing.process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.websocket]

# The README's example, but that it ends after three updates and prints each event as a line of JSON.
SCRIPT = """
const { io } = require("socket.io-client");
const socket = io(process.argv[1], { transports: JSON.parse(process.argv[2]) });
let updates = 0;
socket.onAny((event, data) => {
  console.log(JSON.stringify([event, data]));
  if (event === "price_update" && ++updates === 3) socket.disconnect();
});
socket.on("connect", () => socket.emit("subscribe", { symbols: ["btcusdt", "NOPE"] }));
setTimeout(() => process.exit(1), 20000).unref();
"""


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids=str)
def test_socket_io_client_connects_subscribes_and_receives(
    streaming: ServiceProcess, node: str, root: Path, transports: list[str]
) -> None:
    command = [node, "-e", SCRIPT, streaming.base_url, json.dumps(transports)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    by_name = dict(reversed(events))
    assert [name for name, _ in events if name == "price_update"] == ["price_update"] * 3
    assert by_name["connected"]["venue"] == "simulator"
    assert by_name["subscribed"] == {"symbols": ["BTCUSDT"], "channels": ["price"], "market": "spot"}
    assert by_name["error"]["code"] == "unknown_symbol"
    assert by_name["price_update"]["symbol"] == "BTCUSDT"
