"""Reading the exchange: 24hrTicker frames per CPU-second, decoded, beside WebSocketApp + json and picows.

Each reader is a process of its own and gets frames as fast as it takes them. Ours is `BinanceStream` with the service's
own decoder, under gevent as in the service.
"""

import statistics
import subprocess
import sys
from contextlib import suppress
from typing import Any

from benchmarks.peers_python import python_with
from benchmarks.report import Row
from benchmarks.streaming.servers import PEERS
from shared.fleet import ROOT
from shared.testing.websocket_server import WebSocketServer
from shared.web.websocket import WebSocket, WebSocketClosed
from shared.websocket_frames import Opcode, encode_frame

SECONDS = 2.0
JOINED = 500
TICKER = (
    b'{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":1723161255343,"s":"BTCUSDT","p":"475.71000000",'
    b'"P":"0.434","w":"109800.12345678","x":"109663.99000000","c":"110139.71000000","Q":"0.00251000",'
    b'"b":"110139.70000000","B":"1.23400000","a":"110139.71000000","A":"2.34500000","o":"109664.00000000",'
    b'"h":"111190.00000000","l":"108635.00000000","v":"16302.36631000","q":"1790000000.12345678",'
    b'"O":1723074855343,"C":1723161255343,"F":3200000000,"L":3201000000,"n":1000001}}'
)


def measure(rounds: int) -> list[Row]:
    """Rows of this file; a peer that can't be installed is left out, and a line says so."""
    readers = {"ours": [sys.executable, "-m", "benchmarks.streaming.ingest_ours"]}
    if python := python_with(PEERS / "requirements.txt"):
        readers |= {name: [str(python), str(PEERS / "ingest.py"), name] for name in ("websocket-app", "picows")}
    found: dict[str, list[float]] = {name: [] for name in readers}
    with WebSocketServer([("/stream", _flood)]) as server:
        for _ in range(rounds + 1):
            for name, command in readers.items():
                found[name].append(_frames_per_cpu_s(command, server.port))
    medians = {name: statistics.median(figures) for name, figures in found.items()}
    said = ["≥ 6 × WebSocketApp + json, aim 80 % of picows"]
    if "picows" in medians:
        ratio = medians["ours"] / medians["websocket-app"]
        said.append(f"{ratio:.1f} ×, {'met' if ratio >= 6 else 'missed'}; {medians['ours'] / medians['picows']:.0%}")
    rows = [Row("ingest: 24hrTicker frames, decoded", medians["ours"] / 1000, "k per CPU-s", ": ".join(said))]
    return rows + [Row(f"… {name}", medians[name] / 1000, "k per CPU-s", "") for name in medians if name != "ours"]


def _flood(ws: WebSocket, _request: Any) -> None:
    """Frames as fast as they are taken, until the reader goes."""
    chunk = encode_frame(Opcode.TEXT, TICKER) * JOINED
    if ws.receive(10) is None:
        return
    ws.send_text('{"result":null,"id":1}')
    with suppress(WebSocketClosed):
        while True:
            ws.send_frame(chunk)


def _frames_per_cpu_s(command: list[str], port: int) -> float:
    done = subprocess.run(
        [*command, str(port), str(SECONDS)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return float(done.stdout)
