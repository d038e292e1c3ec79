"""`/api/session`: the page's login, and its end."""

from typing import Annotated, Any

from flask import request
from pydantic import Field

from shared.service import Service
from shared.web.models import Answer, Body
from trading_dashboard.logins import Logins, refuse_other_pages


class LoginBody(Body):
    """A name, or an e-mail address, and the password."""

    username: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


def add_session_routes(service: Service, logins: Logins) -> None:
    """Register both. They are open: one gives the login, the other ends the one that the browser's cookie holds."""

    @service.route(
        "POST", "/api/session", body=LoginBody, max_body=10_000, answer=Answer, needs="open", errors=(401, 403, 429),
        summary="Log this browser in, where AUTH_REQUIRED is true: the answer sets its cookie",
    )  # fmt: skip
    def begin(body: LoginBody) -> dict[str, Any]:
        refuse_other_pages(request.environ)
        logins.begin(body.username, body.password)
        return {}

    @service.route("DELETE", "/api/session", answer=Answer, needs="open", errors=(403,), summary="Log this browser out")
    def end() -> dict[str, Any]:
        refuse_other_pages(request.environ)
        logins.end()
        return {}
