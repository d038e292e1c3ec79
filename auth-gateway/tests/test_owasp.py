"""What OWASP's API Security Top 10 (2023) warns of and no test of another file looks at; docs/security.md has them all.

The gateway is a process of its own. Behind it stands a service that was taken over and answers what a test wants, and
beside it a host that must never be asked anything.
"""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import argon2
import pytest
import sqlalchemy as sa

from auth_gateway.attempts import MAX_FAILURES, STRANGERS_TRIES
from auth_gateway.hashing.argon2_hasher import Argon2Hasher
from auth_gateway.settings import AuthSettings
from auth_gateway.stores.schema import accounts
from shared.errors import Unavailable
from shared.testing.http_server import HttpServer, Reply
from shared.testing.migrations import engine_for
from shared.testing.net import wait_until
from shared.testing.process import ServiceProcess

from .conftest import ADA, Client, bearer, running, settings_for
from .fleet import SECRET, Gateway

pytestmark = [pytest.mark.integration, pytest.mark.api, pytest.mark.database]
BOB = {"email": "bob@example.org", "username": "bob"}


class Rogue:
    """A service that was taken over. `answers`: what it says, by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []  # method, target, headers

    def __call__(self, handler: BaseHTTPRequestHandler) -> Reply:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        handler.rfile.read(int(headers.get("content-length", 0)))
        self.seen.append((handler.command, handler.path, headers))
        return self.answers.get(handler.path.partition("?")[0], json_reply({"success": True}))


def json_reply(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(document).encode()


def description(paths: dict[str, Any]) -> Reply:
    return json_reply({"openapi": "3.1.0", "paths": paths, "components": {"schemas": {}}})


@pytest.fixture(scope="module")
def rogue() -> Rogue:
    return Rogue()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[HttpServer]:
    """A host that nobody may be led to."""
    with HttpServer(lambda _: json_reply({"led": "astray"})) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(rogue: Rogue) -> Iterator[Gateway]:
    with HttpServer(rogue) as server:
        urls = ",".join(f"{name}={server.url}" for name in ("database-service", "websocket-streaming"))
        env = {"AUTH_REQUIRED": "true", "FLEET_SECRET": SECRET, "RATE_LIMIT_ENABLED": "false", "SERVICE_URLS": urls}
        rogue.answers["/openapi.json"] = description({"/danger": {"get": {"x-needs": "admin", "operationId": "d"}}})
        with ServiceProcess("auth-gateway", env) as process:
            yield Gateway(process, {})


@pytest.fixture(scope="module")
def reader(gateway: Gateway) -> dict[str, str]:
    return gateway.account("reader", "reader")


@pytest.fixture(scope="module")
def trader(gateway: Gateway) -> dict[str, str]:
    return gateway.account("trader", "trader")


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> dict[str, str]:
    return gateway.account("admin", "admin")


def raw(gateway: Gateway, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """A request whose target goes out exactly as it is written."""
    link = http.client.HTTPConnection("127.0.0.1", gateway.process.port, timeout=10)
    link.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        link.putheader(name, value)
    link.endheaders(body)
    answer = link.getresponse()
    found = answer.status, answer.read()
    link.close()
    return found


# API1: objects of others


def test_no_call_that_names_something_of_another_account_finds_it(ada: Client) -> None:
    """Whatever call the gateway has or will have: each that takes an id is asked with one of Ada's, by Bob."""
    hook = ada.ok("POST", "/auth/hooks", {"name": "chart", "proof": "address"})
    ids = {"key_id": ada.ok("POST", "/auth/keys", {"name": "bot"})["id"], "hook_id": hook["id"], "number": "1"}
    ada.send("POST", hook["path"], {"symbol": "BTCUSDT"}, {})  # it becomes a dead letter
    of_ada = ada.headers
    ada.register(**BOB)
    ada.login(email=BOB["email"])
    checked = 0
    for path, operations in ada.ok("GET", "/openapi.json")["paths"].items():
        if "{" in path and not path.startswith("/hooks/"):  # that one is for senders, who prove themselves otherwise
            for method in operations:
                ada.refused(404, method.upper(), path.format(**ids))
                checked += 1
    assert checked >= 5
    assert [key["revoked_at"] for key in ada.ok("GET", "/auth/keys", headers=of_ada)] == [None]
    assert len(ada.ok("GET", f"/auth/hooks/{hook['id']}/dead-letters", headers=of_ada)) == 1


