"""The page for people at `/`: what is served, to whom, which lies run, and forms to begin and end them."""

from importlib import resources

from flask import Response

from shared.service import Service

POLICY = "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; style-src 'self'; base-uri 'none'"
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


def add_page_routes(service: Service) -> None:
    """Register the page and its two files."""
    for path, (name, content_type) in FILES.items():
        _add(service, path, name, content_type)


def _add(service: Service, path: str, name: str, content_type: str) -> None:
    @service.route("GET", path, summary=f"The page for people: {name}", content_type=content_type)
    def asset() -> Response:
        text = resources.files("market_simulator").joinpath("assets", name).read_text("utf-8")
        return Response(text, mimetype=content_type, headers={"Content-Security-Policy": POLICY})
