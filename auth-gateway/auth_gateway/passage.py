"""Whether a request may pass to a service: who calls, what the call needs, and how many there were."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from auth_gateway.identity import Doorkeeper, Identity
from auth_gateway.needs import Needs
from auth_gateway.permissions import allows
from auth_gateway.plans import calls_per_minute
from auth_gateway.symbols import check_symbols
from auth_gateway.tokens import refused
from shared.addresses import subscriber
from shared.errors import FleetError, Forbidden
from shared.openapi import Need


class Decision(Protocol):
    """What the limiter says of one call."""

    @property
    def allowed(self) -> bool:
        """Whether it may pass."""
        ...

    @property
    def remaining(self) -> int:
        """How many are left."""
        ...

    def headers(self) -> dict[str, str]:
        """What the answer says of it."""
        ...

    def refusal(self) -> FleetError:
        """The error for whoever may not."""
        ...


Check = Callable[[str, str, int], Decision]  # (name of the limit, who, calls a minute)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a service, as far as permission depends on it."""

    service: str
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    address: str
    authorization: str | None
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Passage:
    """Judges calls. `required`: nobody passes without a login or a key, open calls aside."""

    doorkeeper: Doorkeeper
    needs: Callable[[str], Needs]
    check_limit: Check | None
    per_address: int
    required: bool

    def judge(self, call: Call, headers: dict[str, str]) -> Identity | None:
        """Who calls; None for a guest. What the answer says of limits goes into `headers`.

        Raises Unauthorized, Forbidden or RateLimited.
        """
        self._count("api:address", subscriber(call.address), self.per_address, headers)
        if call.authorization is None and call.api_key is None:
            if self.required and self._need(call) != "open":
                raise refused()
            return None
        need = self._need(call)
        who = self.doorkeeper.identify(call.authorization, call.api_key)
        if not allows(who.scopes, call.service, need):
            holder = "key" if who.key_id else "role"
            raise Forbidden(f"this needs {call.service}:{need}, which your {holder} does not give")
        if who.symbols:
            check_symbols(who.symbols, call.path, call.query, call.body)
        if who.key_id is not None and who.per_minute is not None:  # first: what it refuses costs the account nothing
            self._count("api:key", who.key_id, calls_per_minute(who.plan, who.per_minute), headers)
        self._count("api:account", who.account_id, calls_per_minute(who.plan, None), headers)
        return who

    def _need(self, call: Call) -> Need:
        return self.needs(call.service).of(call.method, call.path)

    def _count(self, name: str, who: str, limit: int, headers: dict[str, str]) -> None:
        """Of several limits the answer tells the one that has least left."""
        if self.check_limit is None:
            return
        decision = self.check_limit(name, who, limit)
        if not headers or not decision.allowed or decision.remaining < int(headers["X-RateLimit-Remaining"]):
            headers.update(decision.headers())
        if not decision.allowed:
            raise decision.refusal()