def test_one_accounts_logout_and_password_end_no_session_of_another(ada: Client) -> None:
    of_ada = ada.headers
    ada.register(**BOB)
    ada.login(email=BOB["email"])
    ada.ok("POST", "/auth/password", {"old_password": ADA["password"], "new_password": "another good sentence"})
    ada.login(email=BOB["email"], password="another good sentence")
    ada.ok("POST", "/auth/logout")
    ada.ok("GET", "/auth/validate", headers=of_ada)


# API2: who somebody is


def test_a_disabled_account_opens_nothing_and_looks_like_a_wrong_password(ada: Client, settings: AuthSettings) -> None:
    key = ada.ok("POST", "/auth/keys", {"name": "bot"})["key"]
    unknown = ada.refused(401, "POST", "/auth/login", {"username": "nobody", "password": "x"})
    engine = engine_for(settings.store_url)
    with engine.execution_options(writes=True).begin() as link:
        link.execute(sa.update(accounts).values(disabled=True))
    engine.dispose()
    ada.clock.advance(6)  # a key is remembered for five seconds
    assert ada.refused(401, "POST", "/auth/login", {"username": "ada", "password": ADA["password"]}) == unknown
    ada.refused(401, "GET", "/auth/validate", headers=bearer(key))


def test_an_unknown_name_costs_as_much_work_as_a_wrong_password(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = argon2.PasswordHasher.verify

    def noting(self: argon2.PasswordHasher, stored: str, password: str) -> Any:
        checked.append(stored.rpartition("$")[0].rpartition("$")[0])  # kind and parameters, without salt and hash
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noting)
    for name in ("ada", "nobody"):
        ada.refused(401, "POST", "/auth/login", {"username": name, "password": "wrong"})
    assert len(checked) == 2
    assert checked[0] == checked[1] == "$argon2id$v=19$m=19456,t=2,p=1"


def test_a_key_guesses_no_password_and_wrong_old_ones_are_counted_like_logins(ada: Client) -> None:
    key = bearer(ada.ok("POST", "/auth/keys", {"name": "bot", "scopes": ["*:write"]})["key"])
    change = {"old_password": ADA["password"], "new_password": "another good sentence"}
    ada.refused(403, "POST", "/auth/password", change, key)
    for _ in range(MAX_FAILURES):
        ada.refused(401, "POST", "/auth/login", {"username": "ada", "password": "wrong"}, {})
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.9"}}
    http = ada.service.app.test_client()

    def guess() -> int:
        wrong = change | {"old_password": "wrong"}
        return http.post("/auth/password", json=wrong, headers=ada.headers, **elsewhere).status_code

    assert [guess() for _ in range(STRANGERS_TRIES + 2)] == [401] * STRANGERS_TRIES + [429] * 2


