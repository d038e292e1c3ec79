"""The white-hat rules name every one that is broken, and nothing loosens them."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import Settings
from shared.errors import ConfigError
from shared.whitehat import judge

pytestmark = pytest.mark.unit

GOOD: dict[str, Any] = {"signal_type": "BUY", "confidence": 0.85, "stop_loss": 100.0, "leverage": 2}
# rule → what breaks it and nothing else
BREAKERS: dict[str, dict[str, Any]] = {
    "leverage_above_3": {"leverage": 3.01},
    "confidence_below_65": {"confidence": 0.6499},
    "stop_loss_required": {"stop_loss": None},
    "real_order": {"real_order": True},
}


def test_a_signal_within_all_rules_breaks_none() -> None:
    assert judge(**GOOD) == ()


def test_the_bounds_themselves_are_allowed() -> None:
    assert judge(**GOOD | {"leverage": 3, "confidence": 0.65}) == ()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_broken_rule_is_named_and_no_other(count: int) -> None:
    for rules in itertools.combinations(BREAKERS, count):
        broken = {name: value for rule in rules for name, value in BREAKERS[rule].items()}
        assert judge(**GOOD | broken) == rules


def test_a_missing_leverage_is_one() -> None:
    assert judge(**GOOD | {"leverage": None}) == ()


def test_hold_alone_needs_no_stop_loss() -> None:
    assert judge(**GOOD | {"signal_type": "HOLD", "stop_loss": None}) == ()
    for other in ("BUY", "SELL", "HOLD_LONG", "CLOSE"):
        assert judge(**GOOD | {"signal_type": other, "stop_loss": None}) == ("stop_loss_required",)


def test_hold_is_exempt_from_no_other_rule() -> None:
    assert judge(**GOOD | {"signal_type": "HOLD", "leverage": 10, "confidence": 0.1}) == (
        "leverage_above_3",
        "confidence_below_65",
    )


def test_what_is_no_number_breaks_the_rule_it_belongs_to() -> None:
    assert judge(**GOOD | {"leverage": math.nan}) == ("leverage_above_3",)
    assert judge(**GOOD | {"confidence": math.nan}) == ("confidence_below_65",)


@given(st.floats(), st.floats(), st.one_of(st.none(), st.floats()), st.booleans())
def test_only_the_allowed_is_ever_compliant(
    leverage: float, confidence: float, stop_loss: float | None, real: bool
) -> None:
    broken = judge(
        signal_type="SELL", confidence=confidence, stop_loss=stop_loss, leverage=leverage, real_order=real
    )
    assert (broken == ()) == (leverage <= 3 and confidence >= 0.65 and stop_loss is not None and not real)


def test_no_variable_switches_the_rules_off() -> None:
    assert Settings.read({"WHITE_HAT_MODE": "true"}).WHITE_HAT_MODE is True
    with pytest.raises(ConfigError, match="WHITE_HAT_MODE="):
        Settings.read({"WHITE_HAT_MODE": "false"})
