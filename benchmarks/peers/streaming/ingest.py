"""Other ways to read 24hrTicker frames: `ingest.py websocket-app|picows PORT SECONDS`; prints frames per CPU-second.

Each as its documentation shows it. picows decodes with msgspec into the same fields as ours does; WebSocketApp with
json, as most bots do, but without its check of UTF-8: done in Python, that would take nine tenths of the time.
"""

import asyncio
import json
import sys
import threading
import time
from typing import Annotated, Any

SUBSCRIBE = '{"method":"SUBSCRIBE","params":["btcusdt@ticker"],"id":1}'
WARM_S = 0.5
count = 0


def report(seconds: float) -> None:
    """After a moment, over so long."""
    time.sleep(WARM_S)
    used, before = time.process_time(), count
    time.sleep(seconds)
    sys.stdout.write(f"{(count - before) / (time.process_time() - used)}\n")
    sys.stdout.flush()


def websocket_app(url: str, seconds: float) -> None:
    """websocket-client's WebSocketApp and the json module."""
    import websocket

    def on_message(_app: Any, message: str) -> None:
        global count
        data = json.loads(message).get("data")
        if data:
            float(data["c"])
            count += 1

    app = websocket.WebSocketApp(url, on_open=lambda app: app.send(SUBSCRIBE), on_message=on_message)
    threading.Thread(target=app.run_forever, kwargs={"skip_utf8_validation": True}, daemon=True).start()
    report(seconds)


def picows(url: str, seconds: float) -> None:
    """picows (Cython) and msgspec."""
    import msgspec
    from picows import (  # type: ignore[import-not-found]  # installed in the peers' environment alone
        WSFrame,
        WSListener,
        WSMsgType,
        WSTransport,
        ws_connect,
    )

    price = Annotated[float, msgspec.Meta(gt=0, le=1e18)]
    amount = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
    change = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
    ticker = msgspec.defstruct(
        "Ticker",
        [("E", int), ("s", str), ("c", price), ("L", int), ("v", amount), ("h", price), ("l", price), ("p", change),
         ("P", change)],
        tag_field="e", tag="24hrTicker",
    )  # fmt: skip
    trade = msgspec.defstruct(
        "Trade", [("E", int), ("s", str), ("t", int), ("p", price)], tag_field="e", tag="trade"
    )
    combined = msgspec.defstruct("Combined", [("data", ticker | trade)])
    decode = msgspec.json.Decoder(combined, strict=False).decode

    class Listener(WSListener):  # type: ignore[misc]  # unknown, as above
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, SUBSCRIBE.encode())

        def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
            global count
            try:
                decode(frame.get_payload_as_memoryview())
            except msgspec.DecodeError:
                return  # the answer to SUBSCRIBE
            count += 1

    async def main() -> None:
        await ws_connect(Listener, url)
        await asyncio.to_thread(report, seconds)

    asyncio.run(main())


if __name__ == "__main__":
    kind, port = sys.argv[1], sys.argv[2]
    {"websocket-app": websocket_app, "picows": picows}[kind](f"ws://127.0.0.1:{port}/stream", float(sys.argv[3]))
