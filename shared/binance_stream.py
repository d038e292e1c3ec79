"""Binance's market streams: one connection, many streams, kept alive (binance-spot-api-docs, web-socket-streams.md).

One thread reads, sends and reconnects; under gevent it is a greenlet. A connection whose end is planned (24 h, or the
server announced it) is replaced while it still serves: listeners notice nothing, miss nothing, get nothing twice
(binance_overlap.py). After a loss there is no replay: after `on_state(True)` that follows one, whoever needs what was
missed asks by REST.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.binance_link import CONNECT_TIMEOUT_S, Link, Lost, connect
from shared.binance_roll import Roll
from shared.binance_subscriptions import Subscriptions
from shared.clock import Clock, SystemClock

MAX_AGE_S = 23 * 3600.0  # the exchange closes after 24 h; going first picks the moment
IDLE_TIMEOUT_S = 10.0  # without a byte; half of it brings a ping, which any living server answers
WAKE_S = 0.1  # how long a wish, or stop(), waits for a silent connection
# Full jitter: before try n a random wait of up to BACKOFF_S * 2**n. The exchange allows one connection a second (300
# in 5 minutes; this makes 120), and who waits for prices shouldn't wait on after it is back.
BACKOFF_S, MAX_BACKOFF_S = 0.5, 5.0
NEVER = float("inf")
NOT_YET, STOPPED = "not started", "stopped"  # reasons of being away that are no fault
STEADY_S = 5.0  # a connection that held this long starts the backoff anew
# A flood of messages leaves no moment in which the thread waits, so other greenlets would starve: after so long without
# one it sleeps for a moment. gevent.sleep(0) is not enough, it returns before timers and other sockets are looked at.
BREATHE_AFTER_S, BREATH_S = 0.005, 0.0001
WAITED_S = 0.001  # a call for messages that took longer has waited for them

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StreamCounts:
    """What happened since the start. `rolls` are changes of connection by plan, without a loss; not in `reconnects`."""

    connects: int = 0
    rolls: int = 0
    messages: int = 0
    bytes: int = 0
    failed_callbacks: int = 0

    @property
    def reconnects(self) -> int:
        """Connections after the first that followed a loss."""
        return max(0, self.connects - 1 - self.rolls)


class BinanceStream:
    """Streams in combined mode: `on_message(frame)` gets each `{"stream": …, "data": …}` as bytes, answers to commands
    excepted; `on_state(connected)` each change, with `reason` saying why. Both are called from the stream's own thread,
    must not block, and may fail without harm to the stream.

    `url` carries no stream path (`wss://stream.binance.com:9443`); `path` is `/stream` on spot, `/market/stream` or
    `/public/stream` on futures. Wishes may be uttered before `start` and at any time after, from any thread.
    """

    def __init__(
        self,
        url: str,
        on_message: Callable[[bytes], None],
        on_state: Callable[[bool], None] = lambda _connected: None,
        clock: Clock | None = None,
        *,
        path: str = "/stream",
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._url = url.rstrip("/") + path
        self._on_message, self._on_state = on_message, on_state
        self._clock = clock or SystemClock()
        self._idle_timeout_s, self._max_age_s = idle_timeout_s, max_age_s
        self._wishes = [Subscriptions()]  # the present connection's, and that of the one which is to follow
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._renew = threading.Event()
        self._thread: threading.Thread | None = None
        self._opened_at = NEVER  # when the present connection was reached
        self._breathed_at = self._clock.monotonic()
        self.counts = StreamCounts()
        self.connected = False
        self.reason = NOT_YET

    def subscribe(self, names: Iterable[str]) -> None:
        """Want these streams (`btcusdt@trade`), now and on every later connection. An unknown symbol stays silent, a
        malformed name is logged and dropped. Raises InvalidInput past 1024 streams."""
        names = list(names)
        with self._lock:
            for subscriptions in self._wishes:
                subscriptions.add(names)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Want these streams no longer; a few of their frames may still come."""
        names = list(names)
        with self._lock:
            for subscriptions in self._wishes:
                subscriptions.remove(names)

    @property
    def streams(self) -> list[str]:
        """What is wanted."""
        with self._lock:
            return list(self._wishes[0].wanted)

    def start(self) -> None:
        """Connect in the background, for ever again whenever the connection is lost; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="binance-stream", daemon=True)
            self._thread.start()

    def reconnect(self) -> None:
        """Drop the connection and open another at once (it is open, but silent)."""
        self._renew.set()

    def stop(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Close and wait for the thread, `timeout_s` at most. A stopped stream can't be started again."""
        self._stopping.set()
        self._renew.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._renew.clear()
            self._opened_at, planned = NEVER, False
            try:
                self._serve()
            except Lost as lost:
                planned = lost.planned
                self._set_state(False, str(lost))
            except Exception as error:  # whatever it is, the stream must go on
                log.exception("the stream failed")
                self._set_state(False, f"failed: {type(error).__name__}")
            held = self._clock.monotonic() - self._opened_at >= STEADY_S
            failures = 0 if held else failures + 1
            # A server that sends each newcomer away must not be stormed: at once is only the first try.
            if not (planned and failures <= 1):
                self._renew.wait(random.uniform(0, min(MAX_BACKOFF_S, BACKOFF_S * 2**failures)))
        self._set_state(False, STOPPED)

    def _serve(self) -> None:
        """One connection after the other, until one is lost, which raises Lost; or until stop()."""
        link, roll = self._open(self._wishes[0]), None
        try:
            self._opened_at = link.opened_at
            self._set_state(True, "connected")
            while not self._stopping.is_set():
                if self._renew.is_set():
                    raise Lost("asked to reconnect", planned=True)
                if roll is None and (link.ending or self._clock.monotonic() - link.opened_at > self._max_age_s):
                    roll = self._begin_roll(link)
                begun = self._clock.monotonic()
                messages = link.receive(WAKE_S) if roll is None else roll.receive()
                if self._clock.monotonic() - begun > WAITED_S:
                    self._breathed_at = self._clock.monotonic()
                self._deliver(messages)
                self._breathe()
                if roll is not None and roll.done and roll.next is not None:
                    link.close()
                    link, roll = self._end_roll(roll, roll.next), None
        finally:
            if roll is not None:
                roll.abandon()
            link.close()
            with self._lock:
                del self._wishes[1:]

    def _open(self, subscriptions: Subscriptions) -> Link:
        opened = connect(self._url)
        self.counts.connects += 1
        return Link(opened, subscriptions, self._lock, self._clock, self._idle_timeout_s)

    def _begin_roll(self, link: Link) -> Roll:
        log.info("the connection %s; opening the next", "is announced to end" if link.ending else "nears its 24 h")
        with self._lock:
            self._wishes = [link.subscriptions, link.subscriptions.copy()]
        following = self._wishes[1]
        return Roll(link, lambda: self._open(following), self._clock)

    def _end_roll(self, roll: Roll, following: Link) -> Link:
        with self._lock:
            self._wishes = [following.subscriptions]
        self._opened_at = following.opened_at
        if roll.cut_short:  # what the old one had yet to bring may be missing: a loss, to be filled by REST
            self._set_state(False, f"{roll.cut_short}, while the next connection began")
            self._set_state(True, "connected")
        else:
            self.counts.rolls += 1
        return following

    def _breathe(self) -> None:
        now = self._clock.monotonic()
        if now - self._breathed_at > BREATHE_AFTER_S:
            self._clock.sleep(BREATH_S)
            self._breathed_at = now

    def _deliver(self, messages: list[bytes]) -> None:
        self.counts.messages += len(messages)
        self.counts.bytes += sum(map(len, messages))
        on_message = self._on_message
        for message in messages:
            try:
                on_message(message)
            except Exception:
                self.counts.failed_callbacks += 1
                if self.counts.failed_callbacks <= 3:  # not per message: that would fill the disk
                    log.exception("on_message failed")

    def _set_state(self, connected: bool, reason: str) -> None:
        # The first attempt's failure counts as a change: somebody waits for it.
        changed = connected is not self.connected or (self.reason == NOT_YET and not connected)
        self.connected, self.reason = connected, reason
        if not changed:
            return
        try:
            self._on_state(connected)
        except Exception:
            self.counts.failed_callbacks += 1
            log.exception("on_state failed")
