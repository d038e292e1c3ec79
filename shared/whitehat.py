"""The white-hat rules of the fleet: paper only, modest leverage, enough confidence, a stop-loss.

They are constants. No variable, request or admin call loosens them; a service may be stricter. Every service that
judges a signal or an order calls `judge`, so there is one answer everywhere.
"""

from typing import Literal

MAX_LEVERAGE = 3.0
MIN_CONFIDENCE = 0.65
EXEMPT_FROM_STOP_LOSS = "HOLD"

Violation = Literal["leverage_above_3", "confidence_below_65", "stop_loss_required", "real_order"]


def judge(
    *,
    signal_type: str,
    confidence: float,
    stop_loss: float | None,
    leverage: float | None = None,
    real_order: bool = False,
) -> tuple[Violation, ...]:
    """Name every rule that a signal or an order breaks; empty means compliant.

    `confidence` is 0..1; `leverage` in times the stake, a missing one is 1; `stop_loss` a price
    or None (HOLD needs none).
    Judging is not refusing: who stores, stores and marks; who acts, acts only on an empty answer.
    """
    broken: list[Violation] = []
    # Written as "not within", so that NaN, which compares false with everything, breaks the rule.
    if not (1.0 if leverage is None else leverage) <= MAX_LEVERAGE:
        broken.append("leverage_above_3")
    if not confidence >= MIN_CONFIDENCE:
        broken.append("confidence_below_65")
    if stop_loss is None and signal_type != EXEMPT_FROM_STOP_LOSS:
        broken.append("stop_loss_required")
    if real_order:
        broken.append("real_order")
    return tuple(broken)
