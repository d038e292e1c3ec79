"""The exchange's protocol, spot: names, payloads, REST calls, sockets. What it obeys is binance-wire.md alone."""
