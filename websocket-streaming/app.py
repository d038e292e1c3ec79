"""Run by `python app.py`: the exchange's prices, over Socket.IO, plain WebSocket and REST."""

from gevent import monkey

monkey.patch_all()

from shared.service import run
from websocket_streaming.service import build

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
