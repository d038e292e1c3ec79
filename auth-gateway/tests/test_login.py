"""Registering, logging in, staying in and leaving, through the calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auth_gateway.attempts import MAX_FAILURES
from auth_gateway.settings import AuthSettings

from .conftest import ADA, Client, bearer, running, settings_for

pytestmark = [pytest.mark.api, pytest.mark.database]


def test_who_registers_can_log_in_by_email_or_username(client: Client) -> None:
    account = client.register()
    assert (account["username"], account["role"], account["plan"]) == ("ada", "trader", "free")
    tokens = client.login()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    client.ok("POST", "/auth/login", {"username": "ADA", "password": ADA["password"]})
    assert client.ok("GET", "/auth/validate")["account_id"] == account["id"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"username": "a"}, "username"),
        ({"username": "../etc"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "p" * 257}, "password"),
        ({"password": "password1"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"password": "trading-fleet"}, "password"),
        ({"username": "wonderland", "password": "wonderland12"}, "password"),
    ],
)
def test_what_may_not_be_an_account_is_refused_by_field(client: Client, fields: dict[str, str], wrong: str) -> None:
    assert client.refused(422, "POST", "/auth/register", ADA | fields)["fields"] == [wrong]


def test_a_taken_name_is_refused_without_saying_which(client: Client) -> None:
    client.register()
    again = client.refused(409, "POST", "/auth/register", ADA | {"email": "other@example.org", "username": "Ada"})
    assert again["message"] == client.refused(409, "POST", "/auth/register", ADA | {"username": "other"})["message"]


def test_a_password_is_any_unicode_and_one_letter_is_one_letter(client: Client) -> None:
    client.register(password="şifre çok güçlü ﬁ")
    client.login(password="s\u0327ifre c\u0327ok gu\u0308c\u0327lu\u0308 fi")


def test_wrong_passwords_unknown_names_and_disabled_accounts_answer_alike(ada: Client) -> None:
    wrong = ada.refused(401, "POST", "/auth/login", {"email": ADA["email"], "password": "wrong"})
    unknown = ada.refused(401, "POST", "/auth/login", {"email": "nobody@example.org", "password": "wrong"})
    assert wrong == unknown


def test_login_needs_a_name(client: Client) -> None:
    client.refused(422, "POST", "/auth/login", {"password": "x"})


def test_a_hundred_failures_lock_out_strangers_and_not_who_came_from_there_before(ada: Client) -> None:
    wrong = {"email": ADA["email"], "password": "wrong"}
    for number in range(MAX_FAILURES):
        stranger = {"X-Forwarded-For": f"192.0.2.{number}"}
        assert ada.send("POST", "/auth/login", wrong, stranger).status_code == 401
    ada.login()


def test_a_refresh_token_serves_once_and_its_second_use_ends_the_session(ada: Client) -> None:
    first = ada.login()
    second = ada.ok("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second["refresh_token"] != first["refresh_token"]
    ada.ok("GET", "/auth/validate", headers=bearer(second["access_token"]))
    ada.refused(401, "POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    ada.refused(401, "POST", "/auth/refresh", {"refresh_token": second["refresh_token"]})
    ada.refused(401, "GET", "/auth/validate", headers=bearer(second["access_token"]))


def test_a_logout_ends_access_and_refresh_tokens_at_once(ada: Client) -> None:
    tokens, other = ada.login(), ada.ok("POST", "/auth/login", {"username": "ada", "password": ADA["password"]})
    ada.ok("POST", "/auth/logout", headers=bearer(tokens["access_token"]))
    ada.refused(401, "GET", "/auth/validate", headers=bearer(tokens["access_token"]))
    ada.refused(401, "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    ada.ok("GET", "/auth/validate", headers=bearer(other["access_token"]))


def test_a_session_ends_by_itself(ada: Client) -> None:
    tokens = ada.login()
    ada.clock.advance(30 * 86_400 + 1)
    ada.refused(401, "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})


def test_a_new_password_ends_all_sessions(ada: Client) -> None:
    change = {"old_password": ADA["password"], "new_password": "another good sentence"}
    ada.refused(401, "POST", "/auth/password", change | {"old_password": "wrong"})
    ada.refused(422, "POST", "/auth/password", change | {"new_password": "12345678"})
    ada.ok("POST", "/auth/password", change)
    ada.refused(401, "GET", "/auth/validate")
    ada.refused(401, "POST", "/auth/login", {"email": ADA["email"], "password": ADA["password"]}, headers={})
    ada.login(password="another good sentence")


def test_what_ended_stays_ended_over_a_restart(settings: AuthSettings) -> None:
    for client in running(settings):
        client.register()
        client.login()
        client.ok("POST", "/auth/logout")
        headers = client.headers
    for client in running(settings):
        client.refused(401, "GET", "/auth/validate", headers=headers)


@pytest.fixture
def closed(tmp_path: Path, place: dict[str, str]) -> Iterator[Client]:
    yield from running(settings_for(tmp_path, REGISTRATION_OPEN="false", **place))


def test_registration_can_be_closed(closed: Client) -> None:
    closed.refused(403, "POST", "/auth/register", ADA)


NOBODY = [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"X-API-Key": "tfk_x"}]


@pytest.mark.parametrize("headers", NOBODY, ids=str)
def test_without_credentials_the_answer_is_401(client: Client, headers: dict[str, str]) -> None:
    client.refused(401, "GET", "/auth/validate", headers=headers)
    client.refused(401, "GET", "/auth/keys", headers=headers)
    client.refused(401, "POST", "/auth/logout", headers=headers)
