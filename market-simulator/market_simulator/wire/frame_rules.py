"""What becomes of a frame on its way to its subscribers: pure decisions by seed, and the record of what was done.

The hub passes each frame through `FrameRules` while there are any, and asks every tick for those that were held. All
subscribers of a stream get the same. Times are simulated milliseconds. All that is held or recorded is bounded.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from market_simulator.wire.streams import Channel

MAX_RECORDED = 1000
MAX_HELD = 10_000
LONGEST_HOLD_MS = 10_000  # a frame held for another that never comes

Build = Callable[[int], Any]  # time unit (1 ms, 1000 µs) → payload


@dataclass(frozen=True, slots=True)
class Frame:
    """One push to a channel. `id` is what its record calls it; `spoil` is done to its text, wrapper included."""

    channel: Channel
    id: Any
    build: Build
    spoil: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Which frames a rule is about: of one channel, of one symbol's own channels, or (both None) of all."""

    channel: Channel | None = None
    symbol: str | None = None

    def holds(self, channel: Channel) -> bool:
        """Whether the channel is one of them."""
        return self.channel in (None, channel) and self.symbol in (None, channel.symbol)


class FrameRule(Protocol):
    """One lie about frames."""

    target: Target

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        """What goes on in this frame's place, in order."""
        ...

    def due(self, now_ms: int) -> list[Frame]:
        """Held frames whose time has come."""
        ...

    def end(self) -> list[Frame]:
        """All that is still held."""
        ...

    def truth(self) -> dict[str, Any]:
        """How many frames it changed, and the newest of them."""
        ...


@dataclass(slots=True)
class _Rule:
    """What all share: a sequence of its own, so that by its seed the same frames are struck in every run."""

    target: Target
    seed: int
    share: float = 1.0
    struck: int = 0
    newest: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED))
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, frame: Frame, now_ms: int) -> bool:
        """Whether the frame is struck; if so, it becomes ground truth."""
        if self._random.random() >= self.share:
            return False
        self.note(frame, now_ms)
        return True

    def note(self, frame: Frame, now_ms: int) -> None:
        self.struck += 1
        channel = frame.channel
        self.newest.append({"kind": str(channel.kind), "symbol": channel.symbol, "id": frame.id, "at_ms": now_ms})

    def due(self, now_ms: int) -> list[Frame]:  # noqa: ARG002  # most hold nothing
        return []

    def end(self) -> list[Frame]:
        return []

    def truth(self) -> dict[str, Any]:
        return {"frames": self.struck, "newest": list(self.newest)}


class Silence(_Rule):
    """The frames are left out."""

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        return [] if self.strikes(frame, now_ms) else [frame]


class Duplicate(_Rule):
    """The frames come twice."""

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        return [frame, frame] if self.strikes(frame, now_ms) else [frame]


@dataclass(slots=True)
class _Late:
    frame: Frame
    left: int  # frames of its channel that still go before it
    until_ms: int


@dataclass(slots=True)
class Reorder(_Rule):
    """A frame comes after the next `places` frames of its stream; one at a time in each stream."""

    places: int = 1
    _late: dict[Channel, _Late] = field(default_factory=dict)

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        late = self._late.get(frame.channel)
        if late is None:
            if not self.strikes(frame, now_ms):
                return [frame]
            self._late[frame.channel] = _Late(frame, self.places, now_ms + LONGEST_HOLD_MS)
            return []
        late.left -= 1
        if late.left:
            return [frame]
        del self._late[frame.channel]
        return [frame, late.frame]

    def due(self, now_ms: int) -> list[Frame]:
        over = [channel for channel, late in self._late.items() if now_ms >= late.until_ms]
        return [self._late.pop(channel).frame for channel in over]

    def end(self) -> list[Frame]:
        frames = [late.frame for late in self._late.values()]
        self._late.clear()
        return frames


@dataclass(slots=True)
class Delay(_Rule):
    """The frames come `delay_ms` later, in their order. Above the bound the oldest go early."""

    delay_ms: int = 1000
    early: int = 0
    _held: deque[tuple[int, Frame]] = field(default_factory=deque)

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        self.note(frame, now_ms)
        self._held.append((now_ms + self.delay_ms, frame))
        if len(self._held) <= MAX_HELD:
            return []
        self.early += 1
        return [self._held.popleft()[1]]

    def due(self, now_ms: int) -> list[Frame]:
        frames = []
        while self._held and self._held[0][0] <= now_ms:
            frames.append(self._held.popleft()[1])
        return frames

    def end(self) -> list[Frame]:
        frames = [frame for _, frame in self._held]
        self._held.clear()
        return frames

    def truth(self) -> dict[str, Any]:
        return {**_Rule.truth(self), "held": len(self._held), "sent_early": self.early}


@dataclass(slots=True)
class OldTimes(_Rule):
    """The data are new, their event times (`E`) lie `age_ms` back. Payloads without one stay as they are."""

    age_ms: int = 60_000

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        payload = frame.build(1)
        first = payload[0] if isinstance(payload, list) and payload else payload
        if not isinstance(first, dict) or "E" not in first or not self.strikes(frame, now_ms):
            return [frame]
        build = frame.build
        return [replace(frame, build=lambda scale: _aged(build(scale), self.age_ms * scale))]


def _aged(payload: Any, age: int) -> Any:
    if isinstance(payload, list):
        return [_aged(one, age) for one in payload]
    return {**payload, "E": payload["E"] - age} if "E" in payload else payload


class BadJson(_Rule):
    """The text is broken: cut off, with single quotes, or with a bracket too many. It stays valid UTF-8."""

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        if not self.strikes(frame, now_ms):
            return [frame]
        way, place = self._random.randrange(3), self._random.random()
        return [replace(frame, spoil=lambda text: _broken(text, way, place))]


def _broken(text: bytes, way: int, place: float) -> bytes:
    if way == 0:
        return text[: 1 + int((len(text) - 1) * place)].decode("utf-8", "ignore").encode()
    return text.replace(b'"', b"'") if way == 1 else text + b"}"


class FrameRules:
    """The rules in force, in the order of their begin: what one passes on, the next one gets."""

    def __init__(self) -> None:
        self._rules: list[FrameRule] = []

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: FrameRule) -> None:
        """Put a rule in force."""
        self._rules.append(rule)

    def remove(self, rule: FrameRule, now_ms: int) -> list[Frame]:
        """End a rule (unknown ones are ignored); the frames that it held go out now."""
        place = next((place for place, one in enumerate(self._rules) if one is rule), None)
        if place is None:
            return []
        del self._rules[place]
        return self._through(rule.end(), place, now_ms)

    def pass_on(self, frame: Frame, now_ms: int) -> list[Frame]:
        """What is sent in a frame's place, in order."""
        return self._through([frame], 0, now_ms)

    def due(self, now_ms: int) -> list[Frame]:
        """Held frames that are sent now; ask every tick while there are rules."""
        frames: list[Frame] = []
        for place, rule in enumerate(self._rules):
            frames += self._through(rule.due(now_ms), place + 1, now_ms)
        return frames

    def _through(self, frames: list[Frame], place: int, now_ms: int) -> list[Frame]:
        for rule in self._rules[place:]:
            if not frames:
                break
            passed: list[Frame] = []
            for frame in frames:
                passed += rule.pass_on(frame, now_ms) if rule.target.holds(frame.channel) else [frame]
            frames = passed
        return frames
