"""A service's life: it listens, says that it is ready, and on SIGINT or SIGTERM drains before it ends."""

import errno
import gc
import os
import signal
import socket
import sys
import time
from typing import Any

import gevent
from gevent.event import Event

from shared.log_rotation import keep_bounded
from shared.port_holder import port_holder
from shared.processes import die_with_parent
from shared.web.connections import room_for_connections
from shared.web.hosted import Hosted
from shared.web.server import Server
from shared.web.vouching import VoucherGate
from shared.web.websocket import WebSocketGate

STOP_S = 7.0  # the contract: out within 10 s, hooks included, on a busy machine, too
HOOKS_S = 1.5  # what the stop hooks have at least
# New objects. Requests leave no cycles, so what little there is may wait; but a look at so many takes 2 to 4 ms in
# which nobody is served, and each tenth look is at ten times as many (with 20,000: 60 ms when 1,000 clients had come).
GC_AFTER = 5_000


def serve(service: Hosted) -> None:
    """Serve until SIGINT or SIGTERM; drain; exit the process with 0, or with 1 and one line when the port is taken."""
    settings, log = service.settings, service.logger
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop.set)
    if settings.UNDER_PM2:
        die_with_parent(signal.SIGTERM)  # a killed PM2 daemon would leave us holding our port
    listener = _listen(settings.SERVICE_HOST, settings.SERVICE_PORT)
    room = room_for_connections() // 2  # half for HTTP, half for WebSockets
    application = WebSocketGate(
        service.app,
        service.websocket_routes,
        origin_allowed=service.gate.allows_origin,
        host_allowed=service.gate.allows_host,
        pass_prefixes=tuple(service.foreign_websockets),
        tunnels=service.tunnels,
        max_connections=min(service.max_websockets, room),
    )
    service.on_drain(application.close_all)
    vouched = VoucherGate(application, service.name, settings, service.clock, service.unvouched)
    server = Server(listener, vouched, service, min(settings.MAX_CONNECTIONS, room))
    server.start()
    gevent.spawn(server.sweep)
    service.start()
    url = f"http://{settings.SERVICE_HOST}:{settings.SERVICE_PORT}"
    log.info("%s listens on %s; metrics at %s/metrics, description at %s/docs", settings.SERVICE_NAME, url, url, url)
    log.info("White-hat mode: on (paper only, leverage at most 3, confidence at least 65 %, stop-loss required)")
    _spare_the_collector()
    _tell_pm2(settings.NODE_CHANNEL_FD)
    if settings.UNDER_PM2:
        gevent.spawn(keep_bounded, settings.VAR_DIR / "logs", service.log_name, log, gevent.sleep)
    stop.wait()
    _drain(service, server)
    log.info("%s stopped", settings.SERVICE_NAME)
    sys.stdout.flush()
    os._exit(0)  # a library's stray thread must not hold a process that has answered everything


def _spare_the_collector() -> None:
    """What was loaded stays for good: looking at it again and again for cycles took a quarter of a hot request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_AFTER, 10, 10)


def _listen(host: str, port: int) -> Any:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return Server.get_listener((host, port), backlog=1024, family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        holder = (port_holder(port) if taken else None) or "another program"
        reason = f"is taken by {holder}" if taken else f"can't be used: {error.strerror}"
        raise SystemExit(f"Port {port} on {host} {reason}. Stop that program, or set PORT to a free one.") from None


def _drain(service: Hosted, server: Server) -> None:
    """Readiness says no, then the listener closes, then what is in flight ends, then the stop hooks run."""
    service.logger.info("stopping: %d requests in flight", server.in_flight)
    service.drain()
    server.draining = True
    gevent.sleep(service.settings.DRAIN_SECONDS)
    server.stop_accepting()
    server.close()
    service.end_connections()
    left_s = STOP_S - service.settings.DRAIN_SECONDS
    end = time.monotonic() + left_s
    with gevent.Timeout(left_s, False):
        while server.in_flight:
            gevent.sleep(0.01)
    # A time of their own: one client that doesn't read its answer must not keep the hooks from running.
    with gevent.Timeout(max(HOOKS_S, end - time.monotonic()), False):
        service.stop()


def _tell_pm2(channel: int | None) -> None:
    """PM2's `wait_ready`: the text `"ready"`, quotes and all, on the channel it opened for us."""
    if channel is not None:
        try:
            os.write(channel, b'"ready"\n')
        except OSError:
            return
