"""nginx in front of a whole fleet, as `DOOR=true` starts it: what passes, what is refused and how, what is logged."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio
import urllib3
import websocket

from shared.testing.net import free_port, wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import NginxServer
from shared.websocket_frames import CloseCode
from tools.door import Door

from .fleet import Gateway, fleet, http, key

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.api, pytest.mark.usefixtures("nginx_program")]
STREAM = "websocket-streaming"


@dataclass
class Front:
    """A fleet and the nginx before it."""

    gateway: Gateway
    nginx: NginxServer

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        return http.request(method, self.nginx.url + path, headers=headers, redirect=False, **more)

    def first(self, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The first event of a plain stream."""
        link = websocket.create_connection(f"ws://127.0.0.1:{self.nginx.port}{path}", timeout=10, header=headers)
        try:
            event: dict[str, Any] = json.loads(link.recv())
        finally:
            link.close()
        return event

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.nginx.folder / "access.log").read_text().splitlines()]

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.nginx.port), timeout=10) as link:
            link.sendall(request)
            return b"".join(iter(lambda: link.recv(65536), b""))


def door(gateway: Gateway, dashboard: ServiceProcess, folder: Path, **more: Any) -> str:
    stream = [f"127.0.0.1:{gateway.services[STREAM].port}"]
    more |= {"gateway": f"127.0.0.1:{gateway.process.port}", "dashboard": f"127.0.0.1:{dashboard.port}"}
    return Door(str(folder), f"{folder}/access.log", stream, **more).configuration()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Gateway, ServiceProcess]]:
    env = {"RATE_LIMIT_ENABLED": "false", "TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_HOSTS": "door.example"}
    with fleet(env) as gateway:
        urls = ",".join(f"{name}={process.base_url}" for name, process in gateway.services.items())
        with ServiceProcess("dashboard", {**env, "SERVICE_URLS": urls}) as dashboard:
            yield gateway, dashboard


@pytest.fixture(scope="module")
def front(running: tuple[Gateway, ServiceProcess]) -> Iterator[Front]:
    with NginxServer(lambda port, folder: door(*running, folder, listen=[f"127.0.0.1:{port}"])) as nginx:
        yield Front(running[0], nginx)


@pytest.fixture(scope="module")
def trader(front: Front) -> dict[str, str]:
    return front.gateway.account("trader", "trader")


@pytest.fixture(scope="module")
def bound(front: Front, trader: dict[str, str]) -> dict[str, str]:
    """A key for one symbol."""
    return key(front.gateway, trader, scopes=[f"{STREAM}:read"], symbols=["BTCUSDT"])


