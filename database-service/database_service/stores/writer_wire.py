"""How a service and its writer talk: frames of MessagePack over a socket pair, one request and one reply at a time."""

import socket
import struct
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from database_service.idempotency import Verdict
from database_service.signals import Submission
from shared.errors import Detail, FleetError, InvalidInput, Unavailable

LENGTH = struct.Struct(">I")


class Append(Struct, array_like=True):
    """Store these."""

    submissions: Sequence[Submission]
    now: datetime


class Problem(Struct, array_like=True):
    """An error, of a row or of the whole; `unavailable` and else invalid input are the kinds that a store raises."""

    unavailable: bool
    message: str
    details: Sequence[Detail]
    retry_after_s: float | None

    def error(self) -> FleetError:
        """As it was raised."""
        if self.unavailable:
            return Unavailable(self.message, retry_after_s=self.retry_after_s)
        return InvalidInput(self.message, details=self.details)


class Decided(Struct, array_like=True):
    """A verdict."""

    status: str
    id: str
    problem: Problem | None


class Reply(Struct, array_like=True):
    """What became of a request: a verdict a row, or what went wrong with the whole."""

    verdicts: Sequence[Decided]
    problem: Problem | None = None


encode = msgspec.msgpack.Encoder().encode
decode_append = msgspec.msgpack.Decoder(Append).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def problem_of(error: FleetError) -> Problem:
    """`error` for the wire."""
    return Problem(isinstance(error, Unavailable), error.message, error.details, error.retry_after_s)


def decided(verdict: Verdict) -> Decided:
    """`verdict` for the wire."""
    return Decided(verdict.status, verdict.id, None if verdict.error is None else problem_of(verdict.error))


def verdict_of(decided: Decided) -> Verdict:
    """The verdict that came over the wire."""
    return Verdict(decided.status, decided.id, decided.problem and decided.problem.error())  # type: ignore[arg-type]  # one of ours


def send(link: socket.socket, message: bytes) -> None:
    """Send one frame. Raises OSError."""
    link.sendall(LENGTH.pack(len(message)) + message)


def receive(link: socket.socket) -> bytes | None:
    """The next frame; None when the other side is gone. Raises OSError, TimeoutError."""
    head = _exactly(link, LENGTH.size)
    return _exactly(link, *LENGTH.unpack(head)) if head else None


def _exactly(link: socket.socket, count: int) -> bytes | None:
    parts, missing = [], count
    while missing:
        part = link.recv(missing)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
