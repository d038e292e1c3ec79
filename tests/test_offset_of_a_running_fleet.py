"""A shell that asks for other ports than this clone's fleet has is told so."""

from pathlib import Path

import pytest

from tools import updown
from tools.pm2 import App, Running, Wanted
from tools.steps import ROOT, Failed

pytestmark = pytest.mark.unit
NAMES = {"database-service": 5020, "auth-gateway": 5022}


def wanted(offset: int) -> Wanted:
    logs = (Path("out"), Path("error"))
    apps = [App(name, ROOT / name, port + offset, Path("var"), logs) for name, port in NAMES.items()]
    return Wanted(apps, offset, "http://localhost:3002/")


def running(offset: int, root: Path = ROOT, status: str = "online") -> list[Running]:
    return [Running(at, name, root / name, status, 0, port=NAMES[name] + offset) for at, name in enumerate(NAMES)]


@pytest.mark.parametrize(("shell", "fleet"), [(0, 1000), (1000, 0), (7, 1000)])
def test_another_offset_is_named_with_the_way_to_go_on(shell: int, fleet: int) -> None:
    with pytest.raises(Failed) as told:
        updown.refuse_other_offset(wanted(shell), running(fleet))
    assert f"runs at +{fleet}, and this shell (or .env) asks for +{shell}." in told.value.line
    assert f"export FLEET_PORT_OFFSET={fleet}." in told.value.line


@pytest.mark.parametrize(
    "listed",
    [[], running(7), running(0, Path("/another/clone")), running(0, status="errored"), running(0)[:1] + running(7)[1:]],
    ids=["nothing runs", "the same offset", "another clone's", "fallen over", "one port changed in fleet.json"],
)
def test_nothing_else_is_refused(listed: list[Running]) -> None:
    updown.refuse_other_offset(wanted(7), listed)
