"""Run by `python app.py`: the exchange's prices, over Socket.IO, plain WebSocket and REST."""

from gevent import monkey

monkey.patch_all()

from websocket_streaming.service import build

from shared.service import run

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
