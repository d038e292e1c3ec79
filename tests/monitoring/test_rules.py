"""The rules, the runbook, the dashboards and what the services show agree with each other."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from shared.fleet import ROOT, read_fleet
from shared.testing.process import ServiceProcess
from shared.testing.servers import ServerMissing, find_program

pytestmark = pytest.mark.integration
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
NAMES = [service.name for service in read_fleet().services]
FUNCTIONS = {
    "sum", "rate", "by", "increase", "deriv", "changes", "count", "vector", "or", "and", "on", "group_left",
    "unless", "min_over_time", "histogram_quantile", "le", "service", "status", "route", "instance", "job",
}  # fmt: skip
# Prometheus makes them itself.
OWN = {"up", "ALERTS"}
OF_THE_TARGET = {"job", "instance", "service"}


def run(name: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        program = find_program(name)
    except ServerMissing as missing:
        if os.environ.get("CI") == "true" and Path("/etc/debian_version").exists():
            pytest.fail(f"{missing}; tools/install.py installs it")
        pytest.skip(f"{missing} (Debian: apt-get install prometheus prometheus-alertmanager)")
    return subprocess.run([program, *words], input=stdin, capture_output=True, text=True, check=False)


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def metrics_in(expression: str) -> set[str]:
    """The names of metrics and recorded series in an expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|by \([^)]*\)|on \([^)]*\)|group_left \(\)", " ", expression)
    return {word for word in re.findall(r"[a-zA-Z_][\w:]*", bare) if word not in FUNCTIONS}


def labels_in(expression: str) -> set[tuple[str, str]]:
    """(metric, label) of what an expression selects by."""
    selected = re.findall(r"([a-zA-Z_]\w*)\{([^}]*)\}", expression)
    pairs = {(name, label) for name, inside in selected for label in re.findall(r"(\w+)\s*[=!]", inside)}
    return {(name, label) for name, label in pairs if name not in OWN and label not in OF_THE_TARGET}


def panel_expressions() -> dict[str, str]:
    """Of the dashboards, by dashboard, panel and query."""
    return {
        f"{path.stem}_{panel['id']}_{target['refId']}": target["expr"]
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    }


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What each service of the fleet shows at /metrics after some requests."""
    texts = {}
    with ServiceProcess("market-simulator") as simulator:
        for name in NAMES:
            with ServiceProcess(name, {"SIMULATOR_URL": simulator.base_url}) as process:
                for path in ("/health", "/stats", "/nothing"):
                    urllib3.request("GET", process.base_url + path, retries=False)
                texts[name] = urllib3.request("GET", process.base_url + "/metrics").data.decode()
    return texts


def test_each_alert_fires_when_it_must_and_is_silent_when_it_must_not() -> None:
    done = run("promtool", "test", "rules", str(Path(__file__).parent / "rules_test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    cases = yaml.safe_load((Path(__file__).parent / "rules_test.yml").read_text())["tests"]
    names = {case["name"] for case in cases}
    assert names == {f"{rule['alert']} {word}" for rule in alerts() for word in ("fires", "stays silent")}


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "prometheus.yml", tmp_path)
    shutil.copy(PROMETHEUS / "rules.yml", tmp_path)
    done = run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_takes_its_configuration_and_groups_alike_whoever_is_told() -> None:
    done = run("amtool", "check-config", str(PROMETHEUS / "alertmanager.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    shown, told = (yaml.safe_load((PROMETHEUS / f"alertmanager{kind}.yml").read_text()) for kind in ("", "-webhook"))
    assert shown["inhibit_rules"] == told["inhibit_rules"]
    assert shown["route"] | {"receiver": "webhook"} == told["route"]


def test_the_runbook_has_a_part_for_each_alert_and_for_nothing_else() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(parts) == [rule["alert"] for rule in alerts()]
    for name, part in parts.items():
        assert re.findall(r"^\*\*(\w+)\*\*", part, re.MULTILINE) == ["Means", "Look", "Do", "Tried"], name


def test_each_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.slow
def test_rules_and_dashboards_ask_for_what_services_show(shown: dict[str, str]) -> None:
    there = set(re.findall(r"^# TYPE (\w+) ", "\n".join(shown.values()), re.MULTILINE))
    there |= {f"{name}_bucket" for name in there} | OWN | {rule["record"] for rule in rules() if "record" in rule}
    expressions = [*(rule["expr"] for rule in rules()), *panel_expressions().values()]
    assert {name for text in expressions for name in metrics_in(text)} - there == set()
    series = re.findall(r"^(\w+)\{(.*)\} ", "\n".join(shown.values()), re.MULTILINE)
    labels = {(name, label) for name, inside in series for label in re.findall(r'(\w+)="', inside)}
    assert {pair for text in expressions for pair in labels_in(text)} - labels == set()


@pytest.mark.slow
def test_metrics_are_named_as_prometheus_advises(shown: dict[str, str]) -> None:
    for name, text in shown.items():
        done = run("promtool", "check", "metrics", stdin=text)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("process_")]
        assert complaints == [], name


def test_every_expression_of_the_dashboards_is_valid(tmp_path: Path) -> None:
    group = {
        "name": "panels",
        "rules": [{"record": f"panel:{name}", "expr": text} for name, text in panel_expressions().items()],
    }
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [group]}))
    done = run("promtool", "check", "rules", str(tmp_path / "panels.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_panels_ask_prometheus_and_do_not_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            assert panel["datasource"]["uid"] == "prometheus"
            place = panel["gridPos"]
            columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
            cells = {(x, y) for x in columns for y in lines}
            assert not cells & taken, (path.name, panel["title"])
            assert max(x for x, _ in cells) < 24
            taken |= cells
