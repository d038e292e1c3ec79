"""The calls about webhooks: those of their owners below /auth/hooks, and the one by which senders come in."""

import re
from typing import Any

from flask import Response, request

from auth_gateway import bodies
from auth_gateway.bodies import Credentials
from auth_gateway.hooks import MAX_BODY, DeadLetter, Hook
from auth_gateway.identity import Doorkeeper, Identity
from auth_gateway.routes import address, guard_of
from auth_gateway.settings import AuthSettings
from auth_gateway.webhooks import Incoming, NewHook, Webhooks
from shared.clock import to_iso
from shared.errors import NotFound, TooLarge, UnsupportedMediaType
from shared.service import Service
from shared.web.answers import json_answer
from shared.web.models import DataAnswer, ListAnswer

TYPES = ("application/json", "text/plain")  # TradingView's alerts may come as text/plain
WHOLE_ID = re.compile(r"^((?:/auth)?/hooks/[^/]{8})[^/]+")
NUMBER = re.compile(r"[0-9]{1,9}")


def add_hook_routes(service: Service, settings: AuthSettings, doorkeeper: Doorkeeper, webhooks: Webhooks) -> None:
    """Register them."""
    service.app.url_value_preprocessor(_shorten)
    known = {"headers": Credentials, "guard": guard_of(doorkeeper), "errors": (401, 403), "needs": "read"}
    _add_own(service, settings.RATE_LIMIT_AUTH_KEYS, webhooks, known)
    _add_letters(service, settings.RATE_LIMIT_AUTH_KEYS, webhooks, known)

    @service.route(
        "POST", "/hooks/<hook_id>", limit=settings.RATE_LIMIT_HOOKS_IP, headers=bodies.HookHeaders, needs="open",
        answer=DataAnswer, max_body=MAX_BODY, errors=(401, 409, 413, 415, 422), quiet=True,
        summary="An event of a webhook: a signal",
    )  # fmt: skip
    def take(hook_id: str, headers: bodies.HookHeaders) -> Response:
        came = Incoming(hook_id, _body(), headers.timestamp, headers.signature, address())
        outcome = webhooks.take(came)
        return json_answer({"success": True, "data": outcome}, 200 if outcome["delivered"] else 202)


def _shorten(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """The log shows the beginning of an id only, since the whole one may be all that a sender needs.

    Runs after the routing and before anything can refuse.
    """
    request.path = WHOLE_ID.sub(r"\1…", request.path)


def _body() -> bytes:
    """Raises UnsupportedMediaType, TooLarge."""
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType("send the body as JSON, with Content-Type: application/json or text/plain")
    too_large = TooLarge(f"the body is over {MAX_BODY:,} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    body = request.stream.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise too_large
    return bytes(body)


def _add_own(service: Service, limit: int, webhooks: Webhooks, known: dict[str, Any]) -> None:
    @service.route(
        "POST", "/auth/hooks", limit=limit, body=bodies.HookBody, **known, answer=DataAnswer,
        summary="Make a webhook; its secret is shown this once",
    )  # fmt: skip
    def make(body: bodies.HookBody, who: Identity) -> dict[str, Any]:
        hook, secret = webhooks.make(who, NewHook(body.name, body.proof, body.fields, body.fixed), address())
        return {"data": {**shown_hook(hook), "secret": secret}}

    @service.route(
        "GET", "/auth/hooks", limit=limit, **known, answer=ListAnswer,
        summary="Your webhooks, without their secrets",
    )  # fmt: skip
    def listed(who: Identity) -> dict[str, Any]:
        return {"data": [shown_hook(hook) for hook in webhooks.listed(who)]}

    @service.route(
        "DELETE", "/auth/hooks/<hook_id>", limit=limit, **known, answer=DataAnswer, summary="Delete a webhook",
    )  # fmt: skip
    def delete(hook_id: str, who: Identity) -> dict[str, Any]:
        return {"data": shown_hook(webhooks.delete(who, hook_id, address()))}


def _add_letters(service: Service, limit: int, webhooks: Webhooks, known: dict[str, Any]) -> None:
    @service.route(
        "GET", "/auth/hooks/<hook_id>/dead-letters", limit=limit, **known, answer=ListAnswer,
        summary="What came in by a webhook and became no signal, newest first",
    )  # fmt: skip
    def letters(hook_id: str, who: Identity) -> dict[str, Any]:
        return {"data": [shown_letter(letter) for letter in webhooks.letters(who, hook_id)]}

    @service.route(
        "POST", "/auth/hooks/<hook_id>/dead-letters/<number>/retry", limit=limit, **known,
        answer=DataAnswer, summary="Try a dead letter again; it goes when it is delivered",
    )  # fmt: skip
    def retry(hook_id: str, number: str, who: Identity) -> dict[str, Any]:
        if not NUMBER.fullmatch(number):
            raise NotFound("a dead letter's number is a whole one, as the list of them has it")
        return {"data": {"delivered": True, "signal_id": webhooks.retry(who, hook_id, int(number), address())}}


def shown_hook(hook: Hook) -> dict[str, Any]:
    """A hook as answers show it."""
    named = ("id", "name", "proof", "fields", "fixed")
    shown = {name: getattr(hook, name) for name in named}
    return {**shown, "path": f"/hooks/{hook.id}", "created_at": to_iso(hook.created_at)}


def shown_letter(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as answers show it."""
    named = ("number", "event", "body", "reason", "attempts")
    return {**{name: getattr(letter, name) for name in named}, "at": to_iso(letter.at)}
