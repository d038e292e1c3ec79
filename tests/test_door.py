"""The door's configuration: what nginx takes, and what is refused before nginx begins."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from shared.fleet import ROOT, read_fleet
from tools.door import DoorSettings, filled, here

FLEET = read_fleet()


def settings(**given: Any) -> DoorSettings:
    return DoorSettings.read({}, ROOT / "tests", **{"DOOR": True} | given)


def check(program: str, file: Path) -> str:
    """What nginx says of a configuration; it is asked with `-t`, so nothing starts."""
    done = subprocess.run([program, "-t", "-c", file, "-e", "stderr"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


@pytest.mark.integration
@pytest.mark.parametrize("given", [{}, {"DOOR": False}, {"DOOR_HOST": "::", "AUTH_REQUIRED": True}], ids=str)
def test_nginx_takes_what_is_made(nginx_program: str, tmp_path: Path, given: dict[str, Any]) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "door").mkdir()
    file = tmp_path / "nginx.conf"
    text = here(settings(VAR_DIR=tmp_path, DOOR_PORT=8080, **given), FLEET).configuration()
    file.write_text(text)
    assert check(nginx_program, file) == ""
    assert "{{" not in text


@pytest.mark.integration
def test_nginx_takes_the_file_for_containers(nginx_program: str, tmp_path: Path) -> None:
    text = (ROOT / "deploy/nginx/door.conf").read_text()
    for service in FLEET.services:  # their names are known between containers only
        text = text.replace(f"server {service.name}:", "server 127.0.0.1:")
    file = tmp_path / "nginx.conf"
    file.write_text(text.replace("/tmp/", f"{tmp_path}/"))
    assert check(nginx_program, file) == ""


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"DOOR_HOST": "0.0.0.0"}, "AUTH_REQUIRED=true"),
        ({"DOOR_HOST": "192.0.2.1"}, "AUTH_REQUIRED=true"),
        ({"DOOR_HOST": "localhost"}, "must be an address"),
        ({"TLS_CERTIFICATE": Path("c.pem")}, "TLS_CERTIFICATE and TLS_KEY go together"),
        (
            {"TLS_CERTIFICATE": Path("no.pem"), "TLS_KEY": Path("no.pem")},
            "TLS_CERTIFICATE='no.pem': the file can't be read",
        ),
    ],
    ids=str,
)
def test_a_door_that_would_be_unsafe_or_half_told_does_not_open(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        here(settings(**given), FLEET)


@pytest.mark.unit
def test_a_public_door_listens_on_loopback_too_where_its_readiness_is_asked() -> None:
    file = Path("README.md")  # nginx would find that it is none; here it only has to be there
    given = {"DOOR_HOST": "192.0.2.1", "AUTH_REQUIRED": True, "TLS_CERTIFICATE": file, "TLS_KEY": file}
    door = here(settings(**given), FLEET)
    assert door.listen == ["192.0.2.1:80", "127.0.0.1:80"]
    assert door.listen_tls == ["192.0.2.1:443", "127.0.0.1:443"]
    assert door.certificate == str(ROOT / file)


@pytest.mark.unit
def test_sections_of_a_template_stay_or_go_and_lists_keep_their_indent() -> None:
    text = "a\n  {{#x}}\n  {{w}}\n  {{/x}}\n{{^x}}\nb\n{{/x}}\n"
    assert filled(text, {"w": ["1", "2"]}, {"x": True}) == "a\n  1\n  2\n"
    assert filled(text, {"w": "1"}, {"x": False}) == "a\nb\n"
