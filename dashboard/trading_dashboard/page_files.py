"""The page's own files, each with its type, its compressed form and its ETag, made once.

Everything but index.html lies below `assets/<version>/`, where the version is a hash of all of them: what a browser has
once, it need not ask for again, and a new version has new addresses. Modules import each other by relative paths, so
the version need stand in index.html alone; written there is `assets/…`, served is `assets/<version>/…`.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}
PACKED = {".html", ".css", ".js", ".json", ".svg", ".txt"}
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file. `packed` is its gzip form, where that is smaller."""

    content_type: str
    body: bytes
    packed: bytes | None
    etag: str


@dataclass(frozen=True, slots=True)
class PageFiles:
    """index.html, and the other files by their path below the folder."""

    version: str
    index: PageFile
    assets: Mapping[str, PageFile]


def page_files(bodies: Mapping[str, bytes]) -> PageFiles:
    """From the files' bytes by their path. Raises ValueError for a type that a page has no use for."""
    names = "".join(f"{name} {_hash(body)}\n" for name, body in sorted(bodies.items()))
    version = _hash(names.encode())[:16]
    index = bodies[INDEX].replace(b'"assets/', f'"assets/{version}/'.encode())
    assets = {name: _made(name, body) for name, body in bodies.items() if name != INDEX}
    return PageFiles(version, _made(INDEX, index), assets)


def _made(name: str, body: bytes) -> PageFile:
    suffix = PurePosixPath(name).suffix or ".txt"  # a LICENSE
    if suffix not in TYPES:
        raise ValueError(f"{name}: no content type is known for {suffix}")
    packed = gzip.compress(body, 9, mtime=0) if suffix in PACKED else body
    return PageFile(TYPES[suffix], body, packed if len(packed) < len(body) else None, _hash(body)[:32])


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
