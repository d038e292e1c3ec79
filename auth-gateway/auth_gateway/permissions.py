"""What somebody may do: roles give permissions, an API key's scopes narrow them.

A permission is `service:read`, `service:write` or `service:admin`; `*` stands for every service. Reading is what GET
does, everything else writes, and a route may declare that it needs more or less (`needs`, `x-needs` in OpenAPI).
"""

import re
from collections.abc import Iterable

from auth_gateway.accounts import Role
from shared.errors import InvalidInput
from shared.openapi import Need

RANK: dict[str, int] = {"read": 1, "write": 2, "admin": 3}  # each holds those below it
ROLE_SCOPES: dict[Role, tuple[str, ...]] = {"admin": ("*:admin",), "trader": ("*:write",), "reader": ("*:read",)}
SCOPE = re.compile(r"(\*|[a-z][a-z0-9-]{1,40}):(read|write|admin)")
MAX_SCOPES = 50


def check_scopes(scopes: Iterable[str], services: Iterable[str]) -> tuple[str, ...]:
    """The scopes, sorted and each once. Raises InvalidInput for one that means nothing."""
    known = {"*", *services}
    checked = sorted(set(scopes))
    for scope in checked:
        match = SCOPE.fullmatch(scope)
        if match is None or match[1] not in known:
            raise InvalidInput.field(
                "scopes", f"{scope[:60]!r}: must be service:read, service:write or service:admin; * is every service"
            )
    if not 1 <= len(checked) <= MAX_SCOPES:
        raise InvalidInput.field("scopes", f"must be 1 to {MAX_SCOPES}")
    return tuple(checked)


def allows(scopes: Iterable[str], service: str, need: Need) -> bool:
    """Whether these scopes reach so far."""
    if need == "open":
        return True
    return any(
        name in ("*", service) and RANK[level] >= RANK[need]
        for name, _, level in (scope.partition(":") for scope in scopes)
    )


def narrowed(role: Role, scopes: Iterable[str]) -> tuple[str, ...]:
    """A key's scopes as far as its owner's role reaches; a role that shrinks shrinks every key with it."""
    reach = RANK[ROLE_SCOPES[role][0].partition(":")[2]]
    found = set()
    for scope in scopes:
        name, _, level = scope.partition(":")
        found.add(scope if RANK[level] <= reach else f"{name}:{ROLE_SCOPES[role][0].partition(':')[2]}")
    return tuple(sorted(found))
