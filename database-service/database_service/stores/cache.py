"""The newest rows in Redis, for `DB_ENABLED=false`: they outlive a restart of the service, and Redis going away.

Memory answers everything; Redis is told of each change before the call returns. While Redis is away nothing is lost to
this process; when it is back it gets the whole again. At the first contact its rows are taken in.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import orjson
from msgspec import structs

from database_service.batches import Batch
from database_service.idempotency import KeptAnswer, Verdict
from database_service.performance import StoredTrade, TradeFilter, Trades, TradeSubmission
from database_service.signals import Cursor, Page, Portion, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts, Source
from database_service.stores.memory import KINDS, MAX_ROWS, Kind, MemoryStore, Row
from database_service.user_settings import SavedSettings
from shared.clock import parse_time
from shared.errors import Unavailable

PREFIX = "fleet:database:"
PORTION = 1000  # rows in one command
Changes = Mapping[Kind, Mapping[str, Row | None]]


class Run(Protocol):
    """RedisCache.run, as far as it is used here."""

    def __call__(self, operation: Callable[[Any], None]) -> None:
        """Call `operation` with the client. Raises Unavailable."""
        ...


class CacheStore:
    """See `storage.Store`. `run` is RedisCache.run: it raises Unavailable, and at once while Redis is known away."""

    durable = False

    def __init__(self, run: Run, prefix: str = PREFIX, max_rows: int = MAX_ROWS):
        self._run, self._prefix = run, prefix
        self._memory = MemoryStore(max_rows, self._note)
        self._lock = threading.RLock()
        self._noting = threading.Lock()
        self._changes: dict[Kind, dict[str, Row | None]] = {kind: {} for kind in KINDS}
        self._joined = False  # have the rows in Redis been taken in?
        self._in_step = False  # does Redis hold what memory holds, pending changes aside?

    @property
    def source(self) -> Source:
        """See `Store.source`: memory while Redis is away."""
        return "cache" if self._in_step else "memory"

    def counts(self) -> Counts:
        """See `Store.counts`."""
        return self._memory.counts()

    def probe(self) -> None:
        """See `Store.probe`; also finds Redis again. Its absence is no failure: memory answers."""
        self._sync(probe=True)

    def close(self) -> None:
        """Tell Redis what it may have missed."""
        self._sync()

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:
        """See `SignalStore.append`."""
        self._join()
        verdicts = self._memory.append(submissions, now)
        self._sync()
        return verdicts

    def append_batch(self, batch: Batch, now: datetime) -> str:
        """See `Store.append_batch`."""
        self._join()
        answer = self._memory.append_batch(batch, now)
        self._sync()
        return answer

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        self._join()
        return self._memory.get(signal_id)

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`."""
        self._join()
        return self._memory.history(wanted, limit, after)

    def portion(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Portion:
        """See `SignalStore.portion`."""
        return Portion.of(self.history, wanted, limit, after)

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:
        """See `TradeStore.track`."""
        self._join()
        verdicts = self._memory.track(submissions, now)
        self._sync()
        return verdicts

    def trades(self, wanted: TradeFilter) -> Trades:
        """See `TradeStore.trades`."""
        self._join()
        return self._memory.trades(wanted)

    def settings(self, user: str) -> SavedSettings | None:
        """See `SettingsStore.settings`."""
        self._join()
        return self._memory.settings(user)

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:
        """See `SettingsStore.save_settings`."""
        self._join()
        saved = self._memory.save_settings(user, read, document, now)
        self._sync()
        return saved

    # --- keeping Redis in step

    def _note(self, kind: Kind, name: str, row: Row | None) -> None:
        if self._in_step:  # else the whole will be sent, and noting what changed would grow without bound
            with self._noting:
                self._changes[kind][name] = row

    def _join(self) -> None:
        if not self._joined:
            self._sync()

    def _sync(self, probe: bool = False) -> None:
        """Bring Redis to where memory is; if it is away, remember that it needs the whole."""
        with self._lock:
            try:
                if not self._in_step:
                    self._run(self._send_whole)
                elif probe or any(self._changes.values()):
                    changes = self._take_changes()
                    self._run(lambda client: self._send(client, changes))
            except Unavailable:
                self._in_step = False
                self._take_changes()

    def _send_whole(self, client: Any) -> None:
        if not self._joined:
            self._memory.put_before(self._load(client))
            self._joined = True
        self._in_step = True  # before the copy is made: what changes from here on is noted
        self._send(client, self._memory.rows(), clear=True)

    def _take_changes(self) -> Changes:
        with self._noting:
            taken, self._changes = self._changes, {kind: {} for kind in KINDS}
        return taken

    def _send(self, client: Any, changes: Changes, clear: bool = False) -> None:
        pipe = client.pipeline(transaction=True)
        for kind in KINDS:
            name = self._prefix + kind
            if clear:
                pipe.delete(name)
            put = [(field, _encode(row)) for field, row in changes[kind].items() if row is not None]
            for begin in range(0, len(put), PORTION):
                pipe.hset(name, mapping=dict(put[begin : begin + PORTION]))
            gone = [field for field, row in changes[kind].items() if row is None]
            for begin in range(0, len(gone), PORTION):
                pipe.hdel(name, *gone[begin : begin + PORTION])
        pipe.ping()
        pipe.execute()

    def _load(self, client: Any) -> dict[Kind, dict[str, Row]]:
        return {
            kind: {
                _text(field): row
                for field, text in client.hgetall(self._prefix + kind).items()
                if (row := _decode(kind, text)) is not None
            }
            for kind in KINDS
        }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _encode(row: Row) -> bytes:
    return orjson.dumps([row.number, row.value], default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, StoredSignal):
        return structs.asdict(value)
    return str(value) if isinstance(value, Decimal) else value._asdict()


def _decode(kind: Kind, text: bytes | str) -> Row | None:
    """A row as it was encoded; None for what is no row of this version (another program's, an older format)."""
    try:
        number, fields = orjson.loads(text)
        return Row(int(number), _VALUES[kind](fields))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, ArithmeticError):
        return None


def _signal(fields: dict[str, Any]) -> StoredSignal:
    return StoredSignal(**{**fields, "timestamp": parse_time(fields["timestamp"])})


def _trade(fields: dict[str, Any]) -> StoredTrade:
    return StoredTrade(**{**fields, "closed_at": parse_time(fields["closed_at"]), "pnl": Decimal(fields["pnl"])})


_VALUES: dict[Kind, Callable[[dict[str, Any]], Any]] = {
    "signals": _signal,
    "performance": _trade,
    "settings": lambda fields: SavedSettings(**fields),
    "keys": lambda fields: KeptAnswer(**fields),
}
