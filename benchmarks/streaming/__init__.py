"""The stream's figures beside Node's socket.io and a C sender: `python -m benchmarks.streaming`."""
