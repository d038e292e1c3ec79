"""Access tokens: what RFC 8725 warns of is refused, every time with the same 401."""

import base64
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from auth_gateway.tokens import AccessTokens, key_id
from shared.voucher import Voucher, make_voucher

from .conftest import NOW, SECRET, Client, bearer

pytestmark = [pytest.mark.api, pytest.mark.database]
KEY = SECRET.encode()


@pytest.fixture
def place(tmp_path: Path, migrated_sqlite: bytes) -> dict[str, str]:
    """Where sessions lie is of no matter here."""
    (tmp_path / "auth.sqlite3").write_bytes(migrated_sqlite)
    return {}


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return header, payload


def signed(header: dict[str, Any], payload: dict[str, Any], key: Any = KEY, algorithm: str | None = "HS256") -> str:
    return jwt.encode(payload, key, algorithm, headers=header)


def re_signed(header: str, payload: dict[str, Any]) -> str:
    """With the right key, however the header is written."""
    said = f"{base64.urlsafe_b64encode(header.encode()).decode().rstrip('=')}.{encoded(payload)}"
    proof = hmac.digest(KEY, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


Forge = Callable[[dict[str, Any], dict[str, Any]], str]
OTHER = b"another secret of more than thirty-two bytes"
FORGERIES: dict[str, Forge] = {
    "no algorithm": lambda h, p: f"{encoded({**h, 'alg': 'none'})}.{encoded(p)}.",
    "no algorithm, spelt otherwise": lambda h, p: f"{encoded({**h, 'alg': 'NonE'})}.{encoded(p)}.",
    "no signature": lambda h, p: ".".join(signed(h, p).split(".")[:2]) + ".",
    "another algorithm of the family": lambda h, p: signed({**h, "alg": "HS384"}, p, KEY * 2, "HS384"),
    "an algorithm of two keys named": lambda h, p: f"{encoded({**h, 'alg': 'RS256'})}.{encoded(p)}.AAAA",
    "another key": lambda h, p: signed(h, p, OTHER),
    "another key under its own id": lambda h, p: signed({**h, "kid": key_id(OTHER)}, p, OTHER),
    "a key id that is a path": lambda h, p: signed({**h, "kid": "../../dev/null"}, p),
    "no key id": lambda h, p: signed({"typ": h["typ"]}, p),
    "a key in its own header": lambda h, p: signed({**h, "jwk": {"kty": "oct", "k": "AAAA"}}, p, OTHER),
    "a key's address in its header": lambda h, p: signed({**h, "jku": "http://127.0.0.1:1/keys"}, p, OTHER),
    "certificates in its header": lambda h, p: signed({**h, "x5c": ["AAAA"], "x5u": "http://127.0.0.1:1/"}, p, OTHER),
    "another type": lambda h, p: signed({**h, "typ": "JWT"}, p),
    "no type": lambda h, p: signed({"kid": h["kid"], "typ": None}, p),
    "a critical extension": lambda h, p: signed({**h, "crit": ["exp"]}, p),
    "another issuer": lambda h, p: signed(h, {**p, "iss": "somebody"}),
    "another audience": lambda h, p: signed(h, {**p, "aud": "somebody"}),
    "no expiry": lambda h, p: signed(h, {n: v for n, v in p.items() if n != "exp"}),
    "an expiry that is no number": lambda h, p: signed(h, {**p, "exp": "never"}),
    "expired": lambda h, p: signed(h, {**p, "exp": NOW.timestamp() - 60}),
    "no session": lambda h, p: signed(h, {n: v for n, v in p.items() if n != "sid"}),
    "a role that there isn't": lambda h, p: signed(h, {**p, "role": "root"}),
    "a subject that is no text": lambda h, p: signed(h, {**p, "sub": 7}),
    "tampered with": lambda h, p: ".".join(
        (signed(h, p).split(".")[0], encoded({**p, "role": "admin"}), signed(h, p).split(".")[2])
    ),
    "a header spelt otherwise": lambda h, p: re_signed(json.dumps(h, indent=1), p),
    "a part too many": lambda h, p: signed(h, p) + ".AAAA",
    "rubbish": lambda h, p: "not a token",
    "nothing": lambda h, p: "",
    "far too long": lambda h, p: signed(h, {**p, "more": "x" * 4000}),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_opens_nothing(ada: Client, forge: Forge) -> None:
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    assert ada.ok("GET", "/auth/validate", headers=bearer(token))["valid"] is True
    error = ada.refused(401, "GET", "/auth/validate", headers=bearer(forge(*parts(token))))
    assert error["code"] == "unauthorized"


def test_what_opens_something_else_is_no_access_token(ada: Client) -> None:
    """A refresh token, a hook's address and secret, a voucher, and a hook's own way to sign under the same key."""
    refresh = ada.login()["refresh_token"]
    hook = ada.ok("POST", "/auth/hooks", {"name": "chart"})
    voucher = make_voucher(KEY, "auth-gateway", Voucher("127.0.0.1", "an account", "admin"), NOW.timestamp())
    for other in (refresh, hook["id"], hook["secret"], voucher):
        ada.refused(401, "GET", "/auth/validate", headers=bearer(other))
        ada.refused(401, "GET", "/auth/validate", headers={"X-API-Key": other})
    header, payload = parts(ada.headers["Authorization"].removeprefix("Bearer "))
    ada.refused(401, "GET", "/auth/validate", headers=bearer(signed(header, payload, hook["secret"].encode())))
    access = ada.headers["Authorization"].removeprefix("Bearer ")
    ada.refused(401, "POST", "/auth/refresh", {"refresh_token": access[:200]})
    ada.refused(401, "GET", "/auth/validate", headers={"X-API-Key": access})


def test_a_token_ends_by_the_services_clock(ada: Client) -> None:
    ada.clock.advance(899)
    ada.ok("GET", "/auth/validate")
    ada.clock.advance(10)
    ada.refused(401, "GET", "/auth/validate")


def test_a_secret_can_be_exchanged_while_tokens_of_the_old_one_are_in_force(ada: Client) -> None:
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    after = AccessTokens([OTHER, KEY], 900, lambda: NOW)
    assert after.read(token).role == "trader"
    with pytest.raises(Exception, match="valid access token"):
        AccessTokens([OTHER], 900, lambda: NOW).read(token)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AccessTokens([b"short"], 900, lambda: NOW)
