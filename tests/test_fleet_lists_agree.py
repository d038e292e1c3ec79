"""fleet.json is the one list of services; everything else that names them agrees with it."""

import json
import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.fleet import ROOT, Fleet, FleetService, read_fleet
from tools.door import DoorSettings, here
from tools.render import rendered
from tools.settings import names_of, settings_of

pytestmark = pytest.mark.unit
FLEET = read_fleet()
each_service = pytest.mark.parametrize("service", FLEET.services, ids=lambda service: service.name)


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def app_names(service: FleetService) -> list[str]:
    """What PM2 calls the service's processes."""
    numbers = range(1, service.instances + 1)
    return [service.name] if service.instances == 1 else [f"{service.name}-{number}" for number in numbers]


def with_instances(root: Path, count: object) -> Fleet:
    """A copy, in `root`, of what PM2's file reads, with so many instances of websocket-streaming. Raises ValueError."""
    document = json.loads((ROOT / "fleet.json").read_text())
    for entry in document["services"]:
        (root / entry["name"]).mkdir()
        shutil.copy(ROOT / entry["name"] / ".env.example", root / entry["name"])
        if entry["name"] == "websocket-streaming":
            entry["instances"] = count
    (root / "fleet.json").write_text(json.dumps(document))
    for name in ("ecosystem.config.js", ".env.example"):
        shutil.copy(ROOT / name, root)
    return read_fleet(root / "fleet.json")


def ecosystem(root: Path = ROOT, **environment: str) -> dict[str, Any]:
    """The apps of ecosystem.config.js by name, as read in a shell that holds only `environment`."""
    env = {"PATH": os.environ["PATH"], "FLEET_PYTHON": sys.executable, **environment}
    return {app["name"]: app for app in exports(root, env)["apps"]}


