"""What can be set for the dashboard, beside what every service knows."""

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from shared.config import Settings, split_list
from shared.fleet import FleetService, read_fleet
from shared.service_urls import ServiceUrls, service_urls

STREAMING, GATEWAY = "websocket-streaming", "auth-gateway"


def _stream(value: str) -> str:
    where = urlsplit(value)
    whole = where.scheme in {"http", "https"} and where.hostname and where.port != 0 and not where.username
    if (value and not whole and not value.startswith("/")) or value.startswith("//") or not value.isascii():
        raise ValueError("must be empty, a path such as / or a URL that begins with http:// or https://")
    if any(character in value for character in " ;,'\"?#"):
        raise ValueError("must be a plain URL: no blank, quote, comma, semicolon, ? or #")
    return value.rstrip("/") or value[:1]


class DashboardSettings(Settings):
    """The settings of the dashboard."""

    SERVICE: ClassVar[str | None] = "dashboard"

    SERVICE_URLS: ServiceUrls = Field(
        "", description="where services listen, name=url by comma; unset: 127.0.0.1 and the ports of fleet.json"
    )
    STREAM_PUBLIC_URL: Annotated[str, AfterValidator(_stream)] = Field(
        "", description="where browsers reach the stream: a URL; /: as the page; empty: its host, the stream's port"
    )

    @property
    def process_urls(self) -> dict[str, tuple[FleetService, str]]:
        """Name → service and base URL of each process to watch: of a service with instances, each of those."""
        urls = self.service_urls
        named = {part.partition("=")[0] for part in split_list(self.SERVICE_URLS)}
        found = {}
        for service in read_fleet().services:
            if service.name not in urls:
                continue
            if service.instances == 1 or service.name in named:
                found[service.name] = service, urls[service.name]
                continue
            for number, port in enumerate(service.ports, 1):
                found[f"{service.name}-{number}"] = service, f"http://127.0.0.1:{port}"
        return found

    @property
    def service_urls(self) -> dict[str, str]:
        """Name → base URL of every other service of the fleet, in fleet.json's order."""
        return service_urls(self.SERVICE or "", self.SERVICE_URLS, self.SIMULATOR_URL)
