"""What the services say of themselves: their OpenAPI documents, asked for when needed and kept for a while."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from auth_gateway.needs import Needs
from auth_gateway.upstream import read_object
from shared.errors import FleetError, Unavailable

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
        self.changes = 0  # how often a document became another
        self._documents: dict[str, dict[str, Any]] = {}
        self._needs = {name: Needs() for name in services}
        self._until = dict.fromkeys(self._needs, float("-inf"))
        self._first = {name: threading.Lock() for name in self._needs}

    def needs(self, service: str) -> Needs:
        """What its calls need. Raises Unavailable while it has never said."""
        if self.document(service) is None:
            raise Unavailable(f"{service} has not said yet what its calls need; try again")
        return self._needs[service]

    def document(self, service: str) -> dict[str, Any] | None:
        """Its OpenAPI document; None while it never gave one. Blocks as long as the service takes."""
        if service not in self._documents:
            with self._first[service]:  # nobody goes on with what nobody knows
                self._look(service)
        else:
            self._look(service)
        return self._documents.get(service)

    def _look(self, service: str) -> None:
        now = self._monotonic()
        if now < self._until[service]:
            return
        self._until[service] = now + RETRY_S  # meanwhile others go on with what is known
        found = self._ask(service)
        if found is None:
            self._until[service] = self._monotonic() + RETRY_S  # who waited meanwhile does not ask again at once
            return
        self._until[service] = now + KEEP_S
        if found != self._documents.get(service):
            self._documents[service], self._needs[service] = found, Needs(found)
            self.changes += 1

    def _ask(self, service: str) -> dict[str, Any] | None:
        try:
            answer = self._ask_for(service, "/openapi.json")
            document = read_object(answer.body, MAX_BYTES)
        except FleetError:
            return None
        return document if answer.status == 200 and _is_description(document) else None


def _is_description(document: dict[str, Any]) -> bool:
    """Whether it has the parts that are read here; whatever else answers in the place of a service is left out."""
    paths, components = document.get("paths"), document.get("components")
    if not isinstance(components, dict) or not isinstance(components.get("schemas"), dict):
        return False
    if not isinstance(paths, dict) or not all(isinstance(operations, dict) for operations in paths.values()):
        return False
    operations = [one for operations in paths.values() for one in operations.values()]
    return all(isinstance(one, dict) and isinstance(one.get("operationId"), str) for one in operations)
