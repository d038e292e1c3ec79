"""Scenarios about frames: left out, late, twice, reordered, old, broken. Their seconds are the wall clock's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from market_simulator.scenarios.director import Entry, Plan
from market_simulator.wire.frame_rules import BadJson, Delay, Duplicate, FrameRule, OldTimes, Reorder, Silence, Target
from market_simulator.wire.hub import Hub
from market_simulator.wire.streams import Channel, Kind, MalformedStream
from shared.errors import InvalidInput
from shared.web.models import Body


class NoFrameParams(Body):
    """Nothing to set."""


class StreamParams(Body):
    """Of which stream."""

    stream: str | None = Field(
        None, max_length=80, description="only this one, such as btcusdt@trade; unset: the symbol's, or all"
    )


class DropParams(Body):
    """Which frames to leave out."""

    stream: str = Field(max_length=80, description="the stream's name, such as btcusdt@trade")
    share: float = Field(0.1, gt=0, le=1, description="which part of its frames to leave out")


class DelayParams(StreamParams):
    """How late."""

    delay_ms: int = Field(2000, ge=10, le=60_000, description="simulated milliseconds that each frame comes late")


class ShareParams(StreamParams):
    """Which frames."""

    share: float = Field(0.1, gt=0, le=1, description="which part of the frames")


class ReorderParams(ShareParams):
    """How far."""

    places: int = Field(1, ge=1, le=100, description="frames of its stream that overtake it")


class OldTimesParams(StreamParams):
    """How old."""

    age_ms: int = Field(60_000, ge=1, le=604_800_000, description="milliseconds that event times lie back")
    share: float = Field(1.0, gt=0, le=1, description="which part of the frames")


@dataclass
class FrameFault:
    """One rule about frames; what it holds at its end goes out then. Its record is ground truth."""

    hub: Hub
    rule: FrameRule

    def begin(self) -> None:
        self.hub.rules.add(self.rule)

    def end(self, expired: bool) -> None:  # noqa: ARG002  # ends alike
        self.hub.release(self.hub.rules.remove(self.rule, self.hub.now_ms()))

    def truth(self) -> dict[str, Any]:
        return self.rule.truth()


MakeRule = Callable[[Target, int, Any], FrameRule]  # target, seed, parameters


def menu(hub: Hub) -> list[Entry]:
    """These scenarios' entries."""

    def entry(name: str, summary: str, symbol: Any, params: type[Body], make: MakeRule) -> Entry:
        def fault(plan: Plan) -> FrameFault:
            return FrameFault(hub, make(_target(hub, plan), plan.seed, plan.params))

        return Entry(name, summary, symbol, 30.0, params, fault)

    return [
        entry(
            "silent_symbol", "one symbol's streams carry nothing; sockets and other symbols go on", "required",
            NoFrameParams, lambda target, seed, _: Silence(target, seed),
        ),
        entry(
            "slow_feed", "frames come late, in their order", "optional", DelayParams,
            lambda target, seed, params: Delay(target, seed, delay_ms=params.delay_ms),
        ),
        entry(
            "drop", "a share of one stream's frames is left out", "none", DropParams,
            lambda target, seed, params: Silence(target, seed, params.share),
        ),
        entry(
            "duplicate", "a share of the frames comes twice", "optional", ShareParams,
            lambda target, seed, params: Duplicate(target, seed, params.share),
        ),
        entry(
            "reorder", "a share of the frames comes after the next ones of its stream", "optional", ReorderParams,
            lambda target, seed, params: Reorder(target, seed, params.share, places=params.places),
        ),
        entry(
            "old_event_times", "data are new, but their event times (E) lie back", "optional", OldTimesParams,
            lambda target, seed, params: OldTimes(target, seed, params.share, age_ms=params.age_ms),
        ),
        entry(
            "bad_json", "a share of the frames is broken text", "optional", ShareParams,
            lambda target, seed, params: BadJson(target, seed, params.share),
        ),
    ]  # fmt: skip


def _target(hub: Hub, plan: Plan) -> Target:
    stream = getattr(plan.params, "stream", None)
    channel = None if stream is None else _channel(hub, stream)
    if channel is not None and plan.symbol not in (None, channel.symbol):
        raise InvalidInput.field("params.stream", "is another symbol's")
    return Target(channel, plan.symbol)


def _channel(hub: Hub, stream: str) -> Channel:
    try:
        channel = hub.dialect.parse(stream)
    except MalformedStream:
        raise InvalidInput.field("params.stream", "is no stream name") from None
    if channel.kind is Kind.SILENT or (channel.symbol and hub.find(channel.symbol) is None):
        raise InvalidInput.field("params.stream", "carries nothing here")
    return channel
