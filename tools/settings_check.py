"""What `make up` asks before it starts anything: are the settings of every service right, and which look misspelt?

It runs as a program of its own, `python -m tools.settings_check`, with the Python that has what the services need.
"""

import os
import sys
from collections.abc import Mapping

from shared.config import Settings
from shared.env_files import misspelt, read_env_file
from shared.errors import ConfigError
from shared.fleet import ROOT, read_fleet
from tools.door import DoorSettings
from tools.door import check as check_door
from tools.settings import settings_of

OF_PM2 = ("PORT", "SERVICE_NAME")  # a service's own under PM2, whatever the shell says


def every_kind() -> dict[str, type[Settings]]:
    """The settings of each service by the name of its folder; those of the door by `.`, the root."""
    return {**{service.name: settings_of(service) for service in read_fleet().services}, ".": DoorSettings}


def wrong(environ: Mapping[str, str]) -> list[str]:
    """One line for each wrong value in the environment or in a `.env`, with the services that would not start."""
    services: dict[str, list[str]] = {}
    for name, settings in every_kind().items():
        withheld = {*OF_PM2, *(field for field in settings.model_fields if settings.is_secret(field))}
        given = {variable: value for variable, value in environ.items() if variable not in withheld}
        try:
            found = settings.read(given, ROOT / name)
            if isinstance(found, DoorSettings) and found.DOOR:
                check_door(found)
        except ConfigError as error:
            services.setdefault(str(error), []).append("door" if name == "." else name)
    return [f"{line} ({', '.join(names)})" for line, names in services.items()]


def likely_typos() -> list[str]:
    """One line for each name in a `.env` that is nobody's, yet nearly a setting."""
    known = {name: settings.known_names() for name, settings in every_kind().items()}
    own = [line for name, names in known.items() if name != "." for line in misspelt(ROOT / name / ".env", names)]
    return sorted([*misspelt(ROOT / ".env", set().union(*known.values())), *own, *_without_effect()])


def _without_effect() -> list[str]:
    """One line for each name in a `.env` that PM2 never learns from there."""
    found = []
    for name in every_kind():
        given = read_env_file(ROOT / name / ".env")
        if given.get("PORT"):
            found.append((name, "PORT", "ports stand in fleet.json, and FLEET_PORT_OFFSET in the root .env moves all"))
        if name != "." and given.get("FLEET_PORT_OFFSET"):
            found.append((name, "FLEET_PORT_OFFSET", "it belongs into the root .env or the shell"))
    return [f"{(ROOT / name).name}/.env: {variable} does nothing here: {why}" for name, variable, why in found]


def main() -> int:
    """Typos go to stdout, wrong values to stderr; the latter make the exit code 1."""
    found = wrong(os.environ)
    if not found and os.environ.get("ENV_FILES", "").lower() != "false":  # a wrong one may not even be readable
        sys.stdout.write("".join(f"! {line}\n" for line in likely_typos()))
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
