"""Files made from others, so that nobody copies a list by hand: `make render`, and `--check` in the tests.

Dockerfile of each service   from Dockerfile.template and fleet.json
.env.example, root and each  from the Settings classes
deploy/grafana/dashboards    from tools/dashboards.py
prometheus.yml               from deploy/prometheus/prometheus.template.yml and fleet.json, for containers
machine.yml                  the same for a fleet under PM2, each instance a target
deploy/nginx/door.conf       from deploy/nginx/door.template.conf and fleet.json, for containers
door-tls.conf                the same with a certificate
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.config import Settings
from shared.fleet import ROOT, Fleet, FleetService, read_fleet
from tools import dashboards
from tools.door import STREAMING, Door, DoorSettings
from tools.settings import names_of, settings_of

ROOT_SKIPS = {"SERVICE_NAME", "SERVICE_PORT"}  # one root .env serves every service


def rendered(fleet: Fleet) -> dict[Path, str]:
    """Every made file and what should stand in it."""
    files = {ROOT / ".env.example": env_example(DoorSettings, None)}
    for service in fleet.services:
        files[ROOT / service.name / ".env.example"] = env_example(settings_of(service), service)
        files[ROOT / service.name / "Dockerfile"] = dockerfile(service)
    for name, tls in (("door.conf", False), ("door-tls.conf", True)):
        files[ROOT / "deploy" / "nginx" / name] = contained_door(fleet, tls=tls).configuration()
    inside = {service.name: [f"{service.name}:{service.port}"] for service in fleet.services}
    outside = {service.name: [f"127.0.0.1:{port}" for port in service.ports] for service in fleet.services}
    files[ROOT / "deploy" / "prometheus" / "prometheus.yml"] = prometheus(inside, "alertmanager")
    files[ROOT / "deploy" / "prometheus" / "machine.yml"] = prometheus(outside, "127.0.0.1")
    for dashboard in dashboards.DASHBOARDS:
        files[ROOT / "deploy" / "grafana" / "dashboards" / f"{dashboard.uid}.json"] = dashboards.rendered(dashboard)
    return files


def env_example(settings: type[Settings], service: FleetService | None) -> str:
    """All names with a line of explanation, each with its default, all commented out."""
    if service is None:
        where = "Settings that every service reads, and docker compose. Copy to .env beside this file."
        order = "The environment wins over a service's own .env, and that over this one."
    else:
        where = f"Every setting of {service.name}. Copy to .env in this folder."
        order = "The environment wins over this file, this file over the root's .env. PM2 sets PORT from fleet.json."
    return "\n".join([f"# {where}", f"# {order}", "# Made by `make render`.", "", *_settings_lines(settings, service)])


def _settings_lines(settings: type[Settings], service: FleetService | None) -> Iterator[str]:
    given: dict[str, Any] = {} if service is None else {"SERVICE_NAME": service.title, "SERVICE_PORT": service.port}
    for field, variable in names_of(settings).items():
        if service is None and field in ROOT_SKIPS:
            continue
        about = settings.model_fields[field]
        yield f"# {about.description}"
        yield f"#{variable}={_shown(given.get(field, about.default))}"
        if settings.is_secret(field):
            yield f"#{variable}_FILE="
        yield ""


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, Path):
        return str(default.relative_to(ROOT)) if default.is_relative_to(ROOT) else str(default)
    return str(default)


def contained_door(fleet: Fleet, *, tls: bool) -> Door:
    """The door as compose runs it: on ports that need no root, its log on the standard output."""
    where = {service.name: f"{service.name}:{service.port}" for service in fleet.services}
    return Door(
        "/tmp", "/dev/stdout", [where[STREAMING]], None, where["auth-gateway"], where["dashboard"],  # a tmpfs
        ["8080"], ["8443"] if tls else [], "", "/tls/certificate.pem", "/tls/key.pem",
    )  # fmt: skip


def dockerfile(service: FleetService) -> str:
    """The service's Dockerfile: the template with this service's words."""
    text = (ROOT / "Dockerfile.template").read_text("utf-8")
    own = f"{service.name}/requirements.lock"  # a new service may come without: then its image takes all packages
    requirements = own if (ROOT / own).is_file() else "requirements.lock"
    words = {"name": service.name, "title": service.title, "port": str(service.port), "requirements": requirements}
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    return text


def prometheus(addresses: dict[str, list[str]], alertmanager: str) -> str:
    """Prometheus' configuration: the template with each service's addresses, and with Alertmanager's host."""
    text = (ROOT / "deploy" / "prometheus" / "prometheus.template.yml").read_text("utf-8")
    indent = next(line for line in text.splitlines() if "{{targets}}" in line).split("{{")[0]
    targets = [
        f'- targets: {json.dumps(where)}\n{indent}  labels: {{service: "{name}"}}' for name, where in addresses.items()
    ]
    return text.replace("{{targets}}", f"\n{indent}".join(targets)).replace("{{alertmanager}}", alertmanager)


def main() -> int:
    """Write what differs; with --check only name it, and return 1 if there is any."""
    check = "--check" in sys.argv
    stale = [(path, text) for path, text in rendered(read_fleet()).items() if not _holds(path, text)]
    for path, text in stale:
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, "utf-8")
    return int(check and bool(stale))


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


if __name__ == "__main__":
    raise SystemExit(main())
