"""What `make up` says of settings before it starts anything."""

from pathlib import Path

import pytest

from tools import settings_check

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for `.env` files."""
    monkeypatch.setattr(settings_check, "ROOT", tmp_path)
    (tmp_path / "database-service").mkdir()
    return tmp_path


def test_a_name_that_is_nearly_a_setting_of_any_service_is_told(root: Path) -> None:
    (root / ".env").write_text("RATE_LIMT_ENABLED=false\nDOR_PORT=80\nRATE_LIMIT_PRISE=4\nMY_OWN_TOOL=1\nMARKET=auto\n")
    (root / "database-service" / ".env").write_text("LOG_LEVL=DEBUG\n")
    said = settings_check.likely_typos()
    pairs = [tuple(line.partition(": ")[2].split(" is no setting; is ")) for line in said]
    assert sorted(pairs) == [
        ("DOR_PORT", "DOOR_PORT meant?"),
        ("LOG_LEVL", "LOG_LEVEL meant?"),
        ("RATE_LIMIT_PRISE", "RATE_LIMIT_PRICE meant?"),
        ("RATE_LIMT_ENABLED", "RATE_LIMIT_ENABLED meant?"),
    ]


def test_a_wrong_value_is_named_with_the_services_that_would_not_start(root: Path) -> None:
    (root / "database-service" / ".env").write_text("DB_PORT=many\n")
    (line,) = settings_check.wrong({})
    assert line.startswith("Wrong setting: DB_PORT='many': must be a valid integer")
    assert line.endswith(" (database-service)")


def test_a_value_that_is_wrong_for_all_is_one_line(root: Path) -> None:
    (line,) = settings_check.wrong({"LOG_LEVEL": "lots", "ENV_FILES": "false"})
    assert line.startswith("Wrong setting: LOG_LEVEL='LOTS': must be 'DEBUG', 'INFO'")
    assert "market-simulator, database-service" in line


def test_what_pm2_sets_or_withholds_is_not_judged(root: Path) -> None:
    assert settings_check.wrong({"PORT": "none", "FLEET_SECRET": "short", "ENV_FILES": "false"}) == []


def test_a_port_that_pm2_never_learns_is_told(root: Path) -> None:
    (root / ".env").write_text("PORT=5050\nFLEET_PORT_OFFSET=7\n")
    (root / "database-service" / ".env").write_text("FLEET_PORT_OFFSET=7\n")
    said = [line.partition("/.env: ")[2].partition(":")[0] for line in settings_check.likely_typos()]
    assert sorted(said) == ["FLEET_PORT_OFFSET does nothing here", "PORT does nothing here"]


def test_a_door_that_would_not_open_is_named_before_the_services_start(root: Path) -> None:
    (root / ".env").write_text("DOOR=true\nDOOR_HOST=0.0.0.0\n")
    (line,) = settings_check.wrong({})
    assert line.startswith("Wrong setting: DOOR_HOST='0.0.0.0': others could reach a fleet that asks for no login")
    (root / ".env").write_text("DOOR=true\nTLS_CERTIFICATE=none.pem\nTLS_KEY=none.pem\n")
    (line,) = settings_check.wrong({})
    assert line == "Wrong setting: TLS_CERTIFICATE='none.pem': the file can't be read (door)"
    (root / ".env").write_text("DOOR=false\nDOOR_HOST=0.0.0.0\n")
    assert settings_check.wrong({}) == []
