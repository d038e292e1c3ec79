"""Batches: many signals in one request, with a verdict for each row, or all of them or none."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from database_service.idempotency import Key, Verdict
from database_service.signals import NewSignal, Submission
from shared.errors import Detail, FleetError, InvalidInput, Unavailable

MAX_ROWS = 10_000
ROUTE = "/signals/batch"  # of a batch's key
MAX_WAITING_ROWS = 4 * MAX_ROWS  # of all batches, the one that is written included: four may be 10 MB each, decoded
RETRY_S = 2.0  # for the others; a batch takes up to a second
MAX_DETAILS = 20  # wrong fields named in the error of a whole batch; the results name them all


class Turns:
    """Batches take turns, so that between two of them those who save single rows get theirs; few may wait."""

    def __init__(self) -> None:
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._rows = 0

    @contextmanager
    def take(self, rows: int) -> Iterator[None]:
        """Around a batch, from its decoding until it is written. Raises Unavailable: too many rows wait already."""
        with self._lock:
            if self._rows + rows > MAX_WAITING_ROWS:
                reason = f"{self._rows:,} rows of other batches are being stored; nothing of this one was"
                raise Unavailable(reason, retry_after_s=RETRY_S)
            self._rows += rows
        try:
            with self._turn:
                yield
        finally:
            with self._lock:
                self._rows -= rows


class BatchRefused(InvalidInput):
    """A batch that was to be stored as a whole holds a bad row: nothing is stored. `counts` as in an answer."""

    def __init__(self, counts: dict[str, Any]):
        self.counts = counts
        details: list[Detail] = []
        for result in counts["results"]:
            if result["status"] == "refused":
                wrong = result["error"]["details"] or [{"field": "row", "message": result["error"]["message"]}]
                details += [
                    {"field": f"{result['index']}.{one['field']}", "message": one["message"]} for one in wrong
                ]
        super().__init__(f"nothing is stored: {counts['refused']} rows are refused", details=details[:MAX_DETAILS])


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows as they came: a signal, or what is wrong with it. `key` is of the whole; `atomic`: all or none."""

    rows: Sequence[NewSignal | FleetError]
    key: Key | None = None
    atomic: bool = False

    def submissions(self) -> list[Submission]:
        """The rows that a store is to decide about, in order."""
        return [Submission(row) for row in self.rows if isinstance(row, NewSignal)]

    def conclude(self, verdicts: Sequence[Verdict]) -> str:
        """The answer's JSON text, given the store's verdicts on `submissions()`.

        Raises BatchRefused where one bad row spoils the whole: called inside the store's transaction, it undoes it.
        """
        if len(verdicts) == len(self.rows) and all(verdict.error is None for verdict in verdicts):
            return _plain_answer(verdicts)
        counts = self._counts(verdicts)
        if self.atomic and counts["refused"]:
            raise BatchRefused(_undone(counts))
        return orjson.dumps(counts).decode()

    def _counts(self, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        decided = iter(verdicts)
        rows = (Verdict("refused", error=row) if isinstance(row, FleetError) else next(decided) for row in self.rows)
        results = [_result(index, verdict) for index, verdict in enumerate(rows)]
        statuses = [result["status"] for result in results]
        numbers = {name: statuses.count(status) for name, status in COUNTED.items()}
        return {**numbers, "results": results}


def _plain_answer(verdicts: Sequence[Verdict]) -> str:
    """The answer's text where nothing is refused, at a quarter of the time: no id holds what JSON has to escape."""
    results = ",".join(
        [f'{{"index":{i},"status":"{v.status}","signal_id":"{v.id}"}}' for i, v in enumerate(verdicts)]
    )
    statuses = [verdict.status for verdict in verdicts]
    return (
        f'{{"stored":{statuses.count("stored")},"duplicates":{statuses.count("duplicate")},"refused":0,'
        f'"results":[{results}]}}'
    )


def ids_of(answer: str) -> set[str]:
    """The signals that an answer's JSON text says are stored, be it by an earlier request."""
    return {result["signal_id"] for result in orjson.loads(answer)["results"] if "signal_id" in result}


COUNTED = {"stored": "stored", "duplicates": "duplicate", "refused": "refused"}


def _result(index: int, verdict: Verdict) -> dict[str, Any]:
    if verdict.error is None:
        return {"index": index, "status": verdict.status, "signal_id": verdict.id}
    error = {"code": verdict.error.code, "message": verdict.error.message, "details": verdict.error.details}
    return {"index": index, "status": "refused", "error": error}


def _undone(counts: dict[str, Any]) -> dict[str, Any]:
    """The same rows where nothing was stored: ids that were given to none are no ids."""
    results = [
        {"index": result["index"], "status": "not_stored"} if result["status"] == "stored" else result
        for result in counts["results"]
    ]
    return {**counts, "stored": 0, "results": results}
