"""The calls that change something at a service, on their way into the audit log: one transaction for all that wait.

The client gets its answer when the entry is on the disk. A database that hangs or is away does not stop the fleet:
after `WAIT_S` the answer is given nevertheless, and the entries wait here, in their order, for the database's return;
whoever ends the process meanwhile loses them, which a proper stop tells. No more than `MAX_WAITING` do: past that
nothing is changed any more that would leave no trace.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from auth_gateway.audit import Event
from shared.errors import Unavailable

MAX_BATCH = 256  # entries in one transaction
MAX_WAITING = 10_000  # some 10 MB
WAIT_S = 5.0  # the longest that an answer is held back; a write that hangs is mostly cut off before
AGAIN_S = 0.5  # from one try to the next while the database is away
STOP_S = 5.0


class _Batch:
    """Entries of one transaction; `done` lets go who waits for it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.done = threading.Event()


class CallLog:
    """`write` appends in one transaction, and blocks its own thread alone; an error means: try again. What was
    cut off may have been written: then it stands twice, under one request id."""

    def __init__(
        self, write: Callable[[Sequence[Event]], None], log: "logging.Logger | logging.LoggerAdapter[Any]"
    ) -> None:
        self._write, self._log = write, log
        self._batches: deque[_Batch] = deque()  # the first may be under way; the last takes more
        self._under_way: _Batch | None = None
        self.waiting = 0  # entries that are not written yet
        self._away = False
        self._lock, self._work, self._stopped = threading.Lock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="call-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, if it can be done, and end the thread."""
        self._stopped.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def require_room(self) -> None:
        """Raises Unavailable when so many entries wait that what is done now could not be remembered."""
        if self.waiting >= MAX_WAITING:
            raise Unavailable("nothing can be changed while the audit log can't be written")

    def add(self, event: Event) -> None:
        """Returns when it is on the disk; after `WAIT_S`, and while the database is known to be away, without that."""
        with self._lock:
            batch = self._batches[-1] if self._batches else None
            if batch is None or batch is self._under_way or len(batch.events) >= MAX_BATCH:
                batch = _Batch()
                self._batches.append(batch)
            batch.events.append(event)
            self.waiting += 1
        self._work.set()
        if not self._away:
            batch.done.wait(WAIT_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._work.wait()
            self._work.clear()
            while self._batches and not self._stopped.is_set():
                if not self._write_first():
                    self._stopped.wait(AGAIN_S)
        while self._batches and self._write_first():
            pass  # the last ones
        if self._batches:
            self._log.error("%d entries of the audit log are lost: the database is away", self.waiting)

    def _write_first(self) -> bool:
        """Write the first batch; whether it could be."""
        with self._lock:
            batch = self._under_way = self._batches[0]
        try:
            self._write(batch.events)
        except Exception as error:  # noqa: BLE001  # whatever it is, the entries are kept and tried again
            if not self._away:
                self._log.warning("the audit log can't be written, its entries wait in memory: %s", error)
            self._let_go()
            return False
        with self._lock:
            self._batches.popleft()
            self._under_way = None
            self.waiting -= len(batch.events)
        batch.done.set()
        if self._away and not self._batches:
            self._away = False
            self._log.warning("the audit log is written again, nothing was lost")
        return True

    def _let_go(self) -> None:
        """Nobody waits any more: it may take long."""
        self._away = True
        with self._lock:
            self._under_way = None
            batches = list(self._batches)
        for batch in batches:
            batch.done.set()
