"""Keys that are bound to some symbols: which symbols a request names, and whether the key reaches them.

Such a key opens only calls that name their symbol, in the path, the query or the body. Everything else (a whole
history, a Socket.IO connection whose later events nobody sees here) is refused.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.errors import Forbidden

IN_PATH = re.compile(r"/(?:stream/)?(?:price|orderbook|trades|klines|liquidations)/([^/]+)(?:/[^/]*)?")
SIGNAL = re.compile(r"/signals/([^/:]+):.+")
# Where the query's `symbol`, or the body's, is what the call is about; anywhere else either may say what it likes.
BY_QUERY = re.compile(r"/(?:signals/(?:history|export|calibration)|performance/stats|prices)")
BY_BODY = re.compile(r"/(?:signals/(?:save|batch)|performance/track|sim/scenario)")
SELF_ONLY = re.compile(r"/(?:health(?:/.*)?|stats|openapi\.json|docs(?:/.*)?|symbols)")


def check_symbols(allowed: Iterable[str], path: str, query: Mapping[str, str], body: bytes) -> None:
    """Raise Forbidden unless the request names symbols, and only such as `allowed` holds."""
    if SELF_ONLY.fullmatch(path):
        return
    permitted = {symbol.upper() for symbol in allowed}
    named = {symbol.upper() for symbol in _named(path, query, body)}
    if not named or not named <= permitted:
        raise Forbidden(f"this key is for {', '.join(sorted(permitted)[:10])} only, and the call must name its symbol")


def _named(path: str, query: Mapping[str, str], body: bytes) -> Iterable[str]:
    if match := IN_PATH.fullmatch(path) or SIGNAL.fullmatch(path):
        yield match[1]
    if BY_QUERY.fullmatch(path):
        yield from (symbol for symbol in query.get("symbol", "").split(",") if symbol)
    if BY_BODY.fullmatch(path):
        yield from _in_body(body)


def _in_body(body: bytes) -> Iterable[str]:
    """The `symbol` of the object, or of each object of a list or of lines.

    A row without one counts as any, and so does a body that can't be read here (compressed, say): the service may.
    """
    rows: Any
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        try:
            rows = [json.loads(line) for line in body.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            rows = [None]
    for row in rows if isinstance(rows, list) and rows else [rows]:
        symbol = row.get("symbol") if isinstance(row, dict) else None
        yield symbol if isinstance(symbol, str) else "*"
