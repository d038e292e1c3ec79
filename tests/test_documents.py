"""What the documents say is so: links, make targets, ports, settings and calls agree with the code."""

import re
from pathlib import Path

import pytest
import yaml

from shared.fleet import ROOT, read_fleet
from tools.api_document import PATH, api_text

pytestmark = pytest.mark.unit
SERVICES = read_fleet().services
WRITTEN = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "shared" / "README.md"]
    + [ROOT / service.name / "README.md" for service in SERVICES]
)
each_document = pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(path: Path) -> set[str]:
    """Of a document's headings, as a forge makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.M))


@each_document
def test_every_link_to_a_file_or_heading_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file) if file else path
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


@each_document
def test_every_make_target_named_exists(path: Path) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", path.read_text("utf-8"), re.M))
    assert named <= make_targets()


def test_make_help_explains_every_target() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    assert set(re.findall(r"^([a-z][a-z-]*):.*## ", text, re.M)) == make_targets()
    [phony] = re.findall(r"^\.PHONY: (.+)$", text, re.M)
    assert set(phony.split()) == make_targets()


def test_the_list_of_calls_is_what_the_services_say() -> None:
    assert PATH.read_text("utf-8") == api_text(), "run `make api`"


@each_document
def test_every_port_beside_localhost_is_one_of_the_fleet(path: Path) -> None:
    known = {service.port for service in SERVICES} | {3001, 3002, 4318, 5100, 5432, 6379, 9090, 9093}
    assert {int(port) for port in re.findall(r"(?:localhost|127\.0\.0\.1):(\d{4})", path.read_text("utf-8"))} <= known


@pytest.mark.parametrize("name", ["README.md", "docs/runbook.md"])
def test_every_call_that_is_shown_is_in_the_list(name: str) -> None:
    listed = re.findall(r"^\| `[A-Z]+ (/\S*)` ", PATH.read_text("utf-8"), re.M)
    shapes = [re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(call))) for call in listed]
    calls = re.findall(r"curl [^\n]*?localhost:(?:\d{4}|<port>)(/[^\s'?`]+)", (ROOT / name).read_text("utf-8"))
    assert calls
    for asked in calls:
        assert any(shape.fullmatch(asked) for shape in shapes), asked


def test_the_containers_that_the_runbook_names_are_in_compose() -> None:
    known = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"].keys()
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    named = re.findall(r"docker compose (?:exec|logs|up|restart)(?: -f| -d| --tail \d+)* ([a-z][a-z-]*)", text)
    assert named
    assert set(named) <= known


def test_ci_runs_what_the_project_runs_with_the_least_rights() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    flow = yaml.safe_load(text)
    [job] = flow["jobs"].values()
    assert flow["permissions"] == {"contents": "read"}
    assert [step["run"] for step in job["steps"] if "run" in step] == ['sudo --preserve-env env "PATH=$PATH" .ci/run']
    used = re.findall(r"uses: (.*)", text)
    assert len(used) == sum("uses" in step for step in job["steps"])
    for action in used:  # a tag can be moved, a commit can't
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
