"""Requests that no client should send, as many as wanted, the same for the same seed."""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

METHODS = ["GET", "GET", "GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "FOO"]
WORDS = [
    "", "BTCUSDT", "btcusdt", "BUY", "a" * 33, "x" * 5000, "\x00", "\x1b[2J", "\u202e", "İ", "é币", "😀",
    "../../etc/passwd", "' OR 1=1 --", "<script>", "{{7*7}}", "%00", "%s%n", "null", "NaN", "-1", "1e999",
    "99999999999999999999", "2025-11-01", "9999-12-31T23:59:59-23:59", "0001-01-01", "save", "history", ".", "..",
    "a/b", "a;b", "a?b", "a#b", "\r\nX: y",
]  # fmt: skip
NUMBERS = [0, -1, 1, 0.5, 1e308, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, -(10**40), 110000]
CONTENT_TYPES = [
    *["application/json"] * 6, "application/json; charset=utf-16", "text/plain", "application/xml",
    "application/x-ndjson", "application/x-ndjson",
    "multipart/form-data", "application/x-www-form-urlencoded", "", "a" * 300, "application/json, text/html",
]  # fmt: skip
# What JSON writers can't be made to write.
RAW_BODIES = [
    b"", b"{", b"[]", b"null", b"0", b'"x"', b"NaN", b'{"price": NaN}', b'{"price": Infinity}', b'{"price": 1e999}',
    b'{"symbol": "\\ud800"}', b'{"symbol": "\\u0000"}', b'{"\\u0000": 1}', b"\xff\xfe\x00", b'{"a": "\xff"}',
    b"\xef\xbb\xbf{}", b"[" * 100_000, b"[" * 500 + b"]" * 500, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a": 1, "a": 2}',
    b"9" * 5000, b'{"price": ' + b"9" * 5000 + b"}", b"<xml/>", b"a=b&c=d", b"\x1f\x8b\x08\x00",
    b'{"a": 1}\x00', b" " * 2000,
]  # fmt: skip
# Past the opaque ones, cursors with the right outside.
CURSORS = ["", "x", "AAAA", "W10=", "eyJhIjoxfQ==", "MjAyNS0xMS0wMQ", "-" * 64, "A" * 5000, "\x00", "é"]
SHARE_OF_LISTS = 0.3  # of the bodies for calls that take many rows
HUGE_BODIES = [b'{"symbol": "' + b"a" * 1_100_000 + b'"}', b"[" + b"1," * 600_000 + b"1]"]
HEADERS = {
    "X-Request-ID": ["a b", "x" * 5000, "\xe9", "<script>", "ok-1"],
    "Idempotency-Key": ["", "k" * 256, "k\xe9", "same"],
    "Origin": ["null", "https://evil.example", "http://localhost:1", "x"],
    "Host": ["evil.example", "localhost:99999", "[::1", "a b"],
    "X-Forwarded-For": ["1.2.3.4", "x", "1.2.3.4, " * 200],
    "Content-Encoding": ["gzip", "gzip, gzip", "br", "nope"],
    "Accept": ["text/html", "*/*", "x" * 1000],
    "Range": ["bytes=0-1", "bytes=-"],
    "If-None-Match": ["*"],
    "Cookie": ["a=b; " * 200],
    "Authorization": ["Basic x", "Bearer " + "x" * 3000],
    "Connection": ["upgrade", "close"],
    "Upgrade": ["h2c", "TLS/1.0"],
    "Expect": ["200-ok"],
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of the service's own description: what it would take."""

    method: str
    path: str
    query: list[str]
    body: list[str]
    many: bool = False  # takes rows: a JSON array or NDJSON, gzip or not


@dataclass(frozen=True, slots=True)
class BadRequest:
    """One request, wrong in at least one way."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def operations(document: dict[str, Any]) -> list[Operation]:
    """The calls of an OpenAPI document, with the names that their queries and bodies know."""
    schemas = document["components"]["schemas"]
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            outer = content.get("schema", {})
            many = outer.get("type") == "array"
            schema = schemas.get((outer["items"] if many else outer).get("$ref", "").rsplit("/", 1)[-1], {})
            query = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
            found.append(Operation(method.upper(), path, query, list(schema.get("properties", ())), many))
    return found


def bad_requests(calls: list[Operation], count: int, seed: int) -> Iterator[BadRequest]:
    """`count` of them, aimed at these calls and a little beside them."""
    dice = random.Random(seed)
    choosy = [call for call in calls if call.query or call.body or "{" in call.path]  # can be got wrong in more ways
    for _ in range(count):
        call = dice.choice([*choosy * 4, *calls])
        method = call.method if dice.random() < 0.75 else dice.choice(METHODS)
        headers = {name: dice.choice(values) for name, values in HEADERS.items() if dice.random() < 0.05}
        body = _rows(dice, call, headers) if method not in {"GET", "HEAD", "TRACE"} or dice.random() < 0.1 else None
        if body is not None:
            headers.setdefault("Content-Type", dice.choice(CONTENT_TYPES))
        yield BadRequest(method, _path(dice, call), {k: v for k, v in headers.items() if v}, body)


def _path(dice: random.Random, call: Operation) -> str:
    if dice.random() < 0.1:
        path = "/" + quote(dice.choice(WORDS), safe="/%?;#" if dice.random() < 0.3 else "")
        return path.replace("#", "%23")
    path = call.path
    while "{" in path:
        path = path[: path.index("{")] + quote(dice.choice(WORDS), safe="") + path[path.index("}") + 1 :]
    pairs = []
    while dice.random() < 0.5:
        name = dice.choice([*call.query * 3, "x", "limit", "\x00", "a[]"])
        value = str(dice.choice(NUMBERS)) if dice.random() < 0.4 else dice.choice(WORDS)
        if name == "cursor":
            value = dice.choice(CURSORS)
        pairs.append(f"{quote(name)}={quote(value) if dice.random() < 0.9 else '%ff%'}")
    return path + ("?" + "&".join(pairs) if pairs else "")


def _rows(dice: random.Random, call: Operation, headers: dict[str, str]) -> bytes:
    """A body; for calls that take many rows also lists, lines and gzip, damaged or not."""
    if not call.many or dice.random() > SHARE_OF_LISTS:
        return _body(dice, call.body)
    rows = [_body(dice, call.body)[:20_000] for _ in range(dice.choice([0, 1, 2, 5, 30]))]
    if dice.random() < 0.5:
        headers["Content-Type"] = "application/x-ndjson"
        body = dice.choice([b"\n", b"\r\n", b"\n\n"]).join(rows)
    else:
        headers["Content-Type"] = "application/json"
        body = b"[" + b",".join(rows) + b"]"
    if dice.random() < 0.4:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body * dice.choice([1, 1, 1, 500]), 1)[:200_000]
        body = body[: dice.randrange(len(body))] if dice.random() < 0.3 else body
    return body


def _body(dice: random.Random, names: list[str]) -> bytes:
    if dice.random() < 0.002:
        return dice.choice(HUGE_BODIES)
    if dice.random() < 0.3:
        return dice.choice(RAW_BODIES)
    document = {name: _value(dice) for name in [*names, "x", "__proto__"] if dice.random() < 0.6}
    text = json.dumps(document).encode()
    if dice.random() < 0.2:  # cut, or one byte changed
        at = dice.randrange(len(text))
        text = text[:at] if dice.random() < 0.5 else text[:at] + bytes([dice.randrange(256)]) + text[at + 1 :]
    return text


def _value(dice: random.Random, depth: int = 3) -> Any:
    kind = dice.randrange(7 if depth else 5)
    if kind == 5:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind == 6:
        return {dice.choice(WORDS): _value(dice, depth - 1) for _ in range(dice.randrange(4))}
    return [None, dice.random() < 0.5, dice.choice(NUMBERS), dice.choice(WORDS), dice.choice(WORDS)][kind]


def bad_bytes(calls: list[Operation], count: int, seed: int) -> Iterator[bytes]:
    """`count` requests as bytes, damaged so that many are no HTTP at all."""
    dice = random.Random(seed)
    for request in bad_requests(calls, count, seed):
        head = f"{request.method} {request.path} HTTP/1.1\r\nHost: localhost\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "Host")
        body = request.body or b""
        length = dice.choice([len(body)] * 6 + [0, 1, -1, len(body) + 5, 10**12])
        data = head.encode("latin-1", "replace") + f"Content-Length: {length}\r\n\r\n".encode() + body[:20_000]
        for _ in range(dice.choice([0, 1, 1, 2, 5])):
            at = dice.randrange(min(len(data), 300))
            piece = bytes(dice.randrange(256) for _ in range(dice.randrange(4)))
            data = data[:at] + piece + data[at + dice.randrange(4) :]
        yield data
