"""The hall around every service: routing, checks, errors, limits, ids and hooks, in the process by a test client."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response
from prometheus_client import REGISTRY
from pydantic import Field
from werkzeug.test import Client, TestResponse

from shared.config import Settings, config
from shared.errors import Conflict, FleetError, NotFound, Unavailable
from shared.service import Service, create_service
from shared.web.models import Body, Headers, Query

pytestmark = [pytest.mark.unit, pytest.mark.api]


class Note(Body):
    """A body."""

    text: str = Field(max_length=10)


class Page(Query):
    """A query."""

    limit: int = Field(10, le=100)


class Keys(Headers):
    """A header."""

    key: str | None = Field(None, alias="Idempotency-Key")


Make = Callable[..., Client]


@pytest.fixture
def make() -> Iterator[Make]:
    """A test client of a service with these settings and the routes below."""

    def build(**environ: str) -> Client:
        service = create_service("database-service", Settings.read(environ), import_name="shared")
        add_routes(service)
        client = service.app.test_client()
        client.environ_base["HTTP_HOST"] = "localhost"
        return client

    yield build
    config.reset()


def add_routes(service: Service) -> None:
    @service.route("POST", "/notes/<name>", summary="n", body=Note, query=Page, headers=Keys, limit=3, max_body=100)
    def note(name: str, body: Note, query: Page, headers: Keys) -> dict[str, Any]:
        return {"name": name, "text": body.text, "limit": query.limit, "key": headers.key}

    @service.route("GET", "/raise/<kind>", summary="r")
    def fail(kind: str) -> dict[str, Any]:
        errors: dict[str, Exception] = {
            "bug": RuntimeError("canary"),
            "gone": NotFound("no such note"),
            "conflict": Conflict("changed meanwhile"),
            "away": Unavailable("the database is away", retry_after_s=2.5),
        }
        raise errors[kind]

    @service.route("GET", "/plain", summary="p", content_type="text/plain")
    def plain() -> Response:
        return Response("as it is", mimetype="text/plain")

    @service.route("GET", "/api/thing", summary="t")
    def thing() -> dict[str, Any]:
        raise NotFound("no such thing")

    def foreign(error: FleetError) -> Response:
        return Response(f'{{"code":-{error.status}}}', 400, mimetype="application/json")

    service.other_shape("/api", foreign)


@pytest.fixture
def client(make: Make) -> Client:
    return make()


def assert_error(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert answer.is_json
    document = answer.get_json()
    assert (answer.status_code, document["success"], document["error"]["code"]) == (status, False, code)
    assert set(document["error"]) == {"code", "message", "details"}
    error: dict[str, Any] = document["error"]
    return error


def test_a_handler_gets_what_it_declares_and_its_dict_is_a_success(client: Client) -> None:
    answer = client.post("/notes/a?limit=5", json={"text": "hello"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.get_json()) == (
        200, {"success": True, "name": "a", "text": "hello", "limit": 5, "key": "k"},
    )  # fmt: skip


def test_a_handlers_own_response_leaves_as_it_is(client: Client) -> None:
    answer = client.get("/plain")
    assert (answer.text, answer.mimetype) == ("as it is", "text/plain")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"json": {"text": 1}}, 422, "validation_error"),
        ({"json": {"text": "a", "more": 1}}, 422, "validation_error"),
        ({"json": {"text": "a"}, "query_string": "limit=101"}, 422, "validation_error"),
        ({"data": b"{", "content_type": "application/json"}, 400, "malformed"),
        ({"data": b"text=a"}, 415, "unsupported_media_type"),
        ({"data": b" " * 101, "content_type": "application/json"}, 413, "too_large"),
    ],
)
def test_what_a_client_gets_wrong_is_an_error_of_the_contract(
    client: Client, arguments: dict[str, Any], status: int, code: str
) -> None:
    assert_error(client.post("/notes/a", **arguments), status, code)


def test_what_a_handler_raises_is_answered_with_its_status(client: Client) -> None:
    assert assert_error(client.get("/raise/gone"), 404, "not_found")["message"] == "no such note"
    assert_error(client.get("/raise/conflict"), 409, "conflict")


def test_what_is_away_says_when_to_retry_in_whole_seconds(client: Client) -> None:
    answer = client.get("/raise/away")
    assert_error(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "3"


def test_an_unknown_exception_is_500_without_a_trace_of_itself(client: Client) -> None:
    answer = client.get("/raise/bug")
    assert_error(answer, 500, "internal_error")
    assert not re.search(r"canary|Traceback|RuntimeError|\.py", answer.text)


def test_a_wrong_method_is_told_which_ones_are_right(client: Client) -> None:
    answer = client.delete("/plain")
    assert_error(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_limited_answers_carry_the_limits_headers_and_the_next_one_is_429(client: Client) -> None:
    for left in (2, 1, 0):
        answer = client.post("/notes/a", json={"text": "a"})
        assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, str(left))
        assert answer.headers["X-RateLimit-Limit"] == "3"
    refused = client.post("/notes/b", json={"text": "a"})
    assert_error(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert int(refused.headers["X-RateLimit-Reset"]) >= 1


def test_wrong_calls_count_against_the_limit_too(client: Client) -> None:
    for _ in range(3):
        assert_error(client.post("/notes/a", json={}), 422, "validation_error")
    assert_error(client.post("/notes/a", json={"text": "a"}), 429, "rate_limited")


def test_limits_can_be_switched_off_and_health_says_so(make: Make) -> None:
    client = make(RATE_LIMIT_ENABLED="false")
    statuses = {client.post("/notes/a", json={"text": "a"}).status_code for _ in range(10)}
    assert statuses == {200}
    assert client.get("/health").get_json()["rate_limits"] == "off"
    assert "rate_limits" not in make().get("/health").get_json()


@pytest.mark.parametrize("given", ["trace-1", "a" * 128, "A.b_c:d~e+f/g="])
def test_a_safe_request_id_is_kept(client: Client, given: str) -> None:
    assert client.get("/plain", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>", "türk", "a\tb"])
def test_an_unsafe_request_id_is_replaced(client: Client, given: str) -> None:
    for path in ("/plain", "/nothing", "/raise/bug"):
        made = client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_below_another_protocols_prefix_its_handler_shapes_the_errors(client: Client) -> None:
    for path in ("/api/thing", "/api/unknown"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()) == (400, {"code": -404})
    assert_error(client.get("/elsewhere"), 404, "not_found")


@pytest.mark.parametrize("host", ["localhost", "localhost:5020", "127.0.0.1:1", "[::1]:5020", "LOCALHOST"])
def test_loopback_names_are_known_hosts(client: Client, host: str) -> None:
    assert client.get("/plain", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil", "", "127.0.0.2"])
def test_other_names_are_refused_unless_allowed(make: Make, host: str) -> None:
    assert_error(make().get("/plain", headers={"Host": host}), 403, "forbidden")
    if host and "@" not in host:  # which no setting takes for a host
        assert make(ALLOWED_HOSTS=f"other, {host}").get("/plain", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://a]b", "//", "http://"])
def test_an_origin_that_is_none_is_refused_as_a_foreign_one(client: Client, origin: str) -> None:
    assert_error(client.get("/plain", headers={"Origin": origin}), 403, "forbidden")


def test_an_allowed_hosts_own_page_may_call_it_back(make: Make) -> None:
    named = {"Host": "my.example:5020", "Origin": "http://my.example:5020"}
    client = make(ALLOWED_HOSTS="my.example")
    assert client.get("/plain", headers=named).status_code == 200
    assert_error(client.get("/plain", headers={**named, "Origin": "http://my.example"}), 403, "forbidden")


def test_cors_origins_replaces_the_default(make: Make) -> None:
    client = make(CORS_ORIGINS="https://App.example/")  # as people copy it from a browser
    allowed = client.get("/plain", headers={"Origin": "https://app.example"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert_error(client.get("/plain", headers={"Origin": "http://localhost:3000"}), 403, "forbidden")


@pytest.mark.parametrize("origins", ["", "*"])
def test_credentials_are_never_allowed(make: Make, origins: str) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = make(CORS_ORIGINS=origins).open("/plain", method=method, headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] in {"http://localhost:3000", "*"}
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_requests_and_errors_are_counted_by_route_template(client: Client) -> None:
    labels = {"service": "database-service", "method": "GET", "route": "/raise/<kind>", "status": "404"}
    before = REGISTRY.get_sample_value("http_errors_total", labels) or 0
    client.get("/raise/gone")
    assert REGISTRY.get_sample_value("http_errors_total", labels) == before + 1
    assert REGISTRY.get_sample_value("http_requests_total", labels) == before + 1


def test_made_up_methods_and_paths_make_no_series(client: Client) -> None:
    for number in range(3):
        client.open(f"/made/up/{number}", method=f"MADEUP{number}")
    text = client.get("/metrics").text
    assert 'method="other"' in text
    assert "MADEUP" not in text
    assert "/made/up" not in text


def test_an_unhealthy_service_answers_503_and_a_degraded_one_200(make: Make) -> None:
    service = create_service("database-service", Settings.read({}), import_name="shared")
    client = service.app.test_client()
    service.health.add_dependency("cache", lambda: False)
    answer = client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    service.health.add_dependency("database", lambda: False, critical=True)
    answer = client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "unhealthy")


def test_readiness_follows_start_condition_drain_and_stop(make: Make) -> None:
    service = create_service("database-service", Settings.read({}), import_name="shared")
    upstream: list[str] = []
    service.ready_when(lambda: bool(upstream))

    def ready() -> tuple[int, str]:
        answer = service.app.test_client().get("/health/ready")
        return answer.status_code, answer.get_json()["status"]

    assert ready() == (503, "starting")
    service.start()
    assert ready() == (503, "waiting")
    upstream.append("connected")
    assert ready() == (200, "ready")
    service.drain()
    assert ready() == (503, "draining")
    service.stop()
    assert ready() == (503, "stopped")


def test_hooks_run_in_order_at_the_start_and_in_reverse_at_the_stop_whatever_one_does(make: Make) -> None:
    service = create_service("database-service", Settings.read({}), import_name="shared")
    ran: list[str] = []

    def broken() -> None:
        raise RuntimeError("broken")

    for name in ("a", "b"):
        service.on_start(lambda name=name: ran.append(f"start {name}"))  # type: ignore[misc]  # binds the loop's name
        service.on_stop(lambda name=name: ran.append(f"stop {name}"))  # type: ignore[misc]  # as above
    service.on_stop(broken)
    service.start()
    service.stop()
    assert ran == ["start a", "start b", "stop b", "stop a"]


def test_a_start_hook_that_fails_ends_the_start(make: Make) -> None:
    service = create_service("database-service", Settings.read({}), import_name="shared")
    service.on_start(lambda: [].remove(1))  # type: ignore[arg-type]  # any error
    with pytest.raises(ValueError, match="not in list"):
        service.start()
    assert service.readiness == "starting"


def test_stats_show_the_services_own_counters(make: Make) -> None:
    service = create_service("database-service", Settings.read({"PORT": "5077"}), import_name="shared")
    service.stats(lambda: {"signal_count": 3})
    data = service.app.test_client().get("/stats").get_json()["data"]
    assert data.pop("uptime") == "0h 0m 0s"
    assert data == {"service": "database-service", "port": 5077, "white_hat_mode": True, "signal_count": 3}


def test_the_root_says_what_the_service_is_and_what_to_try(make: Make) -> None:
    settings = Settings.read({"PORT": "5077"})
    service = create_service("s", settings, import_name="shared", about="keeps notes", first_call="/notes?limit=1")
    document = service.app.test_client().get("/").get_json()
    assert document["success"] is True
    assert document["data"].items() >= {"about": "keeps notes", "try": "curl 'localhost:5077/notes?limit=1'"}.items()
    assert set(document["data"]["links"].values()) <= {spec.path for spec in service.routes}


def test_a_page_of_the_services_own_stands_in_the_indexs_place(make: Make) -> None:
    service = create_service("s", Settings.read({}), import_name="shared")

    @service.route("GET", "/", summary="The page", content_type="text/html")
    def page() -> Response:
        return Response("<p>mine</p>", mimetype="text/html")

    client = service.app.test_client()
    assert client.get("/").text == "<p>mine</p>"
    assert client.get("/openapi.json").get_json()["paths"]["/"]["get"]["summary"] == "The page"


def test_the_description_holds_every_registered_route(client: Client) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    assert "post" in paths["/notes/{name}"]
    assert paths["/notes/{name}"]["post"]["x-limit-per-minute"] == 3
