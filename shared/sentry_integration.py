"""Error reports to Sentry. Without a DSN or without the SDK every call does nothing and raises nothing.

No personal data by default: no addresses, no bodies, no local variables (they may hold keys).
"""

if __name__ == "__main__":  # run by path: make `shared` importable from any folder
    import sys
    from pathlib import Path

    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Mapping
from typing import Any

from shared import tracing
from shared.config import config
from shared.logger import get_logger, request_id

_active = False


def init_sentry(service: str, environment: str | None = None, release: str | None = None) -> bool:
    """Start reporting for this service; True when reports will be sent. A missing DSN or SDK is no error."""
    global _active
    if config.SENTRY_DSN is None:
        return False
    log = get_logger(__name__)
    try:
        import sentry_sdk
    except ImportError:
        log.warning("SENTRY_DSN is set but sentry_sdk is not installed: errors are not reported")
        return False
    try:
        sentry_sdk.init(
            dsn=config.SENTRY_DSN.get_secret_value(),
            environment=environment or config.SENTRY_ENVIRONMENT,
            release=release or config.SENTRY_RELEASE,
            traces_sample_rate=config.SENTRY_TRACES_SAMPLE_RATE,
            server_name=service,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            before_send=_finish,
            before_send_transaction=_finish,
        )
    except sentry_sdk.utils.BadDsn:
        log.warning("SENTRY_DSN is not a DSN: errors are not reported")
        return False
    sentry_sdk.set_tag("service", service)
    _active = True
    return True


def capture_exception(error: BaseException, context: Mapping[str, Any] | None = None) -> None:
    """Report an error, with whatever helps to find its cause. Never blocks and never raises."""
    if not _active:
        return
    import sentry_sdk

    with sentry_sdk.new_scope() as scope:
        if context:
            scope.set_context("context", dict(context))
        scope.capture_exception(error)


def set_user(user_id: str | None) -> None:
    """Name the user that further reports of this request are about; None forgets them."""
    if not _active:
        return
    import sentry_sdk

    sentry_sdk.set_user({"id": user_id} if user_id is not None else None)


def _finish(event: Any, hint: dict[str, Any]) -> Any:
    """Tag every report, those from log lines too, with the ids of request and trace; hide the secrets in its texts.

    Of the request only method and address stay: a key may stand in the query or in any header.
    """
    del hint
    if (current := request_id.get()) is not None:
        event.setdefault("tags", {})["request_id"] = current
    if (trace := tracing.current.get()) is not None:
        event.setdefault("tags", {})["trace_id"] = trace.trace_id
        mine = {"trace_id": trace.trace_id, "span_id": trace.span_id, "parent_span_id": trace.parent_id}
        event.setdefault("contexts", {}).setdefault("trace", {}).update(mine)
    if "request" in event:
        event["request"] = {key: value for key, value in event["request"].items() if key in {"method", "url"}}
    for noted in [*(event.get("breadcrumbs") or {}).get("values", ()), *event.get("spans", ())]:
        (noted.get("data") or {}).pop("http.query", None)

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return config.hide_secrets(value)
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        return [clean(item) for item in value] if isinstance(value, list) else value

    return clean(event)


if __name__ == "__main__":
    active = init_sentry("self-check")
    capture_exception(RuntimeError("self-check"), context={"operation": "self-check"})
    print("Reports are sent." if active else "No DSN or no SDK: nothing is reported, and nothing fails.")
