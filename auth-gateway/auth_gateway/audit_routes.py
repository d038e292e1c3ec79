"""The calls about the audit log, for administrators."""

from typing import Any

import orjson

from auth_gateway import bodies
from auth_gateway.audit import AuditLog, Checked, Entry, Event, check_chain
from auth_gateway.bodies import Credentials
from auth_gateway.identity import Doorkeeper, Identity, Worker
from auth_gateway.permissions import allows
from auth_gateway.routes import address, guard_of
from shared.errors import Forbidden
from shared.service import Service
from shared.web.models import DataAnswer, ListAnswer


def add_audit_routes(service: Service, doorkeeper: Doorkeeper, log: AuditLog, run: Worker) -> None:
    """Register them. Who looks is recorded, too."""
    identify = guard_of(doorkeeper)

    def guard(headers: Credentials) -> Identity:
        who = identify(headers)
        if not allows(who.scopes, service.name, "admin"):
            raise Forbidden("this is for administrators")
        return who

    known = {"headers": Credentials, "guard": guard, "errors": (401,), "needs": "admin"}

    def looked(who: Identity, at: str) -> None:
        run(log.record, [Event(service.clock.now(), "audit_read", who.account_id, address(), at)])

    @service.route(
        "GET", "/auth/audit", **known, query=bodies.AuditQuery, answer=ListAnswer,
        summary="Who did what, newest first",
    )  # fmt: skip
    def audit(query: bodies.AuditQuery, who: Identity) -> dict[str, Any]:
        entries: list[Entry] = run(log.entries, query.before, query.limit)
        looked(who, f"{len(entries)} entries")
        return {"data": [shown_entry(entry) for entry in entries]}

    @service.route(
        "GET", "/auth/audit/verify", **known, query=bodies.VerifyQuery, answer=DataAnswer,
        summary="Whether the log's chain is whole; of a long log a portion, and `next` says where to go on",
    )  # fmt: skip
    def verify(query: bodies.VerifyQuery, who: Identity) -> dict[str, Any]:
        entries = log.walk(query.after, query.limit + 1)  # with the one that they follow
        found: Checked = run(lambda: check_chain(entries, query.after))
        looked(who, f"the chain up to {found.to}")
        whole = found.broken_at is None
        following = found.to if whole and found.entries > query.limit else None
        checked = {"begins_at": found.begins_at, "up_to": found.to, "hash": found.hash, "next": following}
        return {"data": {"whole": whole, "broken_at": found.broken_at, **checked}}


def shown_entry(entry: Entry) -> dict[str, Any]:
    """An entry as answers show it."""
    return {"sequence": entry.sequence, "hash": entry.hash, "event": orjson.Fragment(entry.document)}