def exports(root: Path, env: dict[str, str]) -> dict[str, Any]:
    script = "process.stdout.write(JSON.stringify(require('./ecosystem.config.js')))"
    done = subprocess.run(["node", "-e", script], cwd=root, env=env, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@each_service
def test_each_service_has_the_folder_that_its_name_says(service: FleetService) -> None:
    folder = ROOT / service.name
    made, written = ("Dockerfile", ".env.example"), ("app.py", "requirements.txt", "README.md")
    for part in (*made, *written, f"{service.package}/__init__.py"):
        assert (folder / part).is_file(), part


def test_no_folder_with_an_app_is_missing_from_the_list() -> None:
    assert {path.parent.name for path in ROOT.glob("*/app.py")} == {service.name for service in FLEET.services}


def test_ports_are_unique() -> None:
    assert len({service.port for service in FLEET.services}) == len(FLEET.services)


@pytest.mark.parametrize("path", rendered(FLEET), ids=lambda path: str(path.relative_to(ROOT)))
def test_made_files_are_what_render_makes(path: Path) -> None:
    assert path.read_text() == rendered(FLEET)[path], "run `make render`"


@each_service
def test_env_example_names_every_setting_and_explains_it(service: FleetService) -> None:
    text = (ROOT / service.name / ".env.example").read_text()
    settings = settings_of(service)
    assert set(names_of(settings).values()) <= set(re.findall(r"^#([A-Z_0-9]+)=", text, re.M))
    assert all(settings.model_fields[field].description for field in names_of(settings))


@each_service
def test_compose_runs_it_as_the_list_says(service: FleetService) -> None:
    app = compose()["services"][service.name]
    assert app["ports"] == [f"127.0.0.1:{service.port}:{service.port}"]
    assert app["mem_limit"] == f"{service.max_memory_mb}m"
    assert app["build"] == {"context": ".", "dockerfile": f"{service.name}/Dockerfile"}
    assert app["image"].endswith(f"/{service.name}:{FLEET.version}")
    assert app["environment"]["SERVICE_HOST"] == "0.0.0.0"
    assert app["environment"]["ALLOWED_HOSTS"].split(",")[0] == service.name
    assert app["read_only"] is True


def test_compose_has_the_contracts_services_and_ports() -> None:
    services = compose()["services"]
    assert services.pop("secrets")["network_mode"] == "none"
    doors = services.pop("door"), services.pop("door-tls")
    assert [door["ports"][0] for door in doors] == ["${DOOR_HOST:-127.0.0.1}:${DOOR_PORT:-80}:8080"] * 2
    assert [door["profiles"] for door in doors] == [["door"], ["door-tls"]]
    ports = {name: int(service["ports"][0].split(":")[1]) for name, service in services.items()}
    own = {service.name: service.port for service in FLEET.services}
    bought = {"redis": 6379, "timescaledb": 5432, "prometheus": 9090, "alertmanager": 9093, "grafana": 3001}
    assert ports == bought | own
    monitoring = {name for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    assert monitoring == {"prometheus", "alertmanager", "grafana"}


def test_compose_publishes_on_loopback_only_and_pins_every_image() -> None:
    for name, service in compose()["services"].items():
        known = ("127.0.0.1:", "${DOOR_HOST:-127.0.0.1}:")  # the door's own command refuses another without logins
        assert all(port.startswith(known) for port in service.get("ports", [])), name
        assert re.search(r":v?\d+\.\d+", service["image"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["cap_drop"] == ["ALL"], name


def test_the_services_in_compose_believe_the_door_and_it_finds_them_at_fixed_addresses() -> None:
    services, [config] = compose()["services"], compose()["networks"]["default"]["ipam"]["config"]
    networks = {name: entry["networks"]["default"] for name, entry in services.items() if "networks" in entry}
    fixed, network = {name: entry["ipv4_address"] for name, entry in networks.items()}, ip_network(config["subnet"])
    assert set(fixed) == {"door", "door-tls", "auth-gateway", "websocket-streaming", "dashboard"}
    assert all(ip_address(address) in network for address in fixed.values())
    for name in fixed.keys() - {"door", "door-tls"}:
        assert services[name]["environment"]["TRUSTED_PROXIES"] == f"${{TRUSTED_PROXIES:-{fixed['door']}}}"


def test_the_simulators_address_in_compose_is_its_name_and_port() -> None:
    simulator = FLEET.service("market-simulator")
    streaming = compose()["services"]["websocket-streaming"]
    assert streaming["environment"]["SIMULATOR_URL"] == f"http://{simulator.name}:{simulator.port}"


def test_the_dashboard_finds_every_other_service_in_compose_and_under_pm2_with_an_offset() -> None:
    others = [service for service in FLEET.services if service.name != "dashboard"]
    told = compose()["services"]["dashboard"]["environment"]["SERVICE_URLS"].split(",")
    assert set(told) == {f"{service.name}=http://{service.name}:{service.port}" for service in others}
    environ = ecosystem(FLEET_PORT_OFFSET="100", SERVICE_URLS="database-service=http://elsewhere:1")["dashboard"]["env"]
    urls = settings_of(FLEET.service("dashboard")).read({**environ, "ENV_FILES": "false"}).service_urls  # type: ignore[attr-defined]  # its own
    assert urls == {
        **{service.name: f"http://127.0.0.1:{service.port + 100}" for service in others},
        "database-service": "http://elsewhere:1",
    }


def test_compose_holds_no_secret() -> None:
    for name, service in compose()["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|DSN|TOKEN", variable):
                assert variable.endswith("_FILE") or value == "", (name, variable)


def test_every_variable_that_compose_asks_for_is_in_an_env_example() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    examples = "".join(path.read_text() for path in (ROOT / ".env.example", *ROOT.glob("*/.env.example")))
    assert asked <= set(re.findall(r"^#([A-Z_0-9]+)=", examples, re.M))


def test_images_get_every_service_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    wanted = {"fleet.json", "requirements.lock", "shared"} | {service.name for service in FLEET.services}
    assert {line[1:] for line in lines if line.startswith("!")} == wanted


@each_service
def test_the_image_is_unprivileged_and_knows_its_health(service: FleetService) -> None:
    text = (ROOT / service.name / "Dockerfile").read_text()
    assert "{{" not in text
    assert "USER 10001" in text
    assert f"('127.0.0.1', {service.port})" in text
    assert "GET /health/ready" in text


def pins(lock: Path) -> set[str]:
    """The pinned versions and the hashes of a lock file, without the conditions."""
    return {line.split(" ; ")[0].removesuffix(" \\") for line in lock.read_text().splitlines()}


@pytest.mark.parametrize("lock", sorted(ROOT.glob("*/requirements.lock")), ids=lambda lock: lock.parent.name)
def test_an_image_takes_packages_as_the_whole_lock_has_them(lock: Path) -> None:
    assert pins(lock) <= pins(ROOT / "requirements.lock"), "run `make lock`"
    asked = (lock.parent / "requirements.in").read_text().splitlines()
    assert set(asked[1:]) <= set((ROOT / "requirements.in").read_text().splitlines())
    pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock.read_text(), re.M))
    assert set(asked[1:]) <= pinned, "run `make lock`"


def test_the_streaming_image_carries_no_sql() -> None:
    text = (ROOT / "websocket-streaming" / "requirements.lock").read_text()
    assert not re.findall("^(?:sqlalchemy|psycopg2|alembic|numpy)", text, re.M)


def test_pm2_runs_the_list() -> None:
    apps = ecosystem()
    assert list(apps) == [name for service in FLEET.services for name in app_names(service)]
    for service in FLEET.services:
        for name, port in zip(app_names(service), service.ports, strict=True):
            app = apps[name]
            assert app["cwd"] == str(ROOT / service.name)
            assert app["env"]["PORT"] == str(port)
            assert app["max_memory_restart"] == f"{service.max_memory_mb}M"
            assert app["kill_timeout"] == 15000
            assert not {"time", "max_restarts", "min_uptime"} & app.keys()


def test_pm2_runs_each_instance_on_a_port_of_its_own_that_nginx_knows(tmp_path: Path) -> None:
    fleet = with_instances(tmp_path, 3)
    streaming = fleet.service("websocket-streaming")
    apps = ecosystem(tmp_path, FLEET_PORT_OFFSET="7")
    names = [name for name in apps if name.startswith("websocket-streaming")]
    assert names == app_names(streaming) == [f"websocket-streaming-{number}" for number in (1, 2, 3)]
    settings = [apps[name]["env"] for name in names]
    assert [env["PORT"] for env in settings] == ["5107", "5108", "5109"]
    assert [(env["INSTANCE"], env["INSTANCES"]) for env in settings] == [("1", "3"), ("2", "3"), ("3", "3")]
    assert {env["INSTANCE_GROUP"] for env in settings} == {"websocket-streaming-5028"}
    assert {app["env"]["TRUSTED_PROXIES"] for app in apps.values()} == {"127.0.0.1"}
    assert len({apps[name]["out_file"] for name in names}) == 3
    assert apps["database-service"]["env"]["PORT"] == "5027"
    assert apps["door"]["env"]["PORT"] == "5028"
    urls = {"SERVICE_URLS": apps["door"]["env"]["SERVICE_URLS"]}
    door = here(DoorSettings.read(urls, tmp_path), fleet)
    assert (door.streaming, door.workers_port) == ([f"127.0.0.1:{port}" for port in (5107, 5108, 5109)], 5028)
    assert door.listen == []


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("DOOR=true # yes\nDOOR_PORT=8080   # unset: 80\n", 8080),
        ("export DOOR='yes'\nDOOR_PORT=\"81\"\n", 81),
        ("DOOR=1\n", 80),
    ],
)
def test_pm2_reads_the_doors_settings_as_the_services_do(tmp_path: Path, text: str, port: int) -> None:
    with_instances(tmp_path, 1)
    (tmp_path / ".env").write_text(text)
    assert ecosystem(tmp_path)["door"]["env"]["PORT"] == str(port)
    assert DoorSettings.read({}, tmp_path).DOOR
    (tmp_path / ".env").write_text("DOOR=true\nDOOR_PORT=abc\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ecosystem(tmp_path)
    assert "Wrong setting: DOOR_PORT=abc: must be a port" in refused.value.stderr


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ({}, "http://localhost:3002/"),
        ({"FLEET_PORT_OFFSET": "7"}, "http://localhost:3009/"),
        ({"DOOR": "true"}, "http://localhost/"),
        ({"DOOR": "true", "DOOR_PORT": "8080", "FLEET_PORT_OFFSET": "7"}, "http://localhost:8087/"),
        ({"DOOR": "true", "TLS_CERTIFICATE": "c.pem"}, "https://localhost/"),
        (
            {"DOOR": "true", "TLS_CERTIFICATE": "c.pem", "DOOR_TLS_PORT": "8443", "ALLOWED_HOSTS": "my.example,b"},
            "https://my.example:8443/",
        ),
    ],
    ids=str,
)
def test_the_page_that_make_up_names_is_behind_the_door_where_there_is_one(given: dict[str, str], page: str) -> None:
    env = {"PATH": os.environ["PATH"], "FLEET_PYTHON": sys.executable, "ENV_FILES": "false", **given}
    assert exports(ROOT, env)["page"] == page


