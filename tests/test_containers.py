"""What can be said of images, compose and deployment without an engine."""

import getpass
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.fleet import ROOT, read_fleet
from tests.containers.stand_ins import for_the_image, mirror
from tools import deploy
from tools.containers import Container
from tools.settings import names_of, settings_of
from tools.steps import Failed

FLEET = read_fleet()
BIN = Path(sys.prefix) / "bin"
PROFILES = {"door": {"door"}, "door-tls": {"door-tls"}, "monitoring": {"prometheus", "alertmanager", "grafana"}}
STORES = {"database": "timescaledb", "redis": "redis"}  # what fleet.json calls the need, and compose the service


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def need(program: str) -> str:
    if not (BIN / program).exists():
        pytest.skip(f"{program} has no binary for this machine")
    return str(BIN / program)


@pytest.mark.integration
def test_hadolint_has_nothing_against_the_dockerfiles() -> None:
    files = [str(ROOT / service.name / "Dockerfile") for service in FLEET.services]
    done = subprocess.run([need("hadolint"), *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.integration
@pytest.mark.parametrize("profile", ["", *PROFILES])
@pytest.mark.parametrize("env", ["", "DB_PASSWORD='a$b'\nLOG_LEVEL=DEBUG\n"], ids=["without .env", "with .env"])
def test_compose_itself_takes_the_file(tmp_path: Path, profile: str, env: str) -> None:
    if env:
        (tmp_path / ".env").write_text(env)
    words = [need("docker-compose"), "--project-directory", str(tmp_path), "-f", str(ROOT / "docker-compose.yml")]
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [*words, *(["--profile", profile] if profile else []), "config", "--services"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    bought = {"secrets", "redis", "timescaledb"} | PROFILES.get(profile, set())
    assert set(done.stdout.split()) == {service.name for service in FLEET.services} | bought


@pytest.mark.unit
@pytest.mark.parametrize("service", FLEET.services, ids=lambda service: service.name)
def test_a_service_starts_after_what_the_list_says_it_needs(service: Any) -> None:
    entry = compose()["services"][service.name]
    waits = entry["depends_on"]
    assert waits["secrets"] == {"condition": "service_completed_successfully"}
    assert waits.keys() - {"secrets"} == {STORES.get(name, name) for name in service.needs}
    allowed = {"service_healthy"} if set(service.needs) & STORES.keys() else {"service_healthy", "service_started"}
    assert {waits[name]["condition"] for name in waits if name != "secrets"} <= allowed
    assert "secrets:/secrets:ro" in entry["volumes"]
    mounts = [*entry["volumes"], *entry.get("tmpfs", [])]
    assert any(re.match(r"(?:[a-z-]+:)?/data(?::|$)", mount) for mount in mounts), "nowhere to write"


@pytest.mark.unit
def test_every_named_volume_is_declared_and_used() -> None:
    document = compose()
    listed = [mount for service in document["services"].values() for mount in service.get("volumes", [])]
    mounts = [mount for mount in listed if isinstance(mount, str)]
    assert {mount.split(":")[0] for mount in mounts if mount[0] not in "./"} == set(document["volumes"])


@pytest.mark.unit
@pytest.mark.parametrize("service", FLEET.services, ids=lambda service: service.name)
def test_every_secret_setting_reaches_the_containers_as_a_file(service: Any) -> None:
    document, settings = compose(), settings_of(service)
    environment = document["services"][service.name]["environment"]
    given = dict(line.split("=", 1) for line in document["configs"]["secrets"]["content"].splitlines())
    for field, variable in names_of(settings).items():
        if settings.is_secret(field):
            assert environment[variable] == "", f"{variable} of the root .env would show in docker inspect"
            assert environment[f"{variable}_FILE"] == f"/secrets/{variable.lower()}"
            assert given[variable.lower()] == f"${{{variable}:-}}"


@pytest.mark.unit
@pytest.mark.parametrize("service", FLEET.services, ids=lambda service: service.name)
def test_a_service_that_asks_others_is_told_where_they_are(service: Any) -> None:
    if "SERVICE_URLS" not in settings_of(service).model_fields:
        return
    told = compose()["services"][service.name]["environment"]["SERVICE_URLS"].split(",")
    others = [other for other in FLEET.services if other.name != service.name]
    assert set(told) == {f"{other.name}=http://{other.name}:{other.port}" for other in others}


@pytest.mark.integration
def test_without_docker_one_line_says_so(tmp_path: Path) -> None:
    for program in ("sh", "dirname"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    done = run_deploy(PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Docker is needed, and `docker` is not on PATH.\n"


@pytest.mark.integration
def test_help_says_what_it_does_and_a_wrong_word_is_refused() -> None:
    done = run_deploy("--help")
    assert done.returncode == 0
    known = {"--door", "--door-tls", "--monitoring", "--no-build", "--wait-s"}
    assert known <= set(re.findall(r"--[a-z-]+", done.stdout))
    assert run_deploy("--hlep").returncode == 2


def run_deploy(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "deploy" / "deploy.sh"), *words]
    known = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    return subprocess.run(command, env=known | env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.unit
def test_a_full_disk_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy.refuse_full_disk(tmp_path / "of another machine")
    monkeypatch.setattr(deploy, "LEAST_FREE_MB", 10**12)
    with pytest.raises(Failed, match=r"^The disk is full: \d+ MB are free in .*, 1000000000000 MB are needed\.$"):
        deploy.refuse_full_disk(tmp_path)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("state", "health", "code", "restarts", "once", "ready", "trouble"),
    [
        ("running", "healthy", 0, 9, False, True, ""),
        ("running", "", 0, 0, False, True, ""),
        ("running", "starting", 0, 0, False, False, ""),
        ("running", "unhealthy", 0, 0, False, False, "is unhealthy"),
        ("restarting", "starting", 1, 3, False, False, "keeps ending (exit code 1)"),
        ("exited", "", 0, 0, True, True, ""),
        ("exited", "", 2, 0, True, False, "ended with exit code 2"),
    ],
)
def test_a_container_is_ready_in_trouble_or_waited_for(
    state: str, health: str, code: int, restarts: int, once: bool, ready: bool, trouble: str
) -> None:
    container = Container("redis", state, health, code, restarts, once)
    assert (container.ready, container.trouble) == (ready, trouble)


@pytest.mark.unit
def test_the_stand_in_takes_of_the_lock_what_holds_for_its_python() -> None:
    lock = (
        "a==1 ; python_full_version < '3.11.3' \\\n    --hash=sha256:1\n"
        "b==1 ; sys_platform == 'win32' \\\n    --hash=sha256:2\nc==1 \\\n    --hash=sha256:3\n"
    )
    assert for_the_image(lock).split() == ["a==1", "\\", "--hash=sha256:1", "c==1", "\\", "--hash=sha256:3"]


def apt_with(folder: Path, label: str) -> list[str]:
    """apt's options for sources and lists of its own; the only source is an archive of that label."""
    release = folder / "archive" / "dists" / "bookworm"
    (release / "main" / "binary-all").mkdir(parents=True)
    packages = b"Package: some\nVersion: 1\nArchitecture: all\nFilename: some.deb\nSize: 1\n"
    (release / "main" / "binary-all" / "Packages").write_bytes(packages)
    (release / "Release").write_text(
        f"Label: {label}\nSuite: oldstable\nCodename: bookworm\nArchitectures: all\nComponents: main\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-all/Packages\n"
    )
    for needed in ("state/lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True)
    sources = folder / "private.list"
    sources.write_text(f"deb [trusted=yes arch=all] file:{folder}/archive bookworm main\n")
    settings = {
        "Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-",
        "Dir::State": folder / "state", "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": getpass.getuser(),  # another one may not read this folder
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", *options, "update", "-q"], capture_output=True, check=True)
    return options


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_the_stand_ins_come_from_where_this_machine_has_its_debian(tmp_path: Path) -> None:
    assert mirror(*apt_with(tmp_path, "Debian")).rstrip("/") == f"file:{tmp_path}/archive"


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_a_machine_whose_apt_has_no_debian_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="apt knows no source of Debian bookworm"):
        mirror(*apt_with(tmp_path, "Some other"))
