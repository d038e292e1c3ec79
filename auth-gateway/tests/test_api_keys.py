"""API keys: shown once, bound in what they open and for how long."""

from datetime import timedelta

import pytest

from auth_gateway.settings import AuthSettings
from shared.clock import to_iso

from .conftest import ADA, NOW, Client, all_that_is_stored, bearer

pytestmark = [pytest.mark.api, pytest.mark.database]


def test_a_key_is_shown_once_and_opens_what_its_scopes_say(ada: Client) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "my bot", "scopes": ["database-service:write"]})
    [listed] = ada.ok("GET", "/auth/keys")
    assert "key" not in listed
    assert made["key"].startswith(listed["shown"].rstrip("…"))
    for headers in (bearer(made["key"]), {"X-API-Key": made["key"]}):
        who = ada.ok("GET", "/auth/validate", headers=headers)
        assert (who["scopes"], who["key_id"]) == (["database-service:write"], made["id"])


def test_the_database_holds_no_secret(ada: Client, settings: AuthSettings) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "bot"})
    text = all_that_is_stored(settings)
    assert made["id"] in text
    assert not [secret for secret in (made["key"], ada.login()["refresh_token"], ADA["password"]) if secret in text]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["*"]}, "scopes"),
        ({"scopes": ["no-such-service:read"]}, "scopes"),
        ({"scopes": ["*:admin"]}, "scopes"),
        ({"symbols": ["btc usdt"]}, "symbols"),
        ({"per_minute": 0}, "per_minute"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": 7}, "expires_at"),
    ],
)
def test_what_may_not_be_a_key_is_refused_by_field(ada: Client, fields: dict[str, object], wrong: str) -> None:
    error = ada.refused(422, "POST", "/auth/keys", {"name": "bot"} | fields)
    assert {field.partition(".")[0] for field in error["fields"]} == {wrong}


def test_a_revoked_key_opens_nothing_at_once(ada: Client) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "bot"})
    ada.ok("GET", "/auth/validate", headers=bearer(made["key"]))
    ada.ok("DELETE", f"/auth/keys/{made['id']}")
    ada.ok("DELETE", f"/auth/keys/{made['id']}")
    ada.refused(401, "GET", "/auth/validate", headers=bearer(made["key"]))


def test_a_rotated_key_keeps_its_id_and_changes_its_secret(ada: Client) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "bot"})
    ada.ok("GET", "/auth/validate", headers=bearer(made["key"]))
    changed = ada.ok("POST", f"/auth/keys/{made['id']}/rotate")
    assert changed["id"] == made["id"]
    ada.refused(401, "GET", "/auth/validate", headers=bearer(made["key"]))
    ada.ok("GET", "/auth/validate", headers=bearer(changed["key"]))


def test_a_key_ends_by_itself(ada: Client) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "bot", "expires_at": to_iso(NOW + timedelta(hours=1))})
    ada.ok("GET", "/auth/validate", headers=bearer(made["key"]))
    ada.clock.advance(3601)
    ada.refused(401, "GET", "/auth/validate", headers=bearer(made["key"]))


def test_keys_of_others_are_not_there(ada: Client) -> None:
    made = ada.ok("POST", "/auth/keys", {"name": "bot"})
    ada.register(email="bob@example.org", username="bob")
    ada.login(email="bob@example.org")
    assert ada.ok("GET", "/auth/keys") == []
    ada.refused(404, "DELETE", f"/auth/keys/{made['id']}")
    ada.refused(404, "POST", f"/auth/keys/{made['id']}/rotate")


def test_a_key_manages_no_keys_and_has_no_session(ada: Client) -> None:
    key = bearer(ada.ok("POST", "/auth/keys", {"name": "bot", "scopes": ["*:write"]})["key"])
    ada.refused(403, "GET", "/auth/keys", headers=key)
    ada.refused(403, "POST", "/auth/keys", {"name": "another"}, headers=key)
    ada.refused(422, "POST", "/auth/logout", headers=key)


def test_a_plan_bounds_the_number_of_keys(ada: Client) -> None:
    made = [ada.ok("POST", "/auth/keys", {"name": f"bot {number}"})["id"] for number in range(5)]
    ada.refused(409, "POST", "/auth/keys", {"name": "one too many"})
    ada.ok("DELETE", f"/auth/keys/{made[0]}")
    ada.ok("POST", "/auth/keys", {"name": "in its place"})
