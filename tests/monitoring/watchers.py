"""A real Prometheus and a real Alertmanager on private ports, and who they call."""

import http.server
import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.testing.servers import Server, find_program


class Prometheus(Server):
    """Scrapes `targets` (service → host:port) each second and tells the Alertmanager at that port."""

    def __init__(self, rules: str, targets: Mapping[str, str], alertmanager_port: int) -> None:
        super().__init__()
        scraped = [{"targets": [address], "labels": {"service": name}} for name, address in targets.items()]
        document = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]},
            "scrape_configs": [{"job_name": "fleet", "static_configs": scraped}],
        }
        (self.folder / "rules.yml").write_text(rules)
        (self.folder / "prometheus.yml").write_text(json.dumps(document))  # JSON is YAML

    def command(self) -> list[str]:
        return [
            find_program("prometheus"), f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]  # fmt: skip

    def answers(self) -> bool:
        return _is_ready(self.port)

    def firing(self) -> set[str]:
        """The names of all alerts that fire."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/alerts", timeout=5) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


class Alertmanager(Server):
    """With this configuration."""

    def __init__(self, config: str) -> None:
        super().__init__()
        (self.folder / "alertmanager.yml").write_text(config)

    def command(self) -> list[str]:
        return [
            find_program("prometheus-alertmanager"), f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip

    def answers(self) -> bool:
        return _is_ready(self.port)


class Webhook:
    """Whoever is called: counts by (alert, service, firing or resolved)."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str, str]] = Counter()
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in document["alerts"]:
                    told[alert["labels"]["alertname"], alert["labels"].get("service", ""), alert["status"]] += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return int(answer.status) == 200
    except OSError:
        return False
