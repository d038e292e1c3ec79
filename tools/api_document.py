"""docs/api.md, made from the OpenAPI documents that the services themselves answer: `make api`.

Each service is built (nothing is opened) in a process of its own, since their packages share names of settings.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shared.fleet import ROOT, FleetService, read_fleet

PATH = ROOT / "docs" / "api.md"
ASK = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from importlib import import_module
service = import_module(sys.argv[3] + ".service").build()
print(service.app.test_client().get("/openapi.json", headers={"Host": "localhost"}).get_data(as_text=True))
"""
HEAD = """# Every call

Made by `make api` from what each service says of itself at `/openapi.json`; read and try the calls at `/docs` of each.
Fields, errors and limits stand there; the README of each service shows examples. Errors are
`{"success": false, "error": {"code", "message", "details": [{"field", "message"}]}}`.

"""
EVENTS = """## Events

Socket.IO and plain WebSockets stand in no OpenAPI document.

| over | address | what |
|---|---|---|
| Socket.IO | websocket-streaming, port 5021 | client: `subscribe`, `unsubscribe`; server: `connected`, `subscribed`, `unsubscribed`, `price_update`, `orderbook_update`, `trade`, `kline`, `error`, `resync_required` |
| WebSocket | `/stream/price/<symbol>`, `/stream/orderbook/<symbol>`, `/stream/trades/<symbol>`, `/stream/klines/<symbol>/<interval>` | the same payloads as `{"event", "data"}`; `?market=futures` |
| WebSocket | market-simulator, port 5035 | Binance's own streams |

All fields: [websocket-streaming](../websocket-streaming/README.md), [market-simulator](../market-simulator/README.md).
"""  # noqa: E501  # a table's row is one line


def document(service: FleetService) -> dict[str, Any]:
    """What the service says of itself. Raises CalledProcessError when it can't be built."""
    words = [sys.executable, "-c", ASK, str(ROOT), str(ROOT / service.name), service.package]
    with tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ["PATH"], "ENV_FILES": "false", "VAR_DIR": folder, "LOG_LEVEL": "ERROR"}
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def api_text() -> str:
    """What should stand in docs/api.md."""
    return HEAD + "\n".join(_section(service) for service in read_fleet().services) + "\n" + EVENTS


def _section(service: FleetService) -> str:
    rows = [
        f"| `{method.upper()} {path}` | {about['summary']} |"
        for path, operations in document(service)["paths"].items()
        for method, about in operations.items()
    ]
    return "\n".join([f"## {service.name}, port {service.port}", "", "| call | what |", "|---|---|", *rows, ""])


def main(path: Path = PATH) -> None:
    """Write it."""
    path.write_text(api_text(), "utf-8")


if __name__ == "__main__":
    main()
