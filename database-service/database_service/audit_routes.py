"""The calls that show whether what was acknowledged is stored: the audit chain, and conflicts of the spool."""

from collections.abc import Callable
from typing import Any

from database_service import answers, bodies
from database_service.audit import PROOF, Chained, Head, Verified
from database_service.config import DatabaseSettings
from database_service.routes import Worker
from shared.errors import NotFound
from shared.service import Service


def add_audit_routes(
    service: Service,
    settings: DatabaseSettings,
    chain: Chained | None,
    conflicts: Callable[[], list[dict[str, Any]]],
    read: Worker,
) -> None:
    """Register the calls. `chain` is None where nothing durable is configured."""

    @service.route(
        "GET", "/signals/audit", limit=settings.RATE_LIMIT_SIGNALS_AUDIT, query=bodies.AuditQuery,
        answer=answers.AuditAnswer, summary="The audit chain, checked link by link, and its head",
    )  # fmt: skip
    def audit(query: bodies.AuditQuery) -> dict[str, Any]:
        if chain is None:
            raise NotFound("there is no audit chain without a database (DB_ENABLED=false)")
        found, head = read(chain.verify, query.start, query.limit)
        return {"data": _data(query.start, found, head)}

    @service.route(
        "GET", "/signals/conflicts", limit=settings.RATE_LIMIT_SIGNALS_CONFLICTS, answer=answers.ConflictsAnswer,
        summary="What was acknowledged while the database was away that it could not take as it was",
    )  # fmt: skip
    def list_conflicts() -> dict[str, Any]:
        found = read(conflicts)
        return {"data": {"count": len(found), "conflicts": found}}


def _data(start: int, found: Verified, head: Head) -> dict[str, Any]:
    more = found.broken_at is None and found.last.sequence < head.sequence
    return {
        "valid": found.broken_at is None,
        "broken_at": found.broken_at,
        "from": start,
        "checked": found.checked,
        "removed": found.removed,
        "next": found.last.sequence + 1 if more else None,
        "head": {"sequence": head.sequence, "hash": head.hash},
        "note": PROOF,
    }
