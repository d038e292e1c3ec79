"""fleet.json as values: the one list of services. Generators, tests and start-up read it here."""

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class FleetService:
    """One service of the fleet. `name` is its folder, PM2 and compose name; `needs` what it works better with."""

    name: str
    title: str
    package: str
    port: int
    max_memory_mb: int
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The whole list."""

    project: str
    version: str
    services: tuple[FleetService, ...]

    def service(self, name: str) -> FleetService:
        """The service of that name; KeyError when there is none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)


def read_fleet(path: Path = ROOT / "fleet.json") -> Fleet:
    """Read the list. Raises OSError or ValueError; neither gets better by a retry."""
    document = json.loads(path.read_text("utf-8"))
    try:
        services = tuple(FleetService(**{**entry, "needs": tuple(entry["needs"])}) for entry in document["services"])
        return Fleet(document["project"], document["version"], services)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a list of services: {error}") from error
