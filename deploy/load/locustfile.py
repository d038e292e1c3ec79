"""Load on a running fleet, as traders' programs make it: many read prices, fewer read signals, some save one.

    python3 -m venv /tmp/locust && /tmp/locust/bin/pip install locust
    RATE_LIMIT_ENABLED=false make up
    /tmp/locust/bin/locust -f deploy/load/locustfile.py --headless -u 50 -r 10 -t 60s

Without --headless it has a page on port 8089. With the limits on, most answers are 429: all users are one address.
FLEET_HOST names another machine (http://127.0.0.1).
"""

import json
import os
import random
from pathlib import Path

from locust import FastHttpUser, between, task

FLEET = json.loads((Path(__file__).resolve().parents[2] / "fleet.json").read_text("utf-8"))
HOST = os.environ.get("FLEET_HOST", "http://127.0.0.1")
URLS = {service["name"]: f"{HOST}:{service['port']}" for service in FLEET["services"]}
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT")


class Trader(FastHttpUser):
    """One program that follows the market and its bot's signals."""

    host = URLS["websocket-streaming"]
    wait_time = between(0.05, 0.5)

    @task(20)
    def price(self) -> None:
        """The newest price of one symbol."""
        self.client.get(f"/price/{random.choice(SYMBOLS)}", name="/price/<symbol>")

    @task(5)
    def history(self) -> None:
        """The newest signals."""
        self.client.get(f"{URLS['database-service']}/signals/history?limit=20", name="/signals/history")

    @task(2)
    def save(self) -> None:
        """Save one signal."""
        signal = {"symbol": random.choice(SYMBOLS), "signal_type": "BUY", "confidence": 0.85, "price": 110000}
        self.client.post(f"{URLS['database-service']}/signals/save", json=signal, name="/signals/save")

    @task(1)
    def depth(self) -> None:
        """The simulator's order book."""
        self.client.get(f"{URLS['market-simulator']}/api/v3/depth?symbol=BTCUSDT&limit=20", name="/api/v3/depth")
