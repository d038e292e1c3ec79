"""How long the fault tests run."""

import os

# 1 is full length (`make faults`); the default keeps a plain `pytest` short.
SCALE = float(os.environ.get("FAULTS_SCALE", "0.04"))


def scaled(full: int, at_least: int = 1) -> int:
    """`full` at this run's length."""
    return max(at_least, round(full * SCALE))
