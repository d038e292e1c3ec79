"""W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to, read and passed on.

A header that is not in the standard's form is ignored, as if it were absent: it is never an error.
"""

import random
import re
from contextvars import ContextVar, Token
from dataclasses import dataclass

# Version 00 ends after the flags; a later version may go on after another dash, and is read as if it were 00.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
TRACESTATE = re.compile(r"[\x20-\x7e\t]{1,512}")
SAMPLED, RANDOM = 1, 2  # the flags that the standard defines


@dataclass(frozen=True, slots=True)
class Trace:
    """Where this request stands: its trace, its own span in it and, unless it begins the trace, the caller's span."""

    trace_id: str
    span_id: str
    parent_id: str | None
    flags: int
    state: str

    @property
    def sampled(self) -> bool:
        """Whether who began the trace wants it recorded."""
        return bool(self.flags & SAMPLED)

    def headers(self) -> dict[str, str]:
        """What a request made on behalf of this one carries."""
        named = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        return {**named, "tracestate": self.state} if self.state else named


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def continued(traceparent: str, tracestate: str = "") -> Trace | None:
    """A span of one's own below the caller's; None where the header is malformed."""
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    state = tracestate if TRACESTATE.fullmatch(tracestate) else ""
    return Trace(found[2], _new_span_id(), found[3], int(found[4], 16) & (SAMPLED | RANDOM), state)


def begun(sampled: bool) -> Trace:
    """A trace that begins here. Its ids must be unlike all others, not secret."""
    return Trace(f"{random.getrandbits(128) or 1:032x}", _new_span_id(), None, RANDOM | int(sampled), "")


def _new_span_id() -> str:
    return f"{random.getrandbits(64) or 1:016x}"


def enter(trace: Trace | None) -> Token[Trace | None]:
    """Work for this trace until `leave`."""
    return current.set(trace)


def leave(token: Token[Trace | None]) -> None:
    """Back to what was before `enter`."""
    current.reset(token)


def outgoing() -> dict[str, str]:
    """The headers for a request to another server; none outside of a trace."""
    trace = current.get()
    return trace.headers() if trace is not None else {}
