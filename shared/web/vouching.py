"""Who may call a service that stands behind the gateway: whoever brings the gateway's voucher."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from shared.clock import Clock
from shared.config import Settings
from shared.errors import Unauthorized
from shared.voucher import HEADER, Voucher, read_voucher
from shared.web.answers import refuse

# Whoever supervises or scrapes asks these on the inner side; they hold no secret and change nothing.
UNVOUCHED = ("/health", "/health/live", "/health/ready", "/metrics")
KEY = "HTTP_" + HEADER.upper().replace("-", "_")
WsgiApp = Callable[..., Iterable[bytes]]


def voucher_reader(name: str, settings: Settings, clock: Clock) -> Callable[[str], Voucher | None]:
    """What reads the vouchers for a service: None for a header that is none. It raises OSError without a secret."""
    secret = functools.cache(settings.fleet_secret)
    return lambda header: read_voucher(secret(), name, header, clock.now().timestamp())


class VoucherGate:
    """WSGI middleware before everything else of a service.

    A request with one that holds counts as the client's whom it names. With AUTH_REQUIRED one must be there and hold,
    the paths in `unvouched` aside (with a `/` at the end: all below).
    """

    def __init__(self, wsgi_app: WsgiApp, name: str, settings: Settings, clock: Clock, unvouched: Iterable[str]):
        self._wsgi_app, self._required = wsgi_app, settings.AUTH_REQUIRED
        self._read = voucher_reader(name, settings, clock)
        self._unvouched = frozenset(unvouched)
        self._below = tuple(path for path in self._unvouched if path.endswith("/"))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        header = environ.pop(KEY, None)
        if header and (voucher := self._read(header)):
            environ["REMOTE_ADDR"] = voucher.address
        elif self._required and not self._is_open(environ.get("PATH_INFO", "")):
            text = "this service is behind auth-gateway: call it through there, with a login or an API key"
            return refuse(Unauthorized(text), start_response)
        return self._wsgi_app(environ, start_response)

    def _is_open(self, path: str) -> bool:
        return path in self._unvouched or path.startswith(self._below)
