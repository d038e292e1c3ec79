"""Which headers cross the gateway, and which are its own to say.

Hop-by-hop headers end here (RFC 9110, 7.6.1), those that `Connection` names among them. Who the client is, says the
gateway alone: whatever a client sends under those names is dropped.
"""

from collections.abc import Iterable, Mapping
from typing import Any

HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# Credentials end at the gateway; a service is told by voucher. Origin was judged here, and Host is the service's own.
OURS = frozenset({"authorization", "x-api-key", "cookie", "forwarded", "origin", "host", "content-length"})
OUR_PREFIXES = ("x-forwarded-", "x-fleet-", "x-real-")
ANSWER_OURS = ("access-control-", "x-fleet-")
Pairs = list[tuple[str, str]]


def to_service(environ: Mapping[str, Any]) -> Pairs:
    """The headers of a request (a WSGI environment) as the service may see them."""
    pairs = [(key[5:].replace("_", "-").title(), value) for key, value in environ.items() if key.startswith("HTTP_")]
    if content_type := environ.get("CONTENT_TYPE"):
        pairs.append(("Content-Type", content_type))
    gone = HOP_BY_HOP | OURS | _named(pairs)
    return [(n, v) for n, v in pairs if n.lower() not in gone and not n.lower().startswith(OUR_PREFIXES)]


def to_client(headers: Iterable[tuple[str, str]]) -> Pairs:
    """An answer's headers as the client may see them. What a page may read is said by the gateway's own CORS."""
    pairs = list(headers)
    gone = HOP_BY_HOP | _named(pairs)
    return [(n, v) for n, v in pairs if n.lower() not in gone and not n.lower().startswith(ANSWER_OURS)]


def _named(pairs: Pairs) -> set[str]:
    named = (value for name, value in pairs if name.lower() == "connection")
    return {part.strip().lower() for value in named for part in value.split(",")}
