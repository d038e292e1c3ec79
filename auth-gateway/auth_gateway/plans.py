"""Plans: named sets of limits. An account has one; a key may set itself a tighter limit, never a wider one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls a minute of one account over all its tokens and keys, and how many keys it may have in force."""

    per_minute: int
    keys: int


PLANS: dict[str, Plan] = {
    "free": Plan(per_minute=300, keys=5),
    "pro": Plan(per_minute=3_000, keys=50),
    "desk": Plan(per_minute=30_000, keys=100),
}
FIRST_PLAN = "free"


def calls_per_minute(plan: str, key_limit: int | None) -> int:
    """What is allowed with this plan and a key's own limit. A plan that no longer exists counts as the first."""
    allowed = PLANS.get(plan, PLANS[FIRST_PLAN]).per_minute
    return allowed if key_limit is None else min(allowed, key_limit)
