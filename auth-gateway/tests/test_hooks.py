"""Webhooks: who may come in, what becomes of it, and what is kept of the rest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from auth_gateway.hooks import MAX_HOOKS, MAX_LETTERS, sign
from auth_gateway.settings import AuthSettings

from .conftest import NOW, SECRET, Client, all_that_is_stored, bearer, running, settings_for

pytestmark = [pytest.mark.api, pytest.mark.database]
SIGNAL = {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.85, "price": 110000}


@pytest.fixture
def settings(tmp_path: Path, place: dict[str, str]) -> AuthSettings:
    """No database-service is there: nobody listens on port 1."""
    return settings_for(tmp_path, SERVICE_URLS="database-service=http://127.0.0.1:1", **place)


def made(client: Client, **asked: Any) -> dict[str, Any]:
    hook: dict[str, Any] = client.ok("POST", "/auth/hooks", {"name": "chart"} | asked)
    return hook


def event(
    client: Client, hook: dict[str, Any], body: bytes, at_s: float | None = None, secret: str | None = None,
    content_type: str = "application/json",
) -> TestResponse:  # fmt: skip
    timestamp = str(int(client.clock.now().timestamp() if at_s is None else at_s))
    headers = {"X-Timestamp": timestamp, "X-Signature": sign(secret or hook["secret"], timestamp, body)}
    http = client.service.app.test_client()
    return http.post(hook["path"], data=body, headers=headers, content_type=content_type)


def letters(client: Client, hook: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.ok("GET", f"/auth/hooks/{hook['id']}/dead-letters")
    return found


def test_a_secret_is_shown_once_and_stored_nowhere(ada: Client, settings: AuthSettings) -> None:
    hook = made(ada)
    [listed] = ada.ok("GET", "/auth/hooks")
    assert listed == {name: value for name, value in hook.items() if name != "secret"}
    text = all_that_is_stored(settings)
    assert hook["id"] in text
    assert hook["secret"] not in text


def test_what_comes_while_the_database_service_is_away_is_kept_to_be_retried(ada: Client) -> None:
    hook = made(ada)
    answer = event(ada, hook, json.dumps(SIGNAL).encode())
    assert (answer.status_code, answer.get_json()["data"]) == (202, {"delivered": False, "dead_letter": 1})
    [letter] = letters(ada, hook)
    assert json.loads(letter["body"]) == SIGNAL
    ada.refused(503, "POST", f"/auth/hooks/{hook['id']}/dead-letters/1/retry")
    assert letters(ada, hook)[0]["attempts"] == 2
    ada.refused(404, "POST", f"/auth/hooks/{hook['id']}/dead-letters/2/retry")


def test_the_same_event_comes_in_once(ada: Client) -> None:
    hook, body = made(ada), json.dumps(SIGNAL).encode()
    assert event(ada, hook, body).status_code == 202
    assert event(ada, hook, body).status_code == 409
    ada.clock.advance(1)
    assert event(ada, hook, body).status_code == 202
    assert len(letters(ada, hook)) == 2


@pytest.mark.parametrize("off_s", [-301, 301])
def test_an_event_outside_the_window_is_refused(ada: Client, off_s: int) -> None:
    hook = made(ada)
    assert event(ada, hook, b"[]", NOW.timestamp() + off_s).status_code == 401
    assert event(ada, hook, b"[]", NOW.timestamp() + off_s * 300 / 301).status_code == 422


def test_without_the_right_signature_nothing_comes_in_and_nothing_is_kept(ada: Client) -> None:
    hook, other = made(ada), made(ada)
    assert event(ada, hook, b"{}", secret=other["secret"]).status_code == 401
    for headers in ({}, {"X-Timestamp": "1"}, {"X-Timestamp": "x", "X-Signature": "sha256=é"}):
        ada.refused(401, "POST", hook["path"], {}, headers)
    ada.refused(404, "POST", "/hooks/nobody", {}, {})
    assert letters(ada, hook) == []


def test_a_body_that_cannot_be_understood_is_kept_with_its_reason(ada: Client) -> None:
    hook = made(ada, fields={"symbol": "ticker", "price": "close"})
    for body, status, reason in (
        (b"BTC crosses", 400, "JSON"),
        (b"[]", 422, "object"),
        (b'{"ticker":"BTCUSDT"}', 422, "close"),
        (b'{"ticker":"BTCUSDT","close":"nan"}', 422, "number"),
    ):
        assert event(ada, hook, body, content_type="text/plain; charset=utf-8").status_code == status
        assert reason in letters(ada, hook)[0]["reason"]


def test_dead_letters_are_bounded_and_the_oldest_make_room(ada: Client) -> None:
    hook = made(ada)
    for number in range(MAX_LETTERS + 2):
        assert event(ada, hook, b"[%d]" % number).status_code == 422
    numbers = [letter["number"] for letter in letters(ada, hook)]
    assert numbers == list(range(MAX_LETTERS + 2, 2, -1))


def test_a_sender_that_cannot_sign_comes_in_only_where_its_hook_says_so(ada: Client) -> None:
    signed, plain = made(ada), made(ada, proof="address")
    ada.refused(401, "POST", signed["path"], SIGNAL, {})
    assert ada.send("POST", plain["path"], SIGNAL, {}).status_code == 202


def test_a_secret_in_the_body_is_checked_and_not_kept(ada: Client) -> None:
    hook = made(ada, proof="address_and_secret")
    for secret in ("", "é", 1, None, made(ada)["secret"]):
        ada.refused(401, "POST", hook["path"], SIGNAL | {"secret": secret}, {})
    ada.refused(401, "POST", hook["path"], [], {})
    assert ada.send("POST", hook["path"], SIGNAL | {"secret": hook["secret"]}, {}).status_code == 202
    assert hook["secret"] not in letters(ada, hook)[0]["body"]


def test_a_body_over_its_bound_or_of_another_type_is_refused(ada: Client) -> None:
    hook = made(ada)
    assert event(ada, hook, b" " * 65_537).status_code == 413
    assert event(ada, hook, b"{}", content_type="text/html").status_code == 415


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"name": ""}, "name"),
        ({"proof": "none"}, "proof"),
        ({"fields": {"colour": "x"}}, "fields.colour"),
        ({"fields": {"price": "a b"}}, "fields.price"),
        ({"fixed": {"signal_id": "x"}}, "fixed.signal_id"),
        ({"fields": {"price": "x"}, "fixed": {"price": 1.5}}, "fixed.price"),
    ],
)
def test_what_may_not_be_a_hook_is_refused_by_field(ada: Client, asked: dict[str, Any], field: str) -> None:
    assert ada.refused(422, "POST", "/auth/hooks", {"name": "chart"} | asked)["fields"] == [field]


def test_hooks_of_others_are_not_there_and_a_key_manages_none(ada: Client) -> None:
    hook = made(ada)
    key = bearer(ada.ok("POST", "/auth/keys", {"name": "bot", "scopes": ["*:write"]})["key"])
    ada.refused(403, "POST", "/auth/hooks", {"name": "chart"}, key)
    ada.register(email="bob@example.org", username="bob")
    ada.login(email="bob@example.org")
    assert ada.ok("GET", "/auth/hooks") == []
    for method, path in (("DELETE", ""), ("GET", "/dead-letters"), ("POST", "/dead-letters/1/retry")):
        ada.refused(404, method, f"/auth/hooks/{hook['id']}{path}")


def test_a_deleted_hook_takes_nothing_and_makes_room(ada: Client) -> None:
    hooks = [made(ada) for _ in range(MAX_HOOKS)]
    ada.refused(409, "POST", "/auth/hooks", {"name": "one too many"})
    event(ada, hooks[0], b"[]")
    ada.ok("DELETE", f"/auth/hooks/{hooks[0]['id']}")
    assert event(ada, hooks[0], b"{}").status_code == 404
    made(ada)


@pytest.fixture
def limited(tmp_path: Path, place: dict[str, str]) -> Iterator[Client]:
    yield from running(settings_for(tmp_path, RATE_LIMIT_ENABLED="true", RATE_LIMIT_HOOKS="2", **place))


def test_each_hook_has_its_own_limit_that_strangers_do_not_use_up(limited: Client) -> None:
    limited.register()
    limited.login()
    hook, other = made(limited), made(limited)
    for _ in range(3):
        assert event(limited, hook, b"{}", secret="tfh_wrong").status_code == 401
    assert [event(limited, hook, b"[%d]" % number).status_code for number in range(3)] == [422, 422, 429]
    assert event(limited, other, b"[]").status_code == 422


def test_the_secret_before_holds_while_its_key_is_named(tmp_path: Path, place: dict[str, str]) -> None:
    for client in running(settings_for(tmp_path, **place)):
        client.register()
        client.login()
        hook = made(client)
    for given, status in (({"AUTH_SECRET_OLD": SECRET}, 422), ({}, 401)):
        secret = {"AUTH_SECRET": "another one of more than 32 bytes"}
        for client in running(settings_for(tmp_path, **secret, **given, **place)):
            assert event(client, hook, b"[]").status_code == status
