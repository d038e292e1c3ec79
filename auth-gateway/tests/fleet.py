"""A whole fleet behind its gateway, closed to whoever has no login or key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3

from shared.fleet import ROOT
from shared.testing.process import ServiceProcess

from .conftest import ADA, bearer

http = urllib3.PoolManager(timeout=10, retries=False)
SECRET = "a secret of the fleet, long enough for it"


@dataclass
class Gateway:
    """A running fleet behind its gateway."""

    process: ServiceProcess
    services: dict[str, ServiceProcess]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given["Content-Type"] = "application/json"
        sent = json.dumps(body).encode() if body is not None else None
        return http.request(method, self.process.base_url + path, body=sent, headers=given)

    def token(self, username: str) -> dict[str, str]:
        answer = self.ask("POST", "/auth/login", {"username": username, "password": ADA["password"]})
        return bearer(answer.json()["data"]["access_token"])

    def account(self, username: str, role: str) -> dict[str, str]:
        """A new account of that role, made by hand on the machine, logged in."""
        create = ["create", username, f"{username}@example.org", "--role", role]
        env = {"VAR_DIR": str(self.process.var_dir), "ENV_FILES": "false", "PATH": os.environ["PATH"]}
        subprocess.run(
            [sys.executable, "-m", "auth_gateway.admin", *create], input=ADA["password"], text=True, check=True,
            env=env, cwd=ROOT / "auth-gateway", capture_output=True,
        )  # fmt: skip
        return self.token(username)


@contextmanager
def fleet(env: Mapping[str, str]) -> Iterator[Gateway]:
    """Simulator, database, stream and gateway, each with these settings."""
    env = {"AUTH_REQUIRED": "true", "FLEET_SECRET": SECRET, **env}
    with (
        ServiceProcess("market-simulator", env) as simulator,
        ServiceProcess("database-service", env) as database,
        ServiceProcess("websocket-streaming", {**env, "SIMULATOR_URL": simulator.base_url}) as stream,
    ):
        services = {"market-simulator": simulator, "database-service": database, "websocket-streaming": stream}
        urls = ",".join(f"{name}={process.base_url}" for name, process in services.items())
        with ServiceProcess("auth-gateway", {**env, "SERVICE_URLS": urls}) as process:
            yield Gateway(process, services)


def key(gateway: Gateway, token: dict[str, str], **asked: Any) -> dict[str, str]:
    answer = gateway.ask("POST", "/auth/keys", {"name": "a key"} | asked, **token)
    assert answer.status == 200, answer.data
    return {"X-API-Key": answer.json()["data"]["key"]}
