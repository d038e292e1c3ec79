"""The calls below /auth: JSON to values and back; no rule and no SQL lives here."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Response, request

from auth_gateway import bodies
from auth_gateway.accounts import Account, Role, login_key
from auth_gateway.api_keys import ApiKey
from auth_gateway.bodies import Credentials
from auth_gateway.identity import Doorkeeper, Identity
from auth_gateway.keyring import Keyring, NewKey
from auth_gateway.login import Login, Tokens
from auth_gateway.settings import AuthSettings
from shared.addresses import subscriber
from shared.clock import to_iso
from shared.errors import Forbidden
from shared.rate_limiter import client_address
from shared.service import Service
from shared.web.models import DataAnswer, ListAnswer

Guard = Callable[[Credentials], Identity]


def add_routes(
    service: Service, settings: AuthSettings, login: Login, keyring: Keyring, doorkeeper: Doorkeeper
) -> None:
    """Register every call. What they answer is for the caller alone, so nobody on the way may keep it."""

    @service.app.after_request
    def never_kept(response: Response) -> Response:
        if request.path.startswith("/auth/"):
            response.headers["Cache-Control"] = "no-store"
        return response

    known = {"headers": Credentials, "guard": guard_of(doorkeeper), "errors": (401, 409)}
    _add_login(service, settings, login)
    _add_session(service, settings, login, known)
    _add_keys(service, settings, keyring, known)


def address() -> str:
    """Where the request comes from."""
    return client_address(request.environ)


def guard_of(doorkeeper: Doorkeeper) -> Guard:
    """Finds out who calls, before anything else is looked at; raises Unauthorized."""
    return lambda headers: doorkeeper.identify(headers.authorization, headers.api_key)


def _add_login(service: Service, settings: AuthSettings, login: Login) -> None:
    @service.route(
        "POST", "/auth/register", limit=settings.RATE_LIMIT_AUTH_REGISTER, body=bodies.RegisterBody,
        answer=DataAnswer, errors=(409,), needs="open", summary="Make an account",
    )  # fmt: skip
    def register(body: bodies.RegisterBody) -> dict[str, Any]:
        if not settings.REGISTRATION_OPEN:
            raise Forbidden("registration is closed here; an administrator makes accounts")
        role: Role = "reader" if settings.AUTH_REQUIRED else "trader"  # a closed fleet lets nobody write by itself
        account = login.register(body.email, body.username, body.password, address(), role)
        return {"message": "Registered successfully", "data": shown_account(account)}

    @service.route(
        "POST", "/auth/login", limit=settings.RATE_LIMIT_AUTH_LOGIN, body=bodies.LoginBody,
        answer=DataAnswer, errors=(401,), needs="open", summary="Begin a session",
    )  # fmt: skip
    def log_in(body: bodies.LoginBody) -> dict[str, Any]:
        name = body.email or body.username or ""
        if settings.RATE_LIMIT_ENABLED:
            decision = service.limiter.check(
                "auth:name", f"{subscriber(address())}|{login_key(name)[:254]}", settings.RATE_LIMIT_AUTH_LOGIN_NAME
            )
            if not decision.allowed:
                raise decision.refusal()
        return {"data": shown_tokens(login.login(name, body.password, address()))}

    @service.route(
        "POST", "/auth/refresh", limit=settings.RATE_LIMIT_AUTH_REFRESH, body=bodies.RefreshBody,
        answer=DataAnswer, errors=(401,), needs="open", summary="Exchange a refresh token for the next",
    )  # fmt: skip
    def refresh(body: bodies.RefreshBody) -> dict[str, Any]:
        return {"data": shown_tokens(login.refresh(body.refresh_token, address()))}


def _add_session(service: Service, settings: AuthSettings, login: Login, known: dict[str, Any]) -> None:
    @service.route(
        "POST", "/auth/logout", **known, summary="End this session and its tokens",
        needs="read",
    )  # fmt: skip
    def logout(who: Identity) -> dict[str, Any]:
        login.logout(who, address())
        return {"message": "Logged out"}

    @service.route(
        "GET", "/auth/validate", limit=settings.RATE_LIMIT_AUTH_VALIDATE, **known, answer=DataAnswer, quiet=True,
        summary="Who a token or key stands for, and what it may do",
    )  # fmt: skip
    def validate(who: Identity) -> dict[str, Any]:
        return {"data": shown_identity(who)}

    @service.route(
        "POST", "/auth/password", limit=settings.RATE_LIMIT_AUTH_KEYS, body=bodies.PasswordBody, **known,
        needs="read", summary="Change your password; every session ends",
    )  # fmt: skip
    def password(body: bodies.PasswordBody, who: Identity) -> dict[str, Any]:
        login.change_password(who, body.old_password, body.new_password, address())
        return {"message": "Password changed; log in again"}


def _add_keys(service: Service, settings: AuthSettings, keyring: Keyring, known: dict[str, Any]) -> None:
    limit = settings.RATE_LIMIT_AUTH_KEYS

    @service.route(
        "POST", "/auth/keys", limit=limit, body=bodies.KeyBody, **known, answer=DataAnswer, needs="read",
        summary="Make an API key; its secret is shown this once",
    )  # fmt: skip
    def make(body: bodies.KeyBody, who: Identity) -> dict[str, Any]:
        asked = NewKey(body.name, tuple(body.scopes), tuple(body.symbols), body.per_minute, body.expires_at)
        key, secret = keyring.make(who, asked, address())
        return {"data": {**shown_key(key), "key": secret}}

    @service.route(
        "GET", "/auth/keys", limit=limit, **known, answer=ListAnswer,
        summary="Your API keys, without their secrets",
    )  # fmt: skip
    def listed(who: Identity) -> dict[str, Any]:
        return {"data": [shown_key(key) for key in keyring.listed(who)]}

    @service.route(
        "DELETE", "/auth/keys/<key_id>", limit=limit, **known, answer=DataAnswer,
        needs="read", summary="Revoke a key",
    )  # fmt: skip
    def revoke(key_id: str, who: Identity) -> dict[str, Any]:
        return {"data": shown_key(keyring.revoke(who, key_id, address()))}

    @service.route(
        "POST", "/auth/keys/<key_id>/rotate", limit=limit, **known, answer=DataAnswer,
        needs="read", summary="Exchange a key's secret",
    )  # fmt: skip
    def rotate(key_id: str, who: Identity) -> dict[str, Any]:
        key, secret = keyring.rotate(who, key_id, address())
        return {"data": {**shown_key(key), "key": secret}}


def shown_account(account: Account) -> dict[str, Any]:
    """An account as answers show it."""
    named = ("id", "email", "username", "role", "plan", "disabled")
    return {name: getattr(account, name) for name in named} | {"created_at": to_iso(account.created_at)}


def shown_tokens(tokens: Tokens) -> dict[str, Any]:
    """In the words of RFC 6749, 5.1."""
    return {**asdict(tokens), "token_type": "Bearer"}


def shown_identity(who: Identity) -> dict[str, Any]:
    """Who somebody is."""
    return {"valid": True, **{name: value for name, value in asdict(who).items() if name != "key_hash"}}


def shown_key(key: ApiKey) -> dict[str, Any]:
    """A key as answers show it."""
    moments = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        "id": key.id,
        "name": key.name,
        "shown": f"{key.shown}…",
        "scopes": key.scopes,
        "symbols": key.symbols,
        "per_minute": key.per_minute,
        **{name: moment and to_iso(moment) for name, moment in moments.items()},
    }
