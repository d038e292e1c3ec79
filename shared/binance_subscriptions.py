"""What one connection to Binance's streams is subscribed to, and the commands that get it there. No socket, no thread.

Source of the rules: binance-spot-api-docs, web-socket-streams.md (limits, commands and their answers).
"""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from shared.errors import InvalidInput

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]

MAX_STREAMS = 1024  # of one connection
NAMES_PER_COMMAND = 200
COMMAND_GAP_S = 0.25  # 5 messages a second are allowed, pongs included
ANSWER_WITHIN_S = 10.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Command:
    method: Method
    names: list[str]
    alone: bool = False  # not to be joined with its neighbours
    sent_at: float = 0.0


class Subscriptions:
    """The wanted streams, the commands still to send and those not yet answered. The caller does the locking."""

    def __init__(self) -> None:
        self.wanted: dict[str, None] = {}  # in the order of the wishes
        self._queue: deque[_Command] = deque()
        self._unanswered: dict[int, _Command] = {}
        self._last_id = 0
        self._next_at = 0.0

    def add(self, names: Iterable[str]) -> None:
        """Want these; already wanted ones are asked for again, which is harmless.

        Raises InvalidInput, and adds none, when a connection can't hold them.
        """
        names = list(dict.fromkeys(names))
        if len(self.wanted | dict.fromkeys(names)) > MAX_STREAMS:
            raise InvalidInput.field("streams", f"at most {MAX_STREAMS} on one connection")
        self.wanted.update(dict.fromkeys(names))
        self._enqueue("SUBSCRIBE", names)

    def remove(self, names: Iterable[str]) -> None:
        """Want these no longer."""
        known = [name for name in dict.fromkeys(names) if name in self.wanted]
        for name in known:
            del self.wanted[name]
        self._enqueue("UNSUBSCRIBE", known)

    def copy(self) -> "Subscriptions":
        """The same wishes for another connection, of which nothing has been asked yet."""
        other = Subscriptions()
        other.wanted = dict(self.wanted)
        return other

    @property
    def is_settled(self) -> bool:
        """Whether every command has been sent and answered."""
        return not self._queue and not self._unanswered

    def restart(self, now: float) -> None:
        """A new connection knows nothing: ask for all that is wanted."""
        self._queue.clear()
        self._unanswered.clear()
        self._next_at = now
        self._enqueue("SUBSCRIBE", list(self.wanted))

    def next_command(self, now: float) -> bytes | None:
        """The next command to send, if one is due. Wishes that piled up meanwhile go out together."""
        if not self._queue or now < self._next_at:
            return None
        command = self._queue.popleft()
        while self._queue and _joinable(command, self._queue[0]):
            command.names = list(dict.fromkeys(command.names + self._queue.popleft().names))
        if len(command.names) > NAMES_PER_COMMAND:
            self._queue.appendleft(_Command(command.method, command.names[NAMES_PER_COMMAND:]))
            del command.names[NAMES_PER_COMMAND:]
        self._last_id += 1
        self._next_at = now + COMMAND_GAP_S
        command.sent_at = now
        self._unanswered[self._last_id] = command
        return orjson.dumps({"method": command.method, "params": command.names, "id": self._last_id})

    def take_answer(self, document: dict[str, Any]) -> None:
        """`{"result": null, "id": 1}`, or a refusal, flat or nested in "error" (both are seen in the field)."""
        error = document.get("error") or (document if "code" in document else None)
        command = self._unanswered.pop(document.get("id") or 0, None)
        if error is None:
            return
        log.warning("the exchange refuses a command: %s", orjson.dumps(error).decode()[:200])
        if command is None or command.method == "UNSUBSCRIBE":
            return
        names = [name for name in command.names if name in self.wanted]
        if len(names) == 1:
            del self.wanted[names[0]]
            return
        # One malformed name refuses its whole command: halve until it stands alone.
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            if half:
                self._queue.append(_Command("SUBSCRIBE", half, alone=True))

    def is_overdue(self, now: float) -> bool:
        """Whether a command has been without an answer for too long."""
        return any(now - command.sent_at > ANSWER_WITHIN_S for command in self._unanswered.values())

    def _enqueue(self, method: Method, names: list[str]) -> None:
        if names:
            self._queue.append(_Command(method, names))


def _joinable(first: _Command, second: _Command) -> bool:
    return first.method == second.method and not (first.alone or second.alone)
