"""What each call of each service needs, as the services' own OpenAPI documents say."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.openapi import Need

STREAM = "/socket.io/"  # a client that polls sends its words by POST; they change nothing
LEVELS: tuple[Need, ...] = ("open", "read", "write", "admin")


class Needs:
    """Of one service, by method and path. What the document does not know: reading for GET and HEAD, else writing."""

    def __init__(self, document: Mapping[str, Any] | None = None):
        self._exact: dict[tuple[str, str], Need] = {}
        self._templates: list[tuple[str, re.Pattern[str], Need]] = []
        for method, path, need in _calls(document or {}):
            if "{" in path:
                self._templates.append((method, _pattern(path), need))
            else:
                self._exact[method, path] = need

    def of(self, method: str, path: str) -> Need:
        """The need of one request."""
        method = "GET" if method == "HEAD" or path.startswith(STREAM) else method
        found = self._exact.get((method, path))
        if found is None:
            found = next((n for m, pattern, n in self._templates if m == method and pattern.fullmatch(path)), None)
        return found or ("read" if method == "GET" else "write")


def _calls(document: Mapping[str, Any]) -> Iterable[tuple[str, str, Need]]:
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            need = operation.get("x-needs")
            if need in LEVELS:
                yield method.upper(), path, need


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
