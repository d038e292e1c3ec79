"""The page at `/` and its files, and what it needs to know before it asks anything else."""

from flask import Response, request

from shared.errors import NotFound
from shared.service import Service
from trading_dashboard.opened import DOOR
from trading_dashboard.page_files import PageFile, PageFiles
from trading_dashboard.stream_place import StreamPlace

FOR_EVER = "public, max-age=31536000, immutable"
FRESH = "no-cache"  # may be kept, but is asked for again each time: mostly a 304
SAFE = {
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def add_page_routes(service: Service, files: PageFiles, place: StreamPlace) -> None:
    """Register the page and its files."""

    @service.route("GET", "/", summary="The page for people", content_type="text/html")
    def index() -> Response:
        answer = _answer(files.index, FRESH)
        answer.headers.update(SAFE)
        origins = place.origins(request.host, door=DOOR in request.headers)
        answer.headers["Content-Security-Policy"] = policy(origins)
        return answer

    @service.route(
        "GET", "/assets/<version>/<path:name>", summary="The page's files", content_type="text/javascript",
        other_types=("text/css", "image/svg+xml", "text/plain"), quiet=True,
    )  # fmt: skip
    def asset(version: str, name: str) -> Response:
        if version != files.version or name not in files.assets:
            raise NotFound("there is no such file in this version of the page")
        return _answer(files.assets[name], FOR_EVER)


def policy(origins: list[str]) -> str:
    """What the page may load and whom it may call: itself, and the stream's `origins`."""
    callees = " ".join(["'self'", *origins])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
        f"connect-src {callees}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _answer(file: PageFile, keep: str) -> Response:
    packed = file.packed if request.accept_encodings.quality("gzip") > 0 else None
    answer = Response(packed or file.body, content_type=f"{file.content_type}; charset=utf-8")
    if packed:
        answer.content_encoding = "gzip"
    if file.packed:
        answer.vary.add("Accept-Encoding")
    answer.headers["Cache-Control"] = keep
    answer.set_etag(f"{file.etag}{'-gz' if packed else ''}")
    answer.make_conditional(request)
    return answer
