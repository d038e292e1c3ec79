"""`make new-service NAME=funding-watch`: a further service of the fleet, whole and running, to be filled.

Makes its folder from tools/service_template, its entry in fleet.json, and whatever else names the services; what is
made from fleet.json is rendered anew. PORT= and TITLE= are optional. Nothing is touched when something is wrong.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from shared.fleet import ROOT, FleetService, read_fleet
from tools.steps import Failed, say

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TEMPLATE = Path(__file__).parent / "service_template"
MAX_MEMORY_MB = 300
FIRST_PORT, LAST_PORT = 5036, 5099  # 5100 and up are further instances of a service
# Services to come have their ports already, so that no two readers of this list take the same.
PLANNED = {
    "orchestrator": 8000, "trading-service": 8001, "sentiment-service": 8002, "ai-models": 5001,
    "feature-engineering": 5002, "signal-generator": 5003, "continuous-monitor": 5004, "liquidation-heatmap": 5013,
    "funding-derivatives": 5014, "whale-activity": 5015, "macro-correlation": 5016, "sentiment-analysis": 5017,
    "backtesting-engine": 5023, "portfolio-management": 5024, "order-execution": 5025, "rl-bot": 5026,
    "news-trading": 5027, "synthetic-data": 5028, "automl": 5029, "multi-exchange": 5030, "onchain-analysis": 5031,
    "market-maker-tracker": 5032, "risk-management": 5033, "circuit-breaker": 5034,
}  # fmt: skip
COMPOSE = """  {name}:
    <<: *service
    env_file: *env-file
    build: {{context: ., dockerfile: {name}/Dockerfile}}
    image: {project}/{name}:{version}
    mem_limit: {memory}m
    depends_on:
      secrets: {{condition: service_completed_successfully}}
    environment:
      <<: *settings
      ALLOWED_HOSTS: "{name},${{ALLOWED_HOSTS:-}}"
    ports: ["127.0.0.1:{port}:{port}"]
    volumes: ["secrets:/secrets:ro"]
    tmpfs: [/tmp, "/data:uid=10001,gid=10001"]

"""
FLOORS = """[importlinter:contract:floors-of-{name}]
name = {name}: service, then routes and places, then topics
type = layers
containers = {package}
layers =
    service
    routes
    settings
    greeting
exhaustive = True

"""


def make(name: str, title: str = "", port: int = 0) -> FleetService:
    """Make the service. Raises Failed, with one line, when it can't be; then nothing was written."""
    known = read_fleet().services
    if not NAME.fullmatch(name) or not 3 <= len(name) <= 40:
        raise Failed(f"NAME={name!r}: must be words of small letters and digits with hyphens, such as funding-watch.")
    if any(service.name == name for service in known) or (ROOT / name).exists():
        raise Failed(f"There is a service or a folder {name} already.")
    package = name.replace("-", "_") if "-" in name else f"{name}_service"  # a package may not be named as its folder
    service = FleetService(name, title or name.replace("-", " ").title(), package, _port(name, port), MAX_MEMORY_MB, ())
    changed = {path: _changed(path.read_text("utf-8"), edits) for path, edits in _edits(service, known[-1]).items()}
    written = _folder(service)
    for path, text in (written | changed).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return service


def _port(name: str, wished: int) -> int:
    taken = {service.port: service.name for service in read_fleet().services}
    taken |= {port: planned for planned, port in PLANNED.items() if planned != name}
    if wished:
        if wished in taken or not 1024 <= wished <= 65_535:
            raise Failed(f"PORT={wished}: {taken.get(wished, 'no such port')} has it; leave it out for a free one.")
        return wished
    if name in PLANNED:
        return PLANNED[name]
    return next(port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in taken)


