"""Where the services of the fleet listen, for those that ask others (SERVICE_URLS)."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from shared.config import split_list
from shared.fleet import read_fleet

SIMULATOR = "market-simulator"


def _check(value: str) -> str:
    known = {service.name for service in read_fleet().services}
    for part in split_list(value):
        name, _, url = part.partition("=")
        where = urlsplit(url)
        if name not in known or where.scheme not in {"http", "https"} or not where.hostname or where.port == 0:
            raise ValueError("must be name=url by comma, such as database-service=http://127.0.0.1:5020")
    return value


ServiceUrls = Annotated[str, AfterValidator(_check)]


def service_urls(own: str, given: str, simulator_url: str) -> dict[str, str]:
    """Name → base URL of every service but `own`, in fleet.json's order; `given` is SERVICE_URLS' value."""
    others = [service for service in read_fleet().services if service.name != own]
    urls = {service.name: f"http://127.0.0.1:{service.port}" for service in others}
    urls[SIMULATOR] = simulator_url
    for part in split_list(given):
        name, _, url = part.partition("=")
        urls[name] = url.rstrip("/")
    urls.pop(own, None)
    return urls
