"""What is measured: auth-gateway, nginx alone and the usual Python gateway, before the same websocket-streaming."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.peers_python import KEPT, python_with
from benchmarks.report import say
from benchmarks.streaming.rig import Exchange
from benchmarks.streaming.servers import ours
from shared.testing.net import free_port, port_taken, wait_until
from shared.testing.process import ServiceProcess
from shared.testing.servers import NginxServer, ServerMissing, children_of

PEERS = Path(__file__).parent.parent / "peers" / "gateway"
STREAM = "websocket-streaming"
SECRET = "a secret of more than thirty-two bytes"
ADA = {"username": "ada", "password": "correct horse battery"}
# Limits off: a thousand calls a second of one account would be refused.
OURS = {"AUTH_SECRET": SECRET, "FLEET_SECRET": SECRET, "RATE_LIMIT_ENABLED": "false", "ACCESS_LOG": "false"}
http = urllib3.PoolManager(timeout=30, retries=False)


@dataclass(frozen=True, slots=True)
class Door:
    """A proxy that runs, or the service itself; `path` is where the measured call is."""

    port: int
    pid: int
    path: str
    authorization: str

    def cpu_s(self) -> float:
        """Processor time that it and its children have used (Linux: each process's own CPU clock)."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in [self.pid, *children_of(self.pid)])

    def request(self) -> bytes:
        """The call, as every client sends it."""
        return (
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: {self.authorization}\r\n\r\n"
        ).encode()


@contextlib.contextmanager
def all_doors(exchange: Exchange) -> Iterator[dict[str, Door]]:
    """Each by its name, all running; what isn't installed is left out, and said."""
    path = f"/api/{STREAM}/price/BTCUSDT"
    with contextlib.ExitStack() as running:
        upstream = running.enter_context(ours(exchange, DEFAULT_SYMBOLS="BTCUSDT", FLEET_SECRET=SECRET))
        url = f"http://127.0.0.1:{upstream.port}"
        process = running.enter_context(gateway(AUTH_REQUIRED="true", SERVICE_URLS=f"{STREAM}={url}"))
        token = f"Bearer {logged_in(process)}"
        doors = {
            "the service alone": Door(upstream.port, upstream.pid, "/price/BTCUSDT", token),
            "auth-gateway": Door(process.port, process.pid, path, token),
        }
        if (python := python_with(PEERS / "requirements.lock")) is not None:
            command = [str(python), str(PEERS / "fastapi_httpx.py"), "{port}", f"{STREAM}={url}", SECRET]
            port, pid = running.enter_context(_process(command))
            doors["FastAPI + httpx"] = Door(port, pid, path, token)
        try:
            nginx = running.enter_context(NginxServer(partial(_nginx_conf, upstream.port)))
            doors["nginx"] = Door(nginx.port, nginx.pid, path, token)
        except ServerMissing as missing:
            say(f"nginx is left out: {missing}")
        yield doors


def gateway(**env: str) -> ServiceProcess:
    """auth-gateway with an account, limits and access log off."""
    return ServiceProcess("auth-gateway", OURS | env)


def logged_in(process: ServiceProcess) -> str:
    """An access token of ada's, who is registered."""
    post(process, "/auth/register", ADA | {"email": "ada@example.org"})
    return str(post(process, "/auth/login", ADA)["data"]["access_token"])


def post(process: ServiceProcess, path: str, body: dict[str, Any], **headers: str) -> Any:
    """The answer's document; RuntimeError for anything but 200."""
    answer = http.request("POST", process.base_url + path, json=body, headers=headers)
    if answer.status != 200:
        raise RuntimeError(f"POST {path}: {answer.status} {answer.data[:200]!r}")
    return answer.json()


def _nginx_conf(upstream: int, port: int, folder: Path) -> str:
    words = {"port": port, "folder": folder, "upstream": f"127.0.0.1:{upstream}"}
    return (PEERS / "nginx.conf").read_text("utf-8").format(**words)


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[tuple[int, int]]:
    port = free_port()
    with (KEPT / f"{Path(command[1]).stem}.log").open("wb") as log:
        words = [part.format(port=port) for part in command]
        process = subprocess.Popen(words, cwd=PEERS, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or port_taken(port), 20, what=command[1])
        if process.poll() is not None:
            raise RuntimeError(f"{command[1]} ended with {process.returncode}; its log is in {KEPT}")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()
