"""The keys that this process acknowledged in the last day, in the spool's file beside those of what waits there.

A retry that meets an outage is so answered like the first time. They are noted in memory as the database acknowledges
them and written down twice a second, and before the first row of an outage is judged: only a crash of this process
within that half second, and an outage of the database at once, find a key forgotten here.
"""

from collections import deque

import sqlalchemy as sa

from database_service.idempotency import KEEP, KeptAnswer, KeyName
from database_service.stores.schema import idempotency_keys
from shared.clock import EPOCH, MICROSECOND, Clock
from shared.sql.connections import Connections

MAX_NOTED = 100_000  # not yet written down: some seconds at full speed
MAX_KEPT = 5_000_000  # in the file, some 1 GB: a day at 58 keyed requests a second; past that the oldest leave early
MAX_LEAVING = 10_000  # at a time, so that nobody waits long
COUNT_EVERY_S = 3600.0  # the spool itself adds keys to the file, and removes old ones, which is not counted here
# By hand: twelve thousand in half a second would take SQLAlchemy's own way three times as long.
INSERT = "INSERT OR IGNORE INTO idempotency_keys (route, key, body_hash, answer, created_at) VALUES (?, ?, ?, ?, ?)"


class KeptKeys:
    """`note` is called by the thread that writes, `write_down` by whichever."""

    def __init__(self, connections: Connections, clock: Clock):
        self._connections, self._clock = connections, clock
        self._noted: deque[tuple[KeyName, KeptAnswer]] = deque(maxlen=MAX_NOTED)
        self._count, self._counted_at = 0, float("-inf")

    def note(self, name: KeyName, answer: KeptAnswer) -> None:
        """The database keeps this answer."""
        self._noted.append((name, answer))

    def write_down(self) -> None:
        """Write what was noted into the file, in one transaction, and forget what is too old. Raises Unavailable."""
        if not self._noted:
            return
        taken: list[tuple[KeyName, KeptAnswer]] = []
        try:
            self._count = self._connections.transact(lambda link: self._write(link, taken))
        except BaseException:
            self._counted_at = float("-inf")  # what was counted in there is lost
            self._noted.extendleft(reversed(taken))
            raise

    def _write(self, link: sa.Connection, taken: list[tuple[KeyName, KeptAnswer]]) -> int:
        """How many keys the file then holds."""
        # Taken inside: whoever comes next waits for this transaction, and then finds each here or still noted.
        while self._noted and len(taken) < MAX_NOTED:
            taken.append(self._noted.popleft())
        now = self._clock.now()
        moment = (now - EPOCH) // MICROSECOND
        before = self._counted(link)
        waiting = link.exec_driver_sql("SELECT coalesce(max(number), 0) FROM waiting_keys").scalar_one()
        added = link.exec_driver_sql(INSERT, [(*name, *answer, moment) for name, answer in taken]).rowcount
        link.exec_driver_sql("DELETE FROM waiting_keys WHERE number > ?", (waiting,))  # the database has these
        too_old = link.execute(sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEEP)).rowcount
        held: int = before + added - too_old
        return held - self._forget_oldest(link, min(held - MAX_KEPT, MAX_LEAVING))

    def _counted(self, link: sa.Connection) -> int:
        now = self._clock.monotonic()
        if now - self._counted_at < COUNT_EVERY_S:
            return self._count
        self._counted_at = now
        return link.scalar(sa.select(sa.func.count()).select_from(idempotency_keys)) or 0

    def _forget_oldest(self, link: sa.Connection, excess: int) -> int:
        if excess <= 0:
            return 0
        t = idempotency_keys.c
        oldest = sa.select(t.route, t.key).order_by(t.created_at).limit(excess)
        return link.execute(sa.delete(idempotency_keys).where(sa.tuple_(t.route, t.key).in_(oldest))).rowcount
