"""`make up` on a running fleet says which service has not read a changed `.env`."""

import os
from pathlib import Path

import pytest

from tools import updown
from tools.pm2 import Running

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("started_s", "noticed"), [(50.0, "database-service/.env"), (150.0, None)])
def test_a_settings_file_newer_than_the_service_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started_s: float, noticed: str | None
) -> None:
    monkeypatch.setattr(updown, "ROOT", tmp_path)
    folder = tmp_path / "database-service"
    folder.mkdir()
    (folder / ".env").write_text("LOG_LEVEL=DEBUG\n")
    os.utime(folder / ".env", (100, 100))
    assert updown._changed_since(Running(1, "database-service", folder, "online", 0, started_s)) == noticed


def test_a_file_of_several_services_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(updown, "ROOT", tmp_path)
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\n")
    os.utime(tmp_path / ".env", (100, 100))
    updown._tell_changed([Running(at, name, tmp_path / name, "online", 0, 50.0) for at, name in enumerate("ab")])
    assert capsys.readouterr().out == (
        "! .env changed after a, b started; to apply: npx pm2 restart ecosystem.config.js --only a,b\n"
    )
