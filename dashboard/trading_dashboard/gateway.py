"""auth-gateway, as the dashboard asks it: it begins, lengthens and ends sessions, and says who somebody is."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from shared.errors import FleetError, Forbidden, InvalidInput, MalformedInput, RateLimited, Unauthorized, Unavailable
from shared.http_client import Answer
from trading_dashboard.sessions import Tokens

EARLY_S = 10.0  # before its end: a token must last as long as the call it goes with
REFUSALS = {kind.status: kind for kind in (MalformedInput, Unauthorized, Forbidden, InvalidInput, RateLimited)}
JSON = {"Content-Type": "application/json"}


class Send(Protocol):
    """One call to the gateway: its answer, whatever its status. Raises Unavailable."""

    def __call__(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


class Gateway:
    """Every call raises what the gateway refuses with (Unauthorized, InvalidInput, RateLimited …), or Unavailable."""

    def __init__(self, send: Send, vouch: Callable[[str], dict[str, str]], monotonic: Callable[[], float]) -> None:
        """`vouch`: the fleet's word for a client's address, as a header; else all would count as the dashboard's."""
        self._send, self._vouch, self._monotonic = send, vouch, monotonic

    def log_in(self, username: str, password: str, address: str) -> Tokens:
        """Begin a session. `username` may be an e-mail address."""
        return self._tokens("/auth/login", {"username": username, "password": password}, address)

    def renew(self, refresh: str, address: str) -> Tokens:
        """Exchange a refresh token. One try: when no answer comes, nobody knows whether the token has served."""
        return self._tokens("/auth/refresh", {"refresh_token": refresh}, address)

    def log_out(self, headers: Mapping[str, str]) -> Answer:
        """End the session that these `headers` are of."""
        return self._send("POST", "/auth/logout", headers=headers)

    def validate(self, headers: Mapping[str, str]) -> Answer:
        """Whether these `headers` are somebody's, and whose."""
        return self._send("GET", "/auth/validate", headers=headers)

    def headers(self, access: str, address: str) -> dict[str, str]:
        """What goes with a call that somebody makes through the gateway."""
        return {"Authorization": f"Bearer {access}", **self._vouch(address)}

    def _tokens(self, path: str, body: dict[str, str], address: str) -> Tokens:
        asked = self._monotonic()
        answer = self._send("POST", path, orjson.dumps(body), JSON | self._vouch(address))
        try:
            said = answer.json()
            if answer.status != 200:
                raise _refusal(answer, said["error"])
            given = said["data"]
            return Tokens(given["access_token"], given["refresh_token"], asked + given["expires_in"] - EARLY_S)
        except (KeyError, TypeError):
            raise Unavailable("auth-gateway is away: something else answers at its address") from None


def _refusal(answer: Answer, error: dict[str, Any]) -> FleetError:
    kind: type[FleetError] = REFUSALS.get(answer.status, Unavailable)
    return kind(error["message"], details=error["details"], retry_after_s=answer.retry_after_s)
