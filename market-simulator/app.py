"""Runs the simulator: `python app.py`."""

from gevent import monkey

monkey.patch_all()

from market_simulator.service import build
from shared.service import run

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
