"""Every Settings class of the fleet, found by the convention that a service keeps its own in one of two files."""

import importlib
import sys

from shared.config import VARIABLE_OF, Settings
from shared.fleet import ROOT, FleetService

PLACES = ("settings", "config")
NOT_FOR_USERS = {"UNDER_PM2", "NODE_CHANNEL_FD"}  # PM2 sets them


def settings_of(service: FleetService) -> type[Settings]:
    """The one Settings subclass whose SERVICE is this service's name; LookupError when there is none."""
    folder = str(ROOT / service.name)
    if folder not in sys.path:
        sys.path.append(folder)
    package = ROOT / service.name / service.package
    modules = [f"{service.package}.{place}" for place in PLACES if (package / f"{place}.py").exists()]
    for member in (member for module in modules for member in vars(importlib.import_module(module)).values()):
        if isinstance(member, type) and issubclass(member, Settings) and service.name == member.SERVICE:
            return member
    raise LookupError(f"no Settings class with SERVICE = {service.name!r} in {package} ({', '.join(PLACES)})")


def names_of(settings: type[Settings]) -> dict[str, str]:
    """Field name → variable name, of all that users may set."""
    return {field: VARIABLE_OF.get(field, field) for field in settings.model_fields if field not in NOT_FOR_USERS}
