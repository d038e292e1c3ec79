"""`BinanceStream` with the service's decoder under gevent: `ingest_ours PORT SECONDS`; prints frames per CPU-second."""

# ruff: noqa: E402  # patched first, as the service is
from gevent import monkey

monkey.patch_all()

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "websocket-streaming"))  # its folder is no package

from shared.binance_stream import BinanceStream
from websocket_streaming.feeds.wire import decode_frame

WARM_S = 0.5


def main(port: str, seconds: float) -> None:
    """Read for so long."""
    count = 0

    def on_message(message: bytes) -> None:
        nonlocal count
        decode_frame(message)
        count += 1

    stream = BinanceStream(f"ws://127.0.0.1:{port}", on_message)
    stream.subscribe(["btcusdt@ticker"])
    stream.start()
    time.sleep(WARM_S)
    used, before = time.process_time(), count
    time.sleep(seconds)
    sys.stdout.write(f"{(count - before) / (time.process_time() - used)}\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