def test_pm2_moves_the_ports_by_what_the_root_env_says_unless_the_shell_says_otherwise(tmp_path: Path) -> None:
    with_instances(tmp_path, 1)
    (tmp_path / ".env").write_text("FLEET_PORT_OFFSET=7 # the second fleet\n")
    shells: list[dict[str, str]] = [{}, {"FLEET_PORT_OFFSET": "9"}, {"ENV_FILES": "false"}]
    ports = [ecosystem(tmp_path, **shell)["database-service"]["env"]["PORT"] for shell in shells]
    assert ports == ["5027", "5029", "5020"]


@pytest.mark.parametrize("offset", ["abc", "90000", "-1", "7.5"])
def test_an_offset_that_makes_no_ports_is_one_clear_line(offset: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ecosystem(FLEET_PORT_OFFSET=offset)
    line = f"Wrong setting: FLEET_PORT_OFFSET={offset}: must be a whole number from 0 to "
    assert refused.value.stderr.startswith(line)
    assert refused.value.stderr.count("\n") == 1


def test_pm2_runs_nginx_where_it_is_asked_for() -> None:
    assert "door" not in ecosystem()
    apps = ecosystem(DOOR="true", DOOR_PORT="8080", FLEET_PORT_OFFSET="7")
    assert {app["env"]["TRUSTED_PROXIES"] for app in apps.values()} == {"127.0.0.1"}
    assert (apps["door"]["env"]["PORT"], apps["door"]["env"]["DOOR_PORT"]) == ("8087", "8087")
    door = here(DoorSettings.read(apps["door"]["env"], ROOT / "tests"), FLEET)
    assert door.listen == ["127.0.0.1:8087"]
    assert (door.gateway, door.dashboard, door.streaming) == ("127.0.0.1:5029", "127.0.0.1:3009", ["127.0.0.1:5028"])


@pytest.mark.parametrize("count", [0, 17, True, "2"])
def test_a_count_of_instances_that_makes_no_sense_is_refused(tmp_path: Path, count: object) -> None:
    with pytest.raises(ValueError, match="instances of websocket-streaming"):
        with_instances(tmp_path, count)


def test_pm2_passes_settings_on_but_neither_secrets_nor_anything_else() -> None:
    secret = "postgresql://u:canary@h/d"
    apps = ecosystem(LOG_LEVEL="DEBUG", DATABASE_URL=secret, DATABASE_URL_FILE="/f", OTHER="canary")
    for app in apps.values():
        assert app["env"]["LOG_LEVEL"] == "DEBUG"
        assert app["env"]["DATABASE_URL_FILE"] == "/f"
        assert "canary" not in json.dumps(app["env"])
        assert app["filter_env"] == [""]


def test_a_port_offset_moves_the_whole_fleet() -> None:
    apps = ecosystem(FLEET_PORT_OFFSET="100")
    assert apps["database-service"]["env"]["PORT"] == "5120"
    assert apps["websocket-streaming"]["env"]["SIMULATOR_URL"] == "http://127.0.0.1:5135"


def test_without_its_python_pm2s_file_says_what_to_run(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "FLEET_PYTHON": str(tmp_path / "python")}
    done = subprocess.run(
        ["node", "ecosystem.config.js"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "make up" in done.stderr


def test_prometheus_scrapes_every_service_and_reads_rules_that_exist() -> None:
    folder = ROOT / "deploy" / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    fleet = next(job for job in config["scrape_configs"] if job["job_name"] == "fleet")
    targets = {target for group in fleet["static_configs"] for target in group["targets"]}
    assert targets == {f"{service.name}:{service.port}" for service in FLEET.services}
    assert all((folder / rules).is_file() for rules in config["rule_files"])


def test_grafanas_dashboard_asks_a_datasource_that_is_provisioned() -> None:
    folder = ROOT / "deploy" / "grafana"
    sources = yaml.safe_load((folder / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    panels = json.loads((folder / "dashboards/fleet.json").read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"] for source in sources}


def test_node_packages_are_pinned_and_their_lock_names_no_address() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert versions == {"pm2": "7.0.4", "socket.io-client": "4.8.4", "axe-core": "4.14.1"}
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    assert lock["packages"]["node_modules/pm2"]["version"] == "7.0.4"


def test_prometheus_beside_pm2_scrapes_each_instance(tmp_path: Path) -> None:
    text = rendered(with_instances(tmp_path, 2))[ROOT / "deploy" / "prometheus" / "machine.yml"]
    jobs = yaml.safe_load(text)["scrape_configs"]
    targets = next(job for job in jobs if job["job_name"] == "fleet")["static_configs"]
    labels = {"service": "websocket-streaming"}
    assert {"targets": ["127.0.0.1:5100", "127.0.0.1:5101"], "labels": labels} in targets