def _folder(service: FleetService) -> dict[Path, str]:
    """Its files, by path."""
    inner = ("__init__.py", "service.py", "settings.py", "routes.py", "greeting.py")
    places = {"app.py": "app.py", "README.md": "README.md", "test_service.py": f"tests/test_{service.package}.py"}
    places |= {file: f"{service.package}/{file}" for file in inner}
    words = {
        "name": service.name, "title": service.title, "package": service.package, "port": str(service.port),
        "words": service.name.title().replace("-", ""), "LABEL": service.name.upper().replace("-", "_"),
    }  # fmt: skip
    files = {ROOT / service.name / "requirements.txt": "-r ../requirements.lock\n"}
    for file, place in places.items():
        text = (TEMPLATE / f"{file}.txt").read_text("utf-8")
        for word, value in words.items():
            text = text.replace("{{" + word + "}}", value)
        files[ROOT / service.name / place] = text
    return files


def _edits(new: FleetService, last: FleetService) -> dict[Path, list[tuple[str, str]]]:
    """What is put in, and before or behind which text: (that text, that text with it)."""
    entry = (
        f'    {{"name": "{new.name}", "title": "{new.title}", "package": "{new.package}", "port": {new.port}, '
        f'"max_memory_mb": {new.max_memory_mb}, "needs": []}}'
    )
    fleet = read_fleet()
    compose = COMPOSE.format(
        name=new.name, port=new.port, memory=new.max_memory_mb, project=fleet.project, version=fleet.version
    )
    floors = FLOORS.format(name=new.name, package=new.package)
    places = "[importlinter:contract:places-by-service-alone]\n"
    return {
        ROOT / "fleet.json": [("}\n  ]\n}", f"}},\n{entry}\n  ]\n}}")],
        ROOT / "pyproject.toml": [
            (f'"{last.name}"]\n', f'"{last.name}", "{new.name}"]\n'),
            (f'DIR/{last.name}"]', f'DIR/{last.name}", "$MYPY_CONFIG_FILE_DIR/{new.name}"]'),
        ],
        ROOT / "pytest.ini": [
            (f"{last.name}\ntestpaths", f"{last.name} {new.name}\ntestpaths"),
            (f"{last.name} tests\n", f"{last.name} {new.name} tests\n"),
        ],
        ROOT / ".dockerignore": [(f"!{last.name}\n", f"!{last.name}\n!{new.name}\n")],
        ROOT / ".importlinter": [
            (f":{last.name} lint-imports", f":{last.name}:{new.name} lint-imports"),
            (f"    {last.package}\n", f"    {last.package}\n    {new.package}\n"),
            (places, floors + places),
            (
                "source_modules =\n    database_service.audit_routes\n",
                f"source_modules =\n    {new.package}.routes\n    database_service.audit_routes\n",
            ),
            (
                "source_modules =\n    auth_gateway.accounts\n",
                f"source_modules =\n    {new.package}.greeting\n    auth_gateway.accounts\n",
            ),
        ],
        ROOT / "docker-compose.yml": [
            ("  prometheus:\n    <<: *service\n", f"{compose}  prometheus:\n    <<: *service\n"),
            ('SERVICE_URLS: "', f'SERVICE_URLS: "{new.name}=http://{new.name}:{new.port},'),
        ],
        ROOT / "README.md": [
            (
                "\n\n## See it\n",
                f"\n| [{new.name}]({new.name}/README.md) | {new.port} | {new.title} |\n\n## See it\n",
            )
        ],
    }


def _changed(text: str, edits: list[tuple[str, str]]) -> str:
    for before, after in edits:
        if before not in text:
            raise Failed(f"The place for a further service was not found: {before.strip()[:60]!r}. Add it by hand.")
        text = text.replace(before, after)
    return text


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.new_service", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--title", default="")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    try:
        service = make(asked.name, asked.title, asked.port)
    except Failed as failed:
        sys.stderr.write(f"{failed.line}\n")
        return 1
    for module in (["tools.render"], ["tools.api_document"], ["ruff", "check", "--fix", "--quiet", service.name]):
        subprocess.run([sys.executable, "-m", *module], cwd=ROOT, check=True)
    say(f"Made {service.name}, port {service.port}. Begin with {service.name}/{service.package}/routes.py.")
    say(f"Run it: make up. Test it: .venv-dev/bin/pytest {service.name}. A test of the fleet's lists: make test.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
