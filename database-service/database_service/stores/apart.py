"""Appending in a process of its own, once there is much to append.

Python runs one thread at a time. Under load, writing a group takes as much of that as reading the requests and
answering them, and every system call hands the lock over and back (1.4 futex calls a request): the loop does half of
what it could. So a group of `LARGE` signals and more goes to a writer process, which runs the very same
`SqlStore.append`; the loop's thread only waits for its reply. Smaller groups, the first ones while the writer starts,
and all of them where it can't be had are written in this process, as ever. Measured: docs/adr/0005.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from database_service.idempotency import Verdict
from database_service.signals import Submission
from database_service.stores import writer_wire as wire
from database_service.stores.sql import SqlStore
from shared.offload import native_socket_pair

FOLDER = Path(__file__).parents[2]
LARGE = 16  # signals; fewer are written sooner than another process is woken
START_S = 10.0
REPLY_S = 3.0  # of one that hangs; with what follows below group_commit.WAIT_S. The database's own bound is 2 s
LOOK_S = 0.2  # between two looks whether a writer is wanted
AGAIN_S = 10.0  # before a writer is started in the place of one that failed


class WriterProcess:
    """One writer. Made and ended where processes may be, used by one native thread at a time."""

    def __init__(self, url: str) -> None:
        """Raises OSError."""
        self.fault = "not ready in time"
        self._link, theirs = native_socket_pair()
        self._link.settimeout(START_S)
        command = [sys.executable, "-m", "database_service.writer", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # fixed words
                command, cwd=FOLDER, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        with contextlib.suppress(OSError):  # one that ended at once: `await_ready` finds out
            wire.send(self._link, url.encode())  # an argument would show in the list of processes

    def await_ready(self) -> bool:
        """Wait until it takes requests, natively; False if it doesn't."""
        with contextlib.suppress(OSError):
            ready = wire.receive(self._link) == b"ready"
            self._link.settimeout(REPLY_S)
            return ready
        return False

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`. Raises OSError when the writer is gone or hangs: what it did is not known."""
        wire.send(self._link, wire.encode(wire.Append(submissions, now)))
        frame = wire.receive(self._link)
        if frame is None:
            raise ConnectionError("the writer is gone")
        reply = wire.decode_reply(frame)
        if reply.problem is not None:
            raise reply.problem.error()
        return [wire.verdict_of(decided) for decided in reply.verdicts]

    def kill(self) -> None:
        """At once: one that hangs may hold the database."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Hang up; it ends by that, and is made to if it doesn't."""
        self._link.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Apart:
    """Decides who appends. `blocking` runs a call that would hold up others; `append` is called where writes run."""

    def __init__(
        self,
        store: SqlStore,
        url: str,
        blocking: Callable[[Callable[[], bool]], bool],
        log: "logging.Logger | logging.LoggerAdapter[Any]",
        large: int = LARGE,
    ):
        self._store, self._url, self._blocking, self._log, self._large = store, url, blocking, log, large
        self._stopped = threading.Event()
        self._wanted = False
        self._writer: WriterProcess | None = None
        self._failed: WriterProcess | None = None  # to be ended by `_watch`: a native thread can't

    @property
    def works(self) -> bool:
        """Whether a writer takes the next large group."""
        return self._writer is not None

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        if len(submissions) < self._large:
            return self._store.append_here(submissions, now)
        self._wanted = True
        writer = self._writer
        if writer is not None:
            try:
                return self._store.append_by(writer.append, submissions, now)
            except OSError as error:
                writer.kill()
                writer.fault = type(error).__name__
                self._writer, self._failed, self._wanted = None, writer, False
        # If it had stored them before it failed, they are found by their keys and names: nothing is stored twice.
        return self._store.append_here(submissions, now)

    def start(self) -> None:
        """From now on a writer is started when there is much to write."""
        threading.Thread(target=self._watch, name="writer-watch", daemon=True).start()

    def stop(self) -> None:
        """End the writer, and start none any more."""
        self._stopped.set()
        if self._writer is not None:
            self._writer.end()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            if self._failed is not None:
                # Said here: a native thread may not wait for a lock of the log's, which is gevent's.
                self._log.warning("a writer process failed (%s); this process writes instead", self._failed.fault)
                self._failed.end()
                self._failed = None
                self._stopped.wait(AGAIN_S)
            elif self._wanted and self._writer is None:
                self._start_writer()

    def _start_writer(self) -> None:
        begun = time.monotonic()
        try:
            writer = WriterProcess(self._url)
        except OSError as error:  # no process, no memory
            self._log.warning("no writer process can be started (%s); this process goes on writing", error.strerror)
            self._wanted = False
            self._stopped.wait(AGAIN_S)
            return
        if self._blocking(writer.await_ready):
            self._writer = writer
            self._log.info("a writer process appends large groups (started in %.1f s)", time.monotonic() - begun)
        else:
            self._failed, self._wanted = writer, False
