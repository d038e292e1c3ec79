"""fleet.json as values: the one list of services. Generators, tests and start-up read it here."""

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST_INSTANCE_PORT = 5100
MAX_INSTANCES = 16
WITH_INSTANCES = "websocket-streaming"  # the one service whose processes share their work


@dataclass(frozen=True, slots=True)
class FleetService:
    """One service of the fleet. `name` is its folder, PM2 and compose name; `needs` what it works better with.

    `instances` above 1: PM2 runs so many of it, on ports from `FIRST_INSTANCE_PORT` on, and nginx holds `port`.
    """

    name: str
    title: str
    package: str
    port: int
    max_memory_mb: int
    needs: tuple[str, ...]
    instances: int = 1

    @property
    def ports(self) -> tuple[int, ...]:
        """Where its processes listen."""
        if self.instances == 1:
            return (self.port,)
        return tuple(range(FIRST_INSTANCE_PORT, FIRST_INSTANCE_PORT + self.instances))


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
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a list of services: {error}") from error
    for service in services:
        allowed = MAX_INSTANCES if service.name == WITH_INSTANCES else 1
        if not (type(service.instances) is int and 1 <= service.instances <= allowed):
            raise ValueError(f"{path}: instances of {service.name} must be a whole number from 1 to {allowed}")
    return Fleet(document["project"], document["version"], services)
