"""fleet.json is read as values, and its services agree with the tree."""

from pathlib import Path

import pytest

from shared.fleet import ROOT, read_fleet

pytestmark = pytest.mark.unit


def test_every_service_has_its_own_port_folder_and_package() -> None:
    services = read_fleet().services
    assert len({service.port for service in services}) == len(services)
    for service in services:
        assert (ROOT / service.name / service.package).is_dir()
        assert service.name.replace("-", "_") in service.package
        assert service.package != service.name, "the folder itself would be taken for the package"
        assert service.max_memory_mb > 0


def test_the_ports_are_those_that_clients_know() -> None:
    ports = {service.name: service.port for service in read_fleet().services}
    assert (ports["database-service"], ports["websocket-streaming"], ports["market-simulator"]) == (5020, 5021, 5035)


def test_a_service_is_found_by_its_name() -> None:
    assert read_fleet().service("database-service").title == "Database Service"
    with pytest.raises(KeyError, match="no-such-service"):
        read_fleet().service("no-such-service")


@pytest.mark.parametrize("text", ["", "{}", '{"project": "p", "version": "1", "services": [{"name": "x"}]}'])
def test_a_broken_list_is_an_error_and_no_empty_fleet(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        read_fleet(path)