# API3: fields


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/auth/register", ADA | BOB, {"role": "admin"}),
        ("/auth/register", ADA | BOB, {"plan": "desk"}),
        ("/auth/register", ADA | BOB, {"disabled": False}),
        ("/auth/register", ADA | BOB, {"id": "x"}),
        ("/auth/login", {"username": "ada", "password": ADA["password"]}, {"role": "admin"}),
        ("/auth/password", {"old_password": "x", "new_password": "y"}, {"account_id": "x"}),
        ("/auth/keys", {"name": "bot"}, {"account_id": "x"}),
        ("/auth/keys", {"name": "bot"}, {"revoked_at": None}),
        ("/auth/hooks", {"name": "chart"}, {"account_id": "x"}),
        ("/auth/hooks", {"name": "chart"}, {"secret": "tfh_mine"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_field_that_a_client_may_not_set_is_refused_by_name(
    ada: Client, path: str, body: dict[str, Any], more: dict[str, Any]
) -> None:
    assert ada.refused(422, "POST", path, body | more)["fields"] == list(more)


def test_answers_show_what_they_should_and_no_more(ada: Client) -> None:
    account = {"id", "email", "username", "role", "plan", "disabled", "created_at"}
    key = {"id", "name", "shown", "scopes", "symbols", "per_minute", "created_at", "expires_at", "revoked_at"}
    hook = {"id", "name", "proof", "fields", "fixed", "path", "created_at"}
    assert set(ada.ok("POST", "/auth/register", ADA | BOB)) == account
    assert set(ada.ok("POST", "/auth/keys", {"name": "bot"})) == key | {"key"}
    assert set(ada.ok("GET", "/auth/keys")[0]) == key
    assert set(ada.ok("POST", "/auth/hooks", {"name": "chart"})) == hook | {"secret"}
    assert set(ada.ok("GET", "/auth/hooks")[0]) == hook


# API4: resources


def test_one_ipv6_network_has_one_limit(limited: Client) -> None:
    http = limited.service.app.test_client()

    def register(number: int, address: str) -> int:
        account = ADA | {"email": f"{number}@example.org", "username": f"robot{number}"}
        return http.post("/auth/register", json=account, environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [register(number, f"2001:db8::{number + 1}") for number in range(4)] == [200, 200, 200, 429]
    assert register(9, "2001:db8:0:1::1") == 200


def test_a_body_over_ten_megabytes_goes_no_further_than_the_gateway(
    gateway: Gateway, rogue: Rogue, trader: dict[str, str]
) -> None:
    answer = raw(gateway, "POST", "/api/database-service/too-large", trader, b" " * 10_000_001)
    assert (answer[0], json.loads(answer[1])["error"]["code"]) == (413, "too_large")
    assert not [target for _, target, _ in rogue.seen if target == "/too-large"]


def test_logins_past_the_queues_bound_are_asked_to_come_again() -> None:
    hasher = Argon2Hasher(max_waiting=2)

    def once(number: int) -> str:
        try:
            return hasher.hash(f"password {number}")[:10]
        except Unavailable as busy:
            return f"again in {busy.retry_after_s} s"

    with ThreadPoolExecutor(20) as pool:
        said = set(pool.map(once, range(20)))
    hasher.close()
    assert said == {"$argon2id$", "again in 2 s"}


# API5: functions


def test_who_registers_on_a_closed_fleet_reads_until_an_administrator_says_more(gateway: Gateway) -> None:
    account = {"email": "nina@example.org", "username": "nina", "password": ADA["password"]}
    assert gateway.ask("POST", "/auth/register", account).json()["data"]["role"] == "reader"
    write: tuple[str, str, Any] = ("POST", "/api/database-service/signals/save", {})
    assert gateway.ask(*write, **gateway.token("nina")).status == 403
    assert gateway.by_hand("change", "nina", "--role", "trader").returncode == 0
    assert gateway.ask(*write, **gateway.token("nina")).status == 200


def test_before_a_service_has_said_what_its_calls_need_nobody_passes(tmp_path: Path, migrated_sqlite: bytes) -> None:
    (tmp_path / "auth.sqlite3").write_bytes(migrated_sqlite)
    silent = Rogue()
    silent.answers["/openapi.json"] = json_reply({}, 503)
    with HttpServer(silent) as server:
        urls = f"database-service={server.url}"
        for client in running(settings_for(tmp_path, SERVICE_URLS=urls, AUTH_REQUIRED="true", FLEET_SECRET=SECRET)):
            client.register()
            client.login()
            for headers in ({}, client.headers):
                for method in ("GET", "POST", "DELETE"):
                    client.refused(503, method, "/api/database-service/danger", {}, headers)
            assert {target for _, target, _ in silent.seen} == {"/openapi.json"}


def test_prices_of_all_need_what_prices_of_one_need(gateway: Gateway, trader: dict[str, str]) -> None:
    asked = {"name": "bot", "scopes": ["websocket-streaming:read"], "symbols": ["BTCUSDT"]}
    key = {"X-API-Key": gateway.ask("POST", "/auth/keys", asked, **trader).json()["data"]["key"]}
    asked = {"name": "bot", "scopes": ["database-service:read"]}
    foreign = {"X-API-Key": gateway.ask("POST", "/auth/keys", asked, **trader).json()["data"]["key"]}
    statuses = {
        query: [gateway.ask("GET", f"/api/market/prices{query}", **who).status for who in ({}, foreign, key, trader)]
        for query in ("", "?symbols=BTCUSDT", "?symbols=BTCUSDT,ETHUSDT")
    }
    assert statuses["?symbols=BTCUSDT"] == [401, 403, 200, 200]
    assert statuses["?symbols=BTCUSDT,ETHUSDT"] == [401, 403, 403, 200]
    assert statuses[""][:3] == [401, 403, 403]


DISGUISES = [
    "/danger", "/danger/", "//danger", "/./danger", "/x/../danger", "/%64anger", "/danger%3fx", "/danger?x=1",
    "/danger;x", "/danger%2f", "/%2e/danger", "/danger%23", "/danger%00", "/danger%20", "/%2fdanger", "/danger%0a",
    "\\danger", "/DANGER",
]  # fmt: skip


@pytest.mark.parametrize("path", DISGUISES)
def test_no_spelling_of_an_administrators_call_reaches_it_by_others(
    gateway: Gateway, rogue: Rogue, trader: dict[str, str], admin: dict[str, str], path: str
) -> None:
    def reached() -> int:
        return [target.partition("?")[0] for _, target, _ in rogue.seen].count("/danger")

    assert raw(gateway, "GET", "/api/database-service/danger", admin)[0] == 200
    before = reached()
    for method in ("GET", "HEAD"):
        for headers in (trader, {**trader, "X-Original-URL": "/danger", "X-Rewrite-URL": "/danger"}):
            raw(gateway, method, f"/api/database-service{path}", headers)
    assert reached() == before


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_a_write_of_a_readers_read(
    gateway: Gateway, rogue: Rogue, reader: dict[str, str], name: str
) -> None:
    assert raw(gateway, "POST", "/api/database-service/signals/save", reader)[0] == 403
    before = len(rogue.seen)
    assert raw(gateway, "GET", "/api/database-service/signals/save", {**reader, name: "POST"})[0] == 200
    assert {method for method, _, _ in rogue.seen[before:]} == {"GET"}


def test_what_is_for_administrators_is_refused_to_all_others_and_to_their_keys(
    gateway: Gateway, reader: dict[str, str], trader: dict[str, str], admin: dict[str, str]
) -> None:
    document = gateway.ask("GET", "/openapi.json").json()
    calls = [(m.upper(), p) for p, ms in document["paths"].items() for m, o in ms.items() if o["x-needs"] == "admin"]
    assert {("GET", "/auth/audit"), ("GET", "/auth/audit/verify")} <= set(calls)
    asked = {"name": "bot", "scopes": ["*:write"]}
    key = {"X-API-Key": gateway.ask("POST", "/auth/keys", asked, **admin).json()["data"]["key"]}
    for method, path in calls:
        for who in (reader, trader, key):
            assert gateway.ask(method, path, **who).status == 403
        assert gateway.ask(method, path).status == 401
        assert gateway.ask(method, path, **admin).status == 200
    for headers in (reader, trader):
        made = gateway.ask("POST", "/auth/keys", {"name": "bot", "scopes": ["*:admin"]}, **headers)
        assert made.status == 422


def test_who_is_changed_by_hand_has_what_the_new_role_gives_at_once_and_his_keys_too(gateway: Gateway) -> None:
    token = gateway.account("dave", "trader")
    write: tuple[str, str, Any] = ("POST", "/api/database-service/signals/save", {})
    key = {
        "X-API-Key": gateway.ask("POST", "/auth/keys", {"name": "b", "scopes": ["*:write"]}, **token).json()["data"][
            "key"
        ]
    }
    hook = gateway.ask("POST", "/auth/hooks", {"name": "chart", "proof": "address"}, **token).json()["data"]["path"]
    assert [gateway.ask(*write, **who).status for who in (token, key)] == [200, 200]
    assert gateway.by_hand("change", "dave", "--role", "reader").returncode == 0
    assert gateway.ask(*write, **token).status == 401
    wait_until(lambda: gateway.ask(*write, **key).status == 403, what="the key is narrower (remembered for 5 s)")
    assert gateway.ask("POST", hook, {"symbol": "BTCUSDT"}).status == 403
    again = gateway.token("dave")
    assert gateway.ask("GET", "/auth/validate", **again).json()["data"]["role"] == "reader"
    assert gateway.by_hand("change", "dave", "--disable").returncode == 0
    assert gateway.ask("GET", "/auth/validate", **again).status == 401
    wait_until(lambda: gateway.ask("GET", "/auth/validate", **key).status == 401, what="the key opens nothing")
    assert gateway.ask("POST", "/auth/login", {"username": "dave", "password": ADA["password"]}).status == 401


@pytest.mark.parametrize(
    ("words", "password", "says"),
    [
        (["create", "ada", "ada@example.org"], "password1", "among the first"),
        (["create", "ada", "ada@example.org"], "", "at least 8"),
        (["create", "erin", "elsewhere@example.org"], ADA["password"], "is taken"),
        (["change", "nobody", "--role", "admin"], "", "no account 'nobody'"),
        (["change", "erin"], "", "Nothing to change"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_that_can_not_be_is_refused_in_one_line(
    gateway: Gateway, words: list[str], password: str, says: str
) -> None:
    gateway.by_hand("create", "erin", "erin@example.org")
    done = gateway.by_hand(*words, password=password)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# API6: what is worth automating


@pytest.fixture
def limited(tmp_path: Path, place: dict[str, str]) -> Iterator[Client]:
    given = {"RATE_LIMIT_AUTH_REGISTER": "3", "RATE_LIMIT_AUTH_LOGIN": "8", "RATE_LIMIT_AUTH_LOGIN_NAME": "5"}
    yield from running(settings_for(tmp_path, RATE_LIMIT_ENABLED="true", **given, **place))


def test_registering_and_guessing_by_the_dozen_is_slowed_down(limited: Client) -> None:
    for number in range(3):
        limited.register(email=f"{number}@example.org", username=f"robot{number}")
    answer = limited.send("POST", "/auth/register", ADA)
    assert (answer.status_code, int(answer.headers["Retry-After"])) == (429, 60)
    wrong = {"username": "robot1", "password": "wrong"}
    assert [limited.send("POST", "/auth/login", wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    limited.ok("POST", "/auth/login", {"username": "robot2", "password": ADA["password"]})  # another name still may
    limited.refused(401, "POST", "/auth/login", wrong | {"username": "robot0"})
    limited.refused(429, "POST", "/auth/login", {"username": "robot2", "password": ADA["password"]})  # of the address


# API7: requests forged by way of the server


def test_no_address_that_a_client_names_is_ever_asked(
    gateway: Gateway, rogue: Rogue, elsewhere: HttpServer, trader: dict[str, str]
) -> None:
    url, host = elsewhere.url, elsewhere.url.removeprefix("http://")
    targets = [
        url, f"{url}/api/health", f"//{host}/", f"/api/{host}/", f"/api/{url}", f"/api/database-service/{url}",
        f"/api/database-service@{host}/", f"/api/database-service//{host}/", f"/api/database-service/@{host}/",
        f"/api/database-service:80@{host}/x", f"/api/database-service/\\{host}", f"/api/database-service?url={url}",
        f"/api/database-service/x?next={url}&callback={url}", f"/api/market/prices?symbols={host}",
        f"/api/websocket-streaming/stream/{host}", f"/hooks/{host}",
    ]  # fmt: skip
    names = [
        "Host", "X-Forwarded-Host", "Forwarded", "Referer", "X-Original-URL", "X-Rewrite-URL", "Destination",
        "X-Forwarded-Server", "X-Host", "X-Door-Target", "X-Original-URI", "Proxy", "Via",
    ]  # fmt: skip
    for target in targets:
        raw(gateway, "GET", target, trader)
    for name in names:
        for value in (url, host):
            raw(gateway, "GET", "/api/database-service/x", {**trader, name: value})
    raw(gateway, "CONNECT", host, trader)
    for body in ({"name": url}, {"name": "chart", "fixed": {"strategy": url}}, {"name": "x", "callback": url}):
        gateway.ask("POST", "/auth/hooks", body, **trader)
    assert rogue.seen
    assert elsewhere.asked == []


def health_of(gateway: Gateway) -> Any:
    return gateway.ask("GET", "/api/health").json()["data"]["services"]["database-service"]["status"]


def test_a_services_redirect_goes_to_the_client_and_is_not_followed(
    gateway: Gateway, rogue: Rogue, elsewhere: HttpServer, trader: dict[str, str]
) -> None:
    for status in (301, 302, 303, 307, 308):
        rogue.answers["/moved"] = json_reply({}, status, {"Location": elsewhere.url})
        rogue.answers["/health"] = json_reply({}, status, {"Location": elsewhere.url})
        assert raw(gateway, "GET", "/api/database-service/moved", trader)[0] == status
    wait_until(lambda: health_of(gateway) == "down")  # one look serves for a second
    rogue.answers.pop("/health")
    assert elsewhere.asked == []


# API8: settings


def test_every_answer_tells_browsers_not_to_guess_and_names_no_software(
    gateway: Gateway, trader: dict[str, str]
) -> None:
    for path in ("/health", "/api/health", "/auth/validate", "/auth/keys", "/nothing", "/docs", "/api/openapi.json"):
        for headers in ({}, trader):
            answer = gateway.ask("GET", path, **headers)
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert not {"server", "x-powered-by", "x-aspnet-version"} & {name.lower() for name in answer.headers}
            assert not re.search(r"werkzeug|gevent|python/|traceback", answer.data.decode(), re.I) or "docs" in path
            assert (answer.headers.get("Cache-Control") == "no-store") == path.startswith("/auth/")
    assert "default-src 'self'" in gateway.ask("GET", "/api/docs").headers["Content-Security-Policy"]


def test_what_a_service_says_of_origins_and_vouchers_does_not_reach_the_client(
    gateway: Gateway, rogue: Rogue, trader: dict[str, str]
) -> None:
    given = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "X-Fleet-Voucher": "x"}
    rogue.answers["/open"] = json_reply({}, 200, given)
    answer = gateway.ask("GET", "/api/database-service/open", Origin="http://localhost:3002", **trader)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3002"
    assert not {"Access-Control-Allow-Credentials", "X-Fleet-Voucher"} & set(answer.headers)


def test_no_credential_of_a_client_reaches_a_service(gateway: Gateway, rogue: Rogue, trader: dict[str, str]) -> None:
    before = len(rogue.seen)
    asked = {"Cookie": "session=1", "Proxy-Authorization": "Basic eA==", **trader}
    token = trader["Authorization"].removeprefix("Bearer ")
    assert raw(gateway, "GET", "/api/database-service/x", asked)[0] == 200
    assert raw(gateway, "GET", f"/api/database-service/stream/x?access_token={token}", {})[0] == 200
    for _, target, headers in rogue.seen[before:]:
        assert not {"authorization", "cookie", "proxy-authorization", "x-api-key"} & set(headers)
        assert token not in target + repr(headers)


# API10: what services answer


ODD_ANSWERS: dict[str, Callable[[], Reply]] = {
    "endless": lambda: (200, {"Content-Type": "application/json"}, b"[" * 6_000_000),
    "no JSON": lambda: (200, {}, b"<html>"),
    "deep": lambda: (200, {}, b"[" * 100_000 + b"]" * 100_000),
    "a list": lambda: json_reply([1]),
    "a number": lambda: json_reply(7),
    "empty": lambda: json_reply({}),
    "other types": lambda: json_reply({"paths": [1], "components": 3, "data": 5, "success": "x", "error": 1}),
    "other types within": lambda: json_reply(
        {"paths": {"/x": 1}, "components": {"schemas": {}}, "data": {"default_symbols": {"a": 1}}}
    ),
    "operations that are none": lambda: json_reply({"paths": {"/x": {"get": 1}}, "components": {"schemas": {}}}),
    "an error of details that are none": lambda: json_reply({"error": {"message": 1, "details": 5}}, 422),
    "a status of its own": lambda: json_reply({}, 599),
}


@pytest.mark.parametrize("odd", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_whatever_a_service_answers_the_gateway_itself_stays_well(
    odd: Callable[[], Reply], tmp_path: Path, migrated_sqlite: bytes
) -> None:
    """Of its description, its health, its prices and its word on a webhook's signal."""
    (tmp_path / "auth.sqlite3").write_bytes(migrated_sqlite)
    taken_over = Rogue()
    for path in ("/openapi.json", "/health", "/symbols", "/price/BTCUSDT", "/signals/save"):
        taken_over.answers[path] = odd()
    with HttpServer(taken_over) as server:
        urls = ",".join(f"{name}={server.url}" for name in ("database-service", "websocket-streaming"))
        for client in running(settings_for(tmp_path, SERVICE_URLS=urls)):
            client.register()
            client.login()
            health = client.ok("GET", "/api/health", headers={})["services"]["database-service"]["status"]
            assert health in ("down", None)
            assert "/api/database-service/x" not in client.ok("GET", "/api/openapi.json", headers={})["paths"]
            for path in ("/api/market/prices", "/api/market/prices?symbols=BTCUSDT", "/api/database-service/any"):
                answer = client.send("GET", path)
                assert answer.status_code in (200, 503), (path, answer.text[:200])
                assert len(answer.data) < 1000
            hook = client.ok("POST", "/auth/hooks", {"name": "chart", "proof": "address"})
            came = client.send("POST", hook["path"], {"symbol": "BTCUSDT"}, {})
            assert came.status_code in (202, 422)
            [letter] = client.ok("GET", f"/auth/hooks/{hook['id']}/dead-letters")
            assert len(letter["reason"]) < 500
