"""The same checks and logins with 10,000 users and 1,000 API keys in the database, beside 10 of each."""

from benchmarks.gateway.checks import FEW, best, in_process
from benchmarks.report import Row, say

MANY = (10_000, 1_000)
NOISE = 1.2  # what two runs of the same differ by on a machine with other work


def measure(rounds: int) -> list[Row]:
    """The best median of interleaved runs, and their ratio."""
    few, many = [], []
    for number in range(rounds):
        say(f"crowd: round {number + 1} of {rounds}")
        few.append(in_process(*FEW))
        many.append(in_process(*MANY))
    rows = []
    for what in few[0]:
        (small, _), (large, _) = best(few, what), best(many, what)
        verdict = "met" if large / small <= NOISE else "missed"
        name = "login" if what == "login" else f"check of a {what}"
        rows.append(Row(f"{name}: with {MANY[0]:,} users and {MANY[1]:,} keys, median", large, "µs", ""))
        rows.append(Row("… beside 10 of each", large / small, "×", f"no slower (within {NOISE} ×), {verdict}"))
    return rows
