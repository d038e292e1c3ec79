"""Builds the dashboard: the only file that names concrete parts and wires them."""

import functools
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from shared import metrics
from shared.clock import Clock, SystemClock
from shared.fleet import read_fleet
from shared.service import Service, create_service
from shared.voucher import HEADER, Voucher, make_voucher
from shared.web.tunnel import tunnel
from trading_dashboard.asking import Market, asker
from trading_dashboard.fleet_routes import add_fleet_routes
from trading_dashboard.fleet_watch import Ask, FleetWatch
from trading_dashboard.gateway import Gateway
from trading_dashboard.logins import Logins
from trading_dashboard.page_files import page_files
from trading_dashboard.page_folder import read_folder
from trading_dashboard.page_routes import add_page_routes
from trading_dashboard.peers import Peer
from trading_dashboard.proxy_routes import add_proxy_routes, add_stream
from trading_dashboard.session_routes import add_session_routes
from trading_dashboard.sessions import Sessions
from trading_dashboard.settings import GATEWAY, STREAMING, DashboardSettings
from trading_dashboard.stream_place import StreamPlace

PAGE = Path(__file__).parent / "page"
OURSELVES = "127.0.0.1"


def build(settings: DashboardSettings | None = None, *, clock: Clock | None = None) -> Service:
    """The whole service, not yet running."""
    settings = settings or DashboardSettings.read()
    clock = clock or SystemClock()
    service = create_service("dashboard", settings, import_name="trading_dashboard", clock=clock)
    service.unvouched.append("/")  # it asks for a login itself
    urls, asks = settings.service_urls, settings.AUTH_REQUIRED
    fleet = read_fleet()
    direct = {name: Peer(name, url) for name, url in urls.items()}
    own = {"dashboard": (fleet.service("dashboard"), _own(service))}
    others = {name: (of, asker(url)) for name, (of, url) in settings.process_urls.items()}
    watch = FleetWatch(others | own, clock)
    streaming_port = urlsplit(urls[STREAMING]).port or fleet.service(STREAMING).port
    place = StreamPlace(settings.STREAM_PUBLIC_URL, streaming_port, tunnelled=asks)
    files = page_files(read_folder(PAGE))
    vouch = _voucher(settings, clock)
    logins = _logins(settings, Gateway(direct[GATEWAY].send, functools.partial(vouch, GATEWAY), clock.monotonic), clock)
    market = Market(urls[STREAMING], functools.partial(vouch, STREAMING, OURSELVES) if asks else dict)

    add_page_routes(service, files, place)
    add_session_routes(service, logins)
    add_fleet_routes(service, fleet, watch, market, place, logins)
    through = {name: Peer(GATEWAY, f"{urls[GATEWAY]}/api/{name}") for name in urls} if asks else direct
    add_proxy_routes(service, through, logins)
    if asks:
        add_stream(service, logins, functools.partial(tunnel, urls[GATEWAY]))
    for name in (*fleet.service("dashboard").needs, *([GATEWAY] if asks else [])):
        service.health.add_dependency(name, _probe(direct[name]))
    service.stats(lambda: {"page_version": files.version})
    for peer in (*direct.values(), *through.values()):
        service.on_stop(peer.close)
    return service


def _logins(settings: DashboardSettings, gateway: Gateway, clock: Clock) -> Logins:
    # Browsers give cookies to every port of a host: a second fleet beside this one must not overwrite ours.
    cookie = f"dashboard-{settings.SERVICE_PORT}"
    return Logins(gateway if settings.AUTH_REQUIRED else None, Sessions(gateway.renew, clock.monotonic), cookie)


def _voucher(settings: DashboardSettings, clock: Clock) -> Callable[[str, str], dict[str, str]]:
    """Makes the header that says to a service, for the fleet, from which address a call comes."""
    secret = functools.cache(settings.fleet_secret)
    return lambda name, address: {HEADER: make_voucher(secret(), name, Voucher(address), clock.now().timestamp())}


def _probe(peer: Peer) -> Callable[[], None]:
    """Is it there? Raises Unavailable."""

    def probe() -> None:
        peer.send("GET", "/health/live")

    return probe


def _own(service: Service) -> Ask:
    """The dashboard about itself, without a call."""
    return lambda: (service.health.get_health(), metrics.scrape()[0])
