"""Runs the dashboard: `python app.py`."""

from gevent import monkey

monkey.patch_all()

from shared.service import run
from trading_dashboard.service import build

service = build()
app = service.app

if __name__ == "__main__":
    run(service)