def code(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"]
    return answer.status, answer.json()["error"]["code"]


def test_calls_go_to_the_gateway_which_asks_for_a_login(front: Front, trader: dict[str, str]) -> None:
    assert front.ask("GET", "/health").json()["service"] == "Auth Gateway"
    assert front.ask("GET", "/api/health").json()["data"]["services"]["database-service"]["status"] == "healthy"
    assert code(front.ask("GET", f"/api/{STREAM}/price/BTCUSDT")) == (401, "unauthorized")
    price = front.ask("GET", f"/api/{STREAM}/price/BTCUSDT", trader)
    assert (price.status, price.json()["data"]["symbol"]) == (200, "BTCUSDT")
    assert front.ask("GET", "/api/market/prices", trader).status == 200
    assert front.ask("GET", "/auth/validate", trader).status == 200


def test_the_page_is_the_dashboards(front: Front) -> None:
    home = front.ask("GET", "/")
    assert (home.status, home.headers["Location"]) == (302, "/dashboard/")
    page = front.ask("GET", "/dashboard/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_the_page_links_to_the_doors_paths_and_those_are_there_for_everybody(front: Front) -> None:
    assert front.ask("GET", "/dashboard/api/page").json()["data"]["links"] == "door"
    for path in ("/api/docs", *(f"/api/{name}/docs" for name in front.gateway.services)):
        page = front.ask("GET", path)
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8"), path


def test_an_absent_service_and_what_is_not_on_the_list_are_answered_in_json(
    front: Front, trader: dict[str, str]
) -> None:
    assert code(front.ask("GET", "/trading/portfolio", trader)) == (404, "not_found")
    for path in ("/metrics", "/stats", "/openapi.json", "/auth/vouch", "/_door/vouch", "/_door/400", "/x/../metrics",
                 "//metrics", "/api/../metrics", "/api", "/auth",
                 "/dashboard/metrics", "/dashboard//stats", "/dashboard/health/live"):  # fmt: skip
        assert code(front.ask("GET", path, trader)) == (404, "not_found"), path


def test_a_stream_needs_a_login_and_then_comes_past_the_gateway(front: Front, trader: dict[str, str]) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException, match="401") as refused:
        front.first("/ws/price/BTCUSDT")
    assert json.loads(refused.value.resp_body or b"")["error"]["code"] == "unauthorized"
    token = trader["Authorization"].removeprefix("Bearer ")
    for path, headers in (("/ws/price/BTCUSDT", trader), (f"/ws/price/BTCUSDT?x=1&access%5Ftoken={token}", {})):
        event = front.first(path, headers)
        assert (event["event"], event["data"]["symbol"]) == ("price_update", "BTCUSDT")
        wait_until(lambda: front.log()[-1]["status"] == 101)
        assert front.log()[-1]["upstream"] == f"127.0.0.1:{front.gateway.services[STREAM].port}"
    said = "".join(process.log for process in [front.gateway.process, *front.gateway.services.values()])
    assert token not in said + (front.nginx.folder / "access.log").read_text() + front.nginx.log_path.read_text()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
def test_socket_io_works_with_the_official_client(front: Front, trader: dict[str, str], transports: list[str]) -> None:
    got: list[dict[str, Any]] = []
    session = requests.Session()  # of polling requests this client sends `headers` with the first alone
    session.headers.update(trader)
    client = socketio.Client(reconnection=False, http_session=session)
    client.on("price_update", got.append)
    client.connect(front.nginx.url, headers=trader, transports=transports)
    try:
        client.emit("subscribe", {"symbols": ["BTCUSDT"]})
        wait_until(lambda: len(got) >= 3)
        assert client.transport() == transports[-1]
    finally:
        client.disconnect()
    with pytest.raises(socketio.exceptions.ConnectionError):
        socketio.Client(reconnection=False).connect(front.nginx.url, transports=transports)


@pytest.mark.parametrize(
    "path",
    ["/ws/price/ETHUSDT", "/ws/price/%45THUSDT", "/ws/./price/ETHUSDT", "//ws/price/ETHUSDT",
     "/socket.io/../ws/price/ETHUSDT",
     "/ws/price/BTCUSDT/../ETHUSDT", "/ws/prices?symbols=BTCUSDT,ETHUSDT", "/ws%2Fprice%2FETHUSDT",
     "/ws/price/ETHUSDT?symbol=BTCUSDT", "/socket.io/?EIO=4&transport=websocket",
     "/socket.io/?EIO=4&transport=websocket&symbol=BTCUSDT"],
)  # fmt: skip
def test_a_key_for_one_symbol_opens_no_other_stream_however_it_is_spelled(
    front: Front, bound: dict[str, str], path: str
) -> None:
    assert front.first("/ws/price/BTCUSDT", bound)["data"]["symbol"] == "BTCUSDT"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        front.first(path, bound)
    assert refused.value.status_code in (400, 403, 404)


def test_whatever_a_client_says_of_itself_is_overwritten(front: Front, trader: dict[str, str]) -> None:
    """With a forged voucher kept the gateway would answer 401, and a forged address would stand in the audit log."""
    forged = {
        "X-Fleet-Voucher": "1.x.e30.AAAA",
        "X-Forwarded-For": "192.0.2.9",
        "X-Door-Target": "/stream/price/ETHUSDT",
    }
    assert front.first("/ws/price/BTCUSDT", trader | forged)["data"]["symbol"] == "BTCUSDT"
    body = json.dumps({"username": "trader", "password": "wrong wrong wrong"}).encode()
    assert front.ask("POST", "/auth/login", forged | {"Content-Type": "application/json"}, body=body).status == 401
    admin = front.gateway.account("admin", "admin")
    shown = front.ask("GET", "/auth/audit", admin).data.decode()
    assert "login" in shown
    assert "192.0.2.9" not in shown


def test_the_gateway_vouches_to_nginx_alone(trader: dict[str, str]) -> None:
    with fleet({"RATE_LIMIT_ENABLED": "false"}) as gateway:  # no TRUSTED_PROXIES
        asked = {"X-Original-Method": "GET", "X-Original-URI": "/ws/price/BTCUSDT"}
        answer = http.request("GET", f"{gateway.process.base_url}/auth/vouch", headers=asked)
        assert answer.status == 403
        assert "X-Fleet-Voucher" not in answer.headers


def test_a_foreign_host_is_refused_and_a_known_one_is_not(front: Front) -> None:
    assert code(front.ask("GET", "/api/health", {"Host": "rebound.example"})) == (403, "forbidden")
    assert front.ask("GET", "/api/health", {"Host": "door.example"}).status == 200


def test_what_nginx_itself_refuses_has_the_contracts_shape(front: Front, trader: dict[str, str]) -> None:
    json_body = trader | {"Content-Type": "application/json"}
    large = front.ask("POST", "/api/database-service/signals/save", json_body, body=b" " * 11_000_000)
    assert code(large) == (413, "too_large")
    assert code(front.ask("GET", "/" + "a" * 9000)) == (400, "malformed")
    assert code(front.ask("GET", "/health", {"X-Long": "a" * 9000})) == (400, "malformed")
    assert b'"malformed"' in front.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert b" 405 " in front.raw(b"TRACE /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


def test_one_line_a_request_with_its_id_and_no_secret(front: Front, trader: dict[str, str]) -> None:
    asked = {"X-Request-ID": "from-the-client"}
    answer = front.ask("GET", "/api/database-service/signals/history?symbol=BTCUSDT", trader | asked)
    assert answer.headers.getlist("X-Request-ID") == ["from-the-client"]
    front.ask("POST", "/%68ooks/a-very-secret-place?x=1")
    wait_until(lambda: front.log()[-1]["path"] == "/hooks/...")
    lines = [line for line in front.log() if line["request_id"] == "from-the-client"]
    assert [(line["path"], line["status"]) for line in lines] == [("/api/database-service/signals/history", 200)]
    assert "a-very-secret-place" not in (front.nginx.folder / "access.log").read_text()
    wait_until(lambda: "from-the-client" in front.gateway.services["database-service"].log)


def test_a_sender_who_stops_in_the_middle_is_cut_off(running: tuple[Gateway, ServiceProcess]) -> None:
    def quick(port: int, folder: Path) -> str:
        return door(*running, folder, listen=[f"127.0.0.1:{port}"]).replace("_timeout 10s", "_timeout 1s")

    with NginxServer(quick) as nginx:
        front = Front(running[0], nginx)
        assert front.raw(b"GET /health HTTP/1.1\r\nHost: local") == b""
        half = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        half += b"Content-Length: 90\r\n\r\n{"
        assert b"200" not in front.raw(half).split(b"\r\n")[0]


def test_guarded_streams_end_with_their_login_and_are_judged_as_ever(
    running: tuple[Gateway, ServiceProcess], bound: dict[str, str]
) -> None:
    def configure(port: int, folder: Path) -> str:
        return door(*running, folder, listen=[f"127.0.0.1:{port}"], guarded=True)

    with NginxServer(configure) as nginx:
        front, login = Front(running[0], nginx), running[0].token("trader")
        token = login["Authorization"].removeprefix("Bearer ")
        assert front.first(f"/ws/price/BTCUSDT?access_token={token}")["data"]["symbol"] == "BTCUSDT"
        assert front.first("/ws/price/BTCUSDT", bound)["data"]["symbol"] == "BTCUSDT"
        assert code(front.ask("GET", "/socket.io/?EIO=4&transport=polling")) == (401, "unauthorized")
        for path in ("/ws/price/ETHUSDT", "/ws/./price/%45THUSDT", "/ws/price/BTCUSDT/../ETHUSDT"):
            with pytest.raises(websocket.WebSocketBadStatusException, match=r"40[034]"):
                front.first(path, bound)
        client = socketio.Client()
        client.connect(nginx.url, headers=login)
        link = websocket.create_connection(f"ws://127.0.0.1:{nginx.port}/ws/price/BTCUSDT", timeout=30, header=login)
        assert front.ask("POST", "/auth/logout", login).status == 200
        while (frame := link.recv_data())[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
        assert int.from_bytes(frame[1][:2]) == CloseCode.POLICY
        client.disconnect()
        assert token not in json.dumps(front.log())


def test_with_the_gateway_gone_every_call_says_so_and_the_page_stays(
    running: tuple[Gateway, ServiceProcess], front: Front, trader: dict[str, str]
) -> None:
    running[0].process.kill()
    try:
        for path in ("/api/health", "/auth/validate", "/ws/price/BTCUSDT", "/socket.io/?EIO=4&transport=polling"):
            answer = front.ask("GET", path, trader)
            assert code(answer) == (503, "unavailable"), path
            assert int(answer.headers["Retry-After"]) >= 1
        assert front.ask("GET", "/dashboard/").status == 200
    finally:
        running[0].process.restart()
    wait_until(lambda: front.ask("GET", "/auth/validate", trader).status == 200)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    names = str(folder / "certificate.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-out", names[0], "-keyout", names[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return names


def test_with_a_certificate_calls_go_by_tls_alone(
    running: tuple[Gateway, ServiceProcess], certificate: tuple[str, str]
) -> None:
    tls_port = free_port()

    def configure(port: int, folder: Path) -> str:
        return door(
            *running, folder, listen=[f"127.0.0.1:{port}"], listen_tls=[f"127.0.0.1:{tls_port}"],
            public_tls=f":{tls_port}", certificate=certificate[0], key=certificate[1],
        )  # fmt: skip

    with NginxServer(configure) as nginx:
        secure = urllib3.PoolManager(ca_certs=certificate[0], timeout=10, retries=False)
        answer = secure.request("GET", f"https://localhost:{tls_port}/api/health")
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        with pytest.raises(urllib3.exceptions.SSLError):
            urllib3.PoolManager(
                retries=False, ca_certs=certificate[0], ssl_maximum_version=ssl.TLSVersion.TLSv1_1
            ).request("GET", f"https://localhost:{tls_port}/")
        front = Front(running[0], nginx)
        plain = front.ask("GET", "/api/health")
        assert (plain.status, plain.json()["error"]["code"]) == (403, "forbidden")
        home = front.ask("GET", "/x?y=1", {"Host": f"localhost:{nginx.port}"})
        assert (home.status, home.headers["Location"]) == (308, f"https://localhost:{tls_port}/x?y=1")
        assert front.ask("GET", "/health/ready").status == 200
