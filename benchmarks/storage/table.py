"""One comparison, and the table of all: what, our figure, the peer's, their ratio, and whether it is as it must be."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import machine


@dataclass(frozen=True, slots=True)
class Line:
    """Our figure beside one peer's. `must` says what the ratio has to be; None: a figure to know, no target."""

    what: str
    ours: str
    peer: str
    ratio: float | None = None
    must: "Must | None" = None
    failed: str = ""  # why the figures can't be taken, answers that were no success for one

    def verdict(self) -> str:
        """met, missed, failed, or nothing where nothing is asked."""
        if self.failed:
            return f"**failed**: {self.failed}"
        if self.must is None or self.ratio is None:
            return ""
        return self.must.verdict(self.ratio)


@dataclass(frozen=True, slots=True)
class Must:
    """The bound of a ratio, from below (a rate) or from above (a duration), and what is aimed at."""

    bound: float | None
    aim: float | None = None
    above: bool = True

    def verdict(self, ratio: float) -> str:
        """One word, and the aim's."""
        words = [] if self.bound is None else ["met" if self._holds(ratio, self.bound) else "**missed**"]
        if self.aim is not None:
            words.append("aim met" if self._holds(ratio, self.aim) else "aim missed")
        return ", ".join(words)

    def _holds(self, ratio: float, bound: float) -> bool:
        return ratio >= bound if self.above else ratio <= bound

    def __str__(self) -> str:
        sign = "≥" if self.above else "≤"
        texts = [] if self.bound is None else [f"{sign} {self.bound:g} ×"]
        if self.aim is not None:
            texts.append(f"aim {sign} {self.aim:g} ×")
        return ", ".join(texts)


class Table:
    """Prints the lines in Markdown as they come, with the machine above and its load."""

    def __init__(self, clients: str):
        sys.stdout.write(f"Machine: {machine()}; load before: {os.getloadavg()[0]:.1f}; client: {clients}\n\n")
        sys.stdout.write("| what | ours | beside | ratio | must | |\n|---|---|---|---|---|---|\n")
        sys.stdout.flush()

    def add(self, lines: Sequence[Line]) -> None:
        """Some more."""
        for line in lines:
            ratio = "" if line.ratio is None else f"{line.ratio:.2f} ×"
            must = "" if line.must is None else str(line.must)
            sys.stdout.write(f"| {line.what} | {line.ours} | {line.peer} | {ratio} | {must} | {line.verdict()} |\n")
        sys.stdout.flush()

    def end(self) -> None:
        """What is known only now."""
        sys.stdout.write(f"\nLoad after: {os.getloadavg()[0]:.1f}\n")
        sys.stdout.flush()
