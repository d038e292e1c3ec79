"""Everything in this process: the newest rows, gone when it ends. For `DB_ENABLED=false`, and under the Redis store."""

import threading
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from database_service.admission import Admission, names_asked
from database_service.batches import Batch
from database_service.idempotency import KeptAnswer, KeyName, Verdict, answer_again, replay
from database_service.performance import StoredTrade, TradeFilter, Trades, TradeSubmission
from database_service.signals import Content, Cursor, Page, Portion, SignalFilter, StoredSignal, Submission
from database_service.storage import Counts, Source
from database_service.user_settings import SavedSettings, next_version

MAX_ROWS = 10_000  # the contract's "newest 10,000"; the same for trades and users
MAX_KEYS = 100_000  # a day at 69 keyed requests a minute
Kind = Literal["signals", "performance", "settings", "keys"]
KINDS: tuple[Kind, ...] = ("signals", "performance", "settings", "keys")


class Row(NamedTuple):
    """A stored value and the number that says when it came."""

    number: int
    value: Any


OnChange = Callable[[Kind, str, Row | None], None]


class MemoryStore:
    """See `storage.Store`. The rows that came first leave first, so what was just saved can always be read.

    `on_change(kind, name, row)` hears of each row put (or removed: None), under the store's lock.
    """

    durable = False

    def __init__(self, max_rows: int = MAX_ROWS, on_change: OnChange = lambda *_: None):
        self._bounds = defaultdict(lambda: max_rows, keys=MAX_KEYS)
        self._on_change = on_change
        self._lock = threading.RLock()
        self._number = 0
        self._rows: dict[Kind, dict[str, Row]] = {kind: {} for kind in KINDS}
        # What is derived from the rows, kept in step by _put and _remove:
        self._order: list[tuple[datetime, int, str]] = []  # signals by time, then number; history reads from the end
        self._documents: dict[str, str] = {}
        self._contents: dict[str, Content] = {}  # of those that have a digest
        self._kept: dict[KeyName, KeptAnswer] = {}

    @property
    def source(self) -> Source:
        """See `Store.source`."""
        return "memory"

    def counts(self) -> Counts:
        """See `Store.counts`."""
        return Counts(len(self._rows["signals"]), len(self._rows["performance"]))

    def probe(self) -> None:
        """See `Store.probe`: memory is always there."""

    def close(self) -> None:
        """See `Store.close`: nothing is held."""

    # --- signals

    def _admit(self, submissions: Sequence[Submission]) -> Admission:
        return Admission(self._kept, self._documents, self._contents).add_all(submissions, names_asked(submissions))

    def append(self, submissions: Sequence[Submission], now: datetime) -> list[Verdict]:  # noqa: ARG002  # memory bounds keys by number
        """See `SignalStore.append`."""
        with self._lock:
            admission = self._admit(submissions)
            self._take_in(admission)
            return admission.verdicts

    def append_batch(self, batch: Batch, now: datetime) -> str:  # noqa: ARG002  # as above
        """See `Store.append_batch`."""
        with self._lock:
            if batch.key is not None and (kept := self._kept.get(batch.key.name)) is not None:
                return answer_again(batch.key, kept)
            admission = self._admit(batch.submissions())
            answer = batch.conclude(admission.verdicts)
            self._take_in(admission)
            if batch.key is not None:
                self._keep({batch.key.name: KeptAnswer(batch.key.body_hash, answer)})
            return answer

    def _take_in(self, admission: Admission) -> None:
        for signal in admission.signals:
            self._put("signals", signal.signal_id, signal)
        self._keep(admission.answers)

    def get(self, signal_id: str) -> str | None:
        """See `SignalStore.get`."""
        row = self._rows["signals"].get(signal_id)
        return row and row.value.document

    def history(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Page:
        """See `SignalStore.history`."""
        found: list[tuple[Cursor, StoredSignal]] = []
        with self._lock:
            begin = len(self._order) if after is None else bisect_left(self._order, (*after, ""))
            for at in range(begin - 1, -1, -1):
                timestamp, number, signal_id = self._order[at]
                signal = self._rows["signals"][signal_id].value
                if wanted.admits(signal):
                    found.append((Cursor(timestamp, number), signal))
                    if len(found) > limit:
                        break
        more = len(found) > limit
        return Page([signal.document for _, signal in found[:limit]], found[limit - 1][0] if more else None)

    def portion(self, wanted: SignalFilter, limit: int, after: Cursor | None = None) -> Portion:
        """See `SignalStore.portion`."""
        return Portion.of(self.history, wanted, limit, after)

    # --- performance

    def track(self, submissions: Sequence[TradeSubmission], now: datetime) -> list[Verdict]:  # noqa: ARG002  # memory bounds keys by number
        """See `TradeStore.track`."""
        with self._lock:
            return [self._track(submission) for submission in submissions]

    def _track(self, submission: TradeSubmission) -> Verdict:
        key, trade = submission.key, submission.trade.stored()
        if key is not None and (kept := self._kept.get(key.name)) is not None:
            return replay(key, kept)
        self._put("performance", trade.performance_id, trade)
        if key is not None:
            self._keep({key.name: KeptAnswer(key.body_hash, trade.performance_id)})
        return Verdict("stored", trade.performance_id)

    def trades(self, wanted: TradeFilter) -> Trades:
        """See `TradeStore.trades`."""
        with self._lock:
            rows = sorted(self._rows["performance"].values(), key=_closing)
        return Trades(row.value.line for row in rows if wanted.admits(row.value))

    # --- settings

    def settings(self, user: str) -> SavedSettings | None:
        """See `SettingsStore.settings`."""
        row = self._rows["settings"].get(user)
        return row and row.value

    def save_settings(self, user: str, read: int, document: str, now: datetime) -> SavedSettings:  # noqa: ARG002  # no reader of it here
        """See `SettingsStore.save_settings`."""
        with self._lock:
            saved = self.settings(user)
            new = SavedSettings(next_version(saved.version if saved else 0, read), document)
            self._put("settings", user, new)
            return new

    # --- rows

    def rows(self) -> dict[Kind, dict[str, Row]]:
        """A copy of everything."""
        with self._lock:
            return {kind: dict(rows) for kind, rows in self._rows.items()}

    def put_before(self, older: Mapping[Kind, Mapping[str, Row]]) -> None:
        """Take in rows that came before everything held here; where both have a name, the one here stays."""
        with self._lock:
            newer = self.rows()
            for kind in KINDS:
                for name in list(self._rows[kind]):
                    self._remove(kind, name)
            for source in (older, newer):
                every = [(row.number, kind, name, row.value) for kind in KINDS for name, row in source[kind].items()]
                for _, kind, name, value in sorted(every, key=lambda one: one[0]):
                    self._put(kind, name, value)

    def _keep(self, answers: Mapping[KeyName, KeptAnswer]) -> None:
        for name, kept in answers.items():
            self._put("keys", "\n".join(name), kept)

    def _put(self, kind: Kind, name: str, value: Any) -> None:
        """Add or replace a row as the newest; the oldest leaves if there are too many."""
        if name in self._rows[kind]:
            self._remove(kind, name)
        self._number += 1
        row = self._rows[kind][name] = Row(self._number, value)
        if kind == "signals":
            insort(self._order, (value.timestamp, row.number, name))
            self._documents[name] = value.document
            if value.digest:
                self._contents[name] = Content(value.digest, value.timestamp)
        if kind == "keys":
            self._kept[_key_name(name)] = value
        self._on_change(kind, name, row)
        if len(self._rows[kind]) > self._bounds[kind]:
            self._remove(kind, next(iter(self._rows[kind])))

    def _remove(self, kind: Kind, name: str) -> None:
        row = self._rows[kind].pop(name)
        if kind == "signals":
            del self._order[bisect_left(self._order, (row.value.timestamp, row.number, name))]
            del self._documents[name]
            self._contents.pop(name, None)
        if kind == "keys":
            del self._kept[_key_name(name)]
        self._on_change(kind, name, None)


def _key_name(name: str) -> KeyName:
    route, _, text = name.partition("\n")
    return KeyName(route, text)


def _closing(row: Row) -> tuple[datetime, int]:
    trade: StoredTrade = row.value
    return trade.closed_at, row.number
