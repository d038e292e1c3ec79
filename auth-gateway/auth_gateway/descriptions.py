"""What the services say of themselves: their OpenAPI documents, asked for when needed and kept for a while."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from auth_gateway.needs import Needs
from shared.errors import FleetError

KEEP_S = 60.0
RETRY_S = 2.0  # after a service that did not answer
MAX_BYTES = 5_000_000


class Answered(Protocol):
    """What a service answered."""

    @property
    def status(self) -> int:
        """HTTP's."""
        ...

    @property
    def body(self) -> Iterator[bytes]:
        """As it comes."""
        ...


Ask = Callable[[str, str], Answered]  # (service, target); raises FleetError


class Descriptions:
    """One document a service; of one that can't be asked, the last that it gave."""

    def __init__(self, ask: Ask, services: Iterable[str], monotonic: Callable[[], float]):
        self._ask_for, self._monotonic = ask, monotonic
        self._documents: dict[str, dict[str, Any]] = {}
        self._needs = {name: Needs() for name in services}
        self._until = dict.fromkeys(self._needs, float("-inf"))

    def needs(self, service: str) -> Needs:
        """What its calls need."""
        self.document(service)
        return self._needs[service]

    def document(self, service: str) -> dict[str, Any] | None:
        """Its OpenAPI document; None while it never gave one. Blocks as long as the service takes."""
        now = self._monotonic()
        if now >= self._until[service]:
            self._until[service] = now + RETRY_S  # meanwhile others go on with what is known
            found = self._ask(service)
            if found is not None:
                self._until[service] = now + KEEP_S
                self._documents[service], self._needs[service] = found, Needs(found)
        return self._documents.get(service)

    def _ask(self, service: str) -> dict[str, Any] | None:
        try:
            answer = self._ask_for(service, "/openapi.json")
            body = b""
            for chunk in answer.body:
                body += chunk
                if len(body) > MAX_BYTES:
                    return None
            document = json.loads(body) if answer.status == 200 else None
        except (FleetError, ValueError):
            return None
        return document if isinstance(document, dict) else None
