"""Whose browser asks: from its cookie to what goes with its calls to the gateway. Only with AUTH_REQUIRED.

The cookie holds the refresh token: HttpOnly, so no script reads it; SameSite=Strict, so no other site's page makes a
browser send it; Secure by https. All ports of localhost are one site: what changes something looks at Origin, too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from flask import Response, after_this_request, request
from werkzeug.http import parse_cookie

from shared.errors import Forbidden, NotFound, Unauthorized, Unavailable
from shared.http_client import Answer, StreamedAnswer
from shared.logger import request_id
from shared.rate_limiter import client_address
from trading_dashboard.sessions import Sessions, Tokens

HELD = re.compile(r"[A-Za-z0-9_-]{1,200}")
A = TypeVar("A", Answer, StreamedAnswer)
Headers = dict[str, str]


class Gateway(Protocol):
    """What is asked of auth-gateway; see `gateway.Gateway`."""

    def log_in(self, username: str, password: str, address: str) -> Tokens: ...
    def log_out(self, headers: Mapping[str, str]) -> Answer: ...
    def validate(self, headers: Mapping[str, str]) -> Answer: ...
    def headers(self, access: str, address: str) -> Headers: ...


class Logins:
    """The browsers' logins. `gateway` is None where no login is asked for; `cookie`: its name."""

    def __init__(self, gateway: Gateway | None, sessions: Sessions, cookie: str) -> None:
        self._gateway, self._sessions, self._cookie = gateway, sessions, cookie

    def begin(self, username: str, password: str) -> None:
        """Log this browser in. Raises what the gateway refuses with; NotFound where no login is asked for."""
        tokens = self._asked().log_in(username, password, _address())
        self._sessions.keep(tokens)
        self._hand_out(tokens.refresh)

    def end(self) -> None:
        """Log it out. The browser forgets its login even when the gateway can't be told (Unavailable)."""
        gateway = self._asked()
        try:
            answer = self.ask(gateway.log_out)
        except Unauthorized:
            return  # it is over already
        finally:
            self._sessions.forget(self._held(request.environ))
            after_this_request(self._take_back)
        if answer.status not in (200, Unauthorized.status):
            raise Unavailable("auth-gateway could not end the session; this browser has forgotten it")

    def ask(self, send: Callable[[Headers], A]) -> A:
        """One call for this browser; `send` gets the headers that say who asks, and from where.

        It is sent a second time, with a new token, if the gateway takes the first no more. Raises Unauthorized without
        a login, Unavailable.
        """
        own = {"X-Request-ID": request_id.get() or ""}
        if self._gateway is None:
            return send({**own, "X-Forwarded-For": _address()})
        tokens = self._tokens()
        answer = send({**own, **self._gateway.headers(tokens.access, _address())})
        if answer.status != Unauthorized.status:
            return answer
        if isinstance(answer, StreamedAnswer):
            answer.close()
        tokens = self._tokens(refused=tokens.access)
        return send({**own, **self._gateway.headers(tokens.access, _address())})

    def who(self) -> dict[str, Any] | None:
        """What the gateway says of whoever asks; None where no login is asked for. Raises Unauthorized, Unavailable."""
        if self._gateway is None:
            return None
        answer = self.ask(self._gateway.validate)
        if answer.status == Unauthorized.status:
            raise _log_in()
        if answer.status != 200:
            raise Unavailable(f"auth-gateway answers {answer.status}")
        said: dict[str, Any] = answer.json()["data"]
        return said

    def let_in(self) -> None:
        """As `who`; but while the gateway is away, a login that was in force before is enough to see that it is."""
        try:
            self.who()
        except Unavailable:
            if self._sessions.in_force(self._held(request.environ)) is None:
                raise

    def socket_headers(self, environ: Mapping[str, Any]) -> Headers:
        """What goes with a WebSocket. Raises Unauthorized.

        It brings the browser no cookie, so nothing is renewed here: the page's next call does, and it connects again.
        """
        tokens = self._sessions.in_force(self._held(environ))
        if tokens is None:
            raise _log_in()
        return self._asked().headers(tokens.access, client_address(environ))

    def _asked(self) -> Gateway:
        if self._gateway is None:
            raise NotFound("no login is asked for here (AUTH_REQUIRED)")
        return self._gateway

    def _held(self, environ: Mapping[str, Any]) -> str:
        return parse_cookie(environ.get("HTTP_COOKIE")).get(self._cookie, "")

    def _tokens(self, refused: str = "") -> Tokens:
        held = self._held(request.environ)
        if not HELD.fullmatch(held):
            raise _log_in()
        tokens = self._sessions.tokens(held, _address(), refused)
        if tokens.refresh != held:
            self._hand_out(tokens.refresh)
        return tokens

    def _hand_out(self, refresh: str) -> None:
        @after_this_request
        def hand_out(answer: Response) -> Response:
            answer.headers["Cache-Control"] = "no-store"
            answer.set_cookie(self._cookie, refresh, secure=_by_https(), httponly=True, samesite="Strict")
            return answer

    def _take_back(self, answer: Response) -> Response:
        answer.delete_cookie(self._cookie, secure=_by_https(), httponly=True, samesite="Strict")
        return answer


def refuse_other_pages(environ: Mapping[str, Any]) -> None:
    """A browser names the page that writes: only our own may. Programs send no Origin; they need no page to write."""
    origin, host = environ.get("HTTP_ORIGIN"), environ.get("HTTP_HOST", "")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise Forbidden("only the dashboard's own page may do this")


def _address() -> str:
    return client_address(request.environ)


def _by_https() -> bool:
    """Whoever lies here binds nobody's cookie but the own."""
    return "https" in (request.scheme, request.headers.get("X-Forwarded-Proto"))


def _log_in() -> Unauthorized:
    return Unauthorized("log in to see this")
