"""The outbox: order, joining, and the bound that a client who doesn't read runs into."""

import gevent
import pytest

from market_simulator.wire.outbox import Outbox
from shared.web.websocket import WebSocketClosed

pytestmark = pytest.mark.unit


class Wire:
    """A connection that writes down what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ended: list[object] = []

    def send_frame(self, frames: bytes) -> None:
        if self.ended:
            raise WebSocketClosed("gone")
        self.sent.append(frames)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.ended.append((code, reason))

    def abort(self) -> None:
        self.ended.append("abort")


def test_frames_of_one_moment_leave_in_order_and_in_one_write() -> None:
    wire = Wire()
    outbox = Outbox(wire)
    writer = gevent.spawn(outbox.run)
    for number in range(3):
        outbox.push(b"%d" % number)
    gevent.sleep(0)
    outbox.push(b"3")
    gevent.sleep(0)
    writer.kill()
    assert wire.sent == [b"012", b"3"]
    assert outbox.frames_sent == 4


def test_an_end_comes_after_what_was_queued() -> None:
    wire = Wire()
    outbox = Outbox(wire)
    outbox.push(b"last")
    outbox.end(1001, "bye")
    outbox.push(b"too late")
    outbox.run()
    assert (wire.sent, wire.ended) == ([b"last"], [(1001, "bye")])


def test_over_its_bound_the_connection_is_aborted_and_holds_nothing() -> None:
    wire = Wire()
    outbox = Outbox(wire, most_bytes=10)
    for _ in range(5):
        outbox.push(b"1234")
    assert outbox.overflowed
    assert wire.ended == ["abort"]
    outbox.run()
    assert wire.sent == []
