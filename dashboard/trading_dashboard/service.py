"""Builds the dashboard: the only file that names concrete parts and wires them."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from shared import metrics
from shared.clock import Clock, SystemClock
from shared.fleet import read_fleet
from shared.service import Service, create_service
from trading_dashboard.asking import Market, asker
from trading_dashboard.fleet_routes import add_fleet_routes
from trading_dashboard.fleet_watch import Ask, FleetWatch
from trading_dashboard.page_files import page_files
from trading_dashboard.page_folder import read_folder
from trading_dashboard.page_routes import add_page_routes
from trading_dashboard.peers import Peer
from trading_dashboard.proxy_routes import add_proxy_routes
from trading_dashboard.settings import STREAMING, DashboardSettings
from trading_dashboard.stream_place import StreamPlace

PAGE = Path(__file__).parent / "page"


def build(settings: DashboardSettings | None = None, *, clock: Clock | None = None) -> Service:
    """The whole service, not yet running."""
    settings = settings or DashboardSettings.read()
    clock = clock or SystemClock()
    service = create_service("dashboard", settings, import_name="trading_dashboard", clock=clock)
    urls = settings.service_urls
    fleet = read_fleet()
    peers = {name: Peer(name, url) for name, url in urls.items()}
    own = {"dashboard": (fleet.service("dashboard"), _own(service))}
    others = {name: (of, asker(url)) for name, (of, url) in settings.process_urls.items()}
    watch = FleetWatch(others | own, clock)
    place = StreamPlace(settings.STREAM_PUBLIC_URL, urlsplit(urls[STREAMING]).port or fleet.service(STREAMING).port)
    files = page_files(read_folder(PAGE))

    add_page_routes(service, files, place)
    add_fleet_routes(service, fleet, watch, Market(urls[STREAMING]), place)
    add_proxy_routes(service, peers)
    for name in fleet.service("dashboard").needs:
        service.health.add_dependency(name, _probe(peers[name]))
    service.stats(lambda: {"page_version": files.version})
    for peer in peers.values():
        service.on_stop(peer.close)
    return service


def _probe(peer: Peer) -> Callable[[], None]:
    """Is it there? Raises Unavailable."""

    def probe() -> None:
        peer.send("GET", "/health/live")

    return probe


def _own(service: Service) -> Ask:
    """The dashboard about itself, without a call."""
    return lambda: (service.health.get_health(), metrics.scrape()[0])
