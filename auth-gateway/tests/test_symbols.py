"""A key that is bound to some symbols opens only what names them, whatever way a request tries."""

import gzip
import json

import pytest

from auth_gateway.symbols import check_symbols
from shared.errors import Forbidden

pytestmark = pytest.mark.unit
ALLOWED = ["BTCUSDT"]
BTC, ETH = {"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/price/btcusdt", {}, b""),
        ("/klines/BTCUSDT", {"interval": "1m"}, b""),
        ("/stream/klines/BTCUSDT/1m", {}, b""),
        ("/signals/history", {"symbol": "BTCUSDT"}, b""),
        ("/signals/BTCUSDT:2025-11-01T10:47:01.535448", {}, b""),
        ("/signals/save", {}, json.dumps(BTC).encode()),
        ("/signals/batch", {}, b"\n".join([json.dumps(BTC).encode()] * 2)),
        ("/health", {}, b""),
    ],
)
def test_what_names_its_symbol_passes(path: str, query: dict[str, str], body: bytes) -> None:
    check_symbols(ALLOWED, path, query, body)


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/price/ETHUSDT", {}, b""),
        ("/price/ETHUSDT", {"symbol": "BTCUSDT"}, b""),
        ("/signals/history", {}, b""),
        ("/signals/history", {"symbol": "BTCUSDT,ETHUSDT"}, b""),
        ("/signals/ETHUSDT:2025-11-01T10:47:01.535448", {}, b""),
        ("/signals/save", {"symbol": "BTCUSDT"}, json.dumps(ETH).encode()),
        ("/signals/batch", {}, json.dumps([BTC, ETH]).encode()),
        ("/signals/batch", {}, json.dumps([BTC, {}]).encode()),
        ("/signals/batch", {"symbol": "BTCUSDT"}, b"[]"),
        ("/signals/batch", {"symbol": "BTCUSDT"}, gzip.compress(json.dumps([ETH]).encode(), mtime=0)),
        ("/settings/me", {"symbol": "BTCUSDT"}, b""),
        ("/price/ETHUSDT", {"symbol": "BTCUSDT"}, json.dumps(BTC).encode()),
        ("/signals/history", {}, json.dumps(BTC).encode()),
        ("/signals/save", {}, b"[" * 100_000),
        ("/stats/x", {"symbol": "BTCUSDT"}, b""),
        ("/socket.io/", {"symbol": "BTCUSDT"}, b""),
        ("/socket.io/", {}, b""),
        ("/sim/scenario", {}, b"{}"),
    ],
)
def test_everything_else_is_refused(path: str, query: dict[str, str], body: bytes) -> None:
    with pytest.raises(Forbidden, match="BTCUSDT only"):
        check_symbols(ALLOWED, path, query, body)
