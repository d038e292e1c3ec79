"""The contract that every service keeps (core-api.md, "Every service"), as one suite over a running server.

    @pytest.fixture(scope="module")
    def base_url() -> Iterator[str]:
        with ServiceProcess("database-service") as running:
            yield running.base_url

    class TestContract(ServiceContract):
        name, title = "database-service", "Database Service"
"""

import re
from typing import Any, ClassVar

import pytest
import urllib3

http = urllib3.PoolManager(timeout=10, retries=False)


class ServiceContract:
    """Subclass it with `name`, `title` and a `base_url` fixture."""

    name: ClassVar[str]
    title: ClassVar[str]

    def get(self, base_url: str, path: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
        """One request; underscores in header names stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.request(method, base_url + path, headers=sent)

    def test_health_is_the_contracts_document(self, base_url: str) -> None:
        answer = self.get(base_url, "/health")
        document = answer.json()
        assert answer.status == 200
        assert document["service"] == self.title
        assert document["status"] in {"healthy", "degraded"}
        assert re.fullmatch(r"\d+h \d{1,2}m \d{1,2}s", document["uptime"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", document["timestamp"])
        assert document["metrics"]["white_hat_mode"] is True
        states = {state["status"] for state in document["dependencies"].values()}
        assert states <= {"healthy", "degraded", "unhealthy"}
        assert {"port", "version", "uptime_seconds"} <= document.keys()

    def test_the_root_is_an_index_whose_links_lead_on_or_a_page_of_the_services_own(self, base_url: str) -> None:
        answer = self.get(base_url, "/")
        assert answer.status == 200
        if answer.headers["Content-Type"] != "application/json":
            assert answer.headers["Content-Type"].startswith("text/html")
            return
        data = answer.json()["data"]
        assert (data["service"], data["title"]) == (self.name, self.title)
        assert data["about"]
        first_call = data["try"].removeprefix("curl 'localhost:").removesuffix("'").partition("/")[2]
        for path in (*data["links"].values(), f"/{first_call}"):
            assert self.get(base_url, path).status == 200, path

    def test_alive_and_ready_answer_apart(self, base_url: str) -> None:
        assert self.get(base_url, "/health/live").json() == {"status": "alive"}
        assert self.get(base_url, "/health/ready").json() == {"status": "ready"}

    def test_stats_name_the_service_and_white_hat_mode(self, base_url: str) -> None:
        document = self.get(base_url, "/stats").json()
        assert document["success"] is True
        assert document["data"]["service"] == self.name
        assert document["data"]["white_hat_mode"] is True
        assert {"port", "uptime"} <= document["data"].keys()

    def test_metrics_count_requests_by_route_template(self, base_url: str) -> None:
        self.get(base_url, "/health/live")
        answer = self.get(base_url, "/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        wanted = rf'http_requests_total{{method="GET",route="/health/live",service="{self.name}",status="200"}} [1-9]'
        assert re.search(wanted, answer.data.decode())

    def test_the_description_is_openapi_3_1_of_this_very_service(self, base_url: str) -> None:
        document = self.get(base_url, "/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert document["info"]["title"] == self.title
        standard = {"/health", "/health/live", "/health/ready", "/stats", "/metrics", "/openapi.json", "/docs"}
        assert standard <= document["paths"].keys()

    def test_the_docs_page_loads_nothing_from_elsewhere(self, base_url: str) -> None:
        page = self.get(base_url, "/docs").data.decode()
        sources = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert sources
        assert not [source for source in sources if source.startswith("//") or ":" in source]
        assert self.get(base_url, "/docs/docs.js").status == 200

    def test_a_request_id_is_kept_or_made(self, base_url: str) -> None:
        assert self.get(base_url, "/health/live", X_Request_ID="trace-1.a").headers["X-Request-ID"] == "trace-1.a"
        made = self.get(base_url, "/health/live", X_Request_ID="not safe <script>").headers["X-Request-ID"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)
        assert re.fullmatch(r"[0-9a-f]{32}", self.get(base_url, "/nothing/here").headers["X-Request-ID"])

    @pytest.mark.parametrize("path", ["/nothing/here", "/health/", "/%00", "/%ff", "/" + "x" * 3000])
    def test_an_unknown_path_is_404_in_the_contracts_shape(self, base_url: str, path: str) -> None:
        self.assert_error(self.get(base_url, path), 404, "not_found")

    def test_a_wrong_method_is_405_in_the_contracts_shape(self, base_url: str) -> None:
        self.assert_error(self.get(base_url, "/health", method="DELETE"), 405, "method_not_allowed")

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:5020", "127.0.0.1.evil.example", ""])
    def test_a_foreign_host_is_refused(self, base_url: str, host: str) -> None:
        self.assert_error(self.get(base_url, "/health/live", Host=host), 403, "forbidden")

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null", "http://["])
    def test_a_foreign_origin_is_refused(self, base_url: str, origin: str) -> None:
        self.assert_error(self.get(base_url, "/health/live", Origin=origin), 403, "forbidden")

    def test_a_local_origin_may_read_without_credentials(self, base_url: str) -> None:
        answer = self.get(base_url, "/health/live", Origin="http://localhost:3000")
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    @staticmethod
    def assert_error(answer: urllib3.BaseHTTPResponse, status: int, code: str) -> dict[str, Any]:
        """The answer is the contract's error with this status and code; returns its `error`."""
        document = answer.json()
        assert (answer.status, document["success"], document["error"]["code"]) == (status, False, code)
        assert document["error"]["message"]
        assert isinstance(document["error"]["details"], list)
        error: dict[str, Any] = document["error"]
        return error
