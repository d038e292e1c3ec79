"""Admitting signals: which of a list are new, which are repeats, and under which ids they are stored.

Pure: a store looks up the names and keys that are asked for, lets this decide, and writes what came out, all in one
transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from database_service.idempotency import KeptAnswer, KeyName, Verdict, replay
from database_service.signals import Content, NewSignal, StoredSignal, Submission, content_of, stored
from shared.errors import InvalidInput

MAX_AT_PLACE = 30_000  # ids; to compare with so many takes 0.15 s of every group that touches the place
NONE_BESIDE: Mapping[str, Content] = {}


@dataclass(slots=True)
class _Spot:
    """What is known of one place: the ids there by content, and the next ordinal that may be free."""

    ids: dict[str, str] = field(default_factory=dict)
    ordinal: int = 1


def names_asked(submissions: Iterable[Submission]) -> list[str]:
    """The id that each wants, whose presence decides; where a place is taken, its `~n` neighbours count too."""
    return [submission.signal.wanted_id for submission in submissions]


def neighbours(place: str) -> tuple[str, str]:
    """The range [from, to) of byte-ordered ids that holds every `place~n`."""
    return f"{place}~", f"{place}\x7f"  # \x7f is the character after '~'


class Admission:
    """One transaction's worth of signals. Read `verdicts`, `signals` (new ones) and `answers` (new keys) at the end.

    `kept` are the known keys, `taken` the JSON texts of the signals under the names that were asked for, `beside` what
    the `~n` of places that are taken say. A free name is the rule and the hot path: contents are only worked out and
    compared where a name is taken. At a `crowded` place nothing new gets a name of ours.
    """

    def __init__(
        self,
        kept: Mapping[KeyName, KeptAnswer],
        taken: Mapping[str, str],
        beside: Mapping[str, Content] = NONE_BESIDE,
        crowded: Collection[str] = (),
    ):
        self.verdicts: list[Verdict] = []
        self.signals: list[StoredSignal] = []
        self.answers: dict[KeyName, KeptAnswer] = {}
        self._kept, self._taken, self._beside, self._crowded = kept, taken, beside, crowded
        self._added: dict[str, StoredSignal] = {}  # to what is taken
        self._spots: dict[str, _Spot] = {}

    def add_all(self, submissions: Sequence[Submission], names: Sequence[str]) -> "Admission":
        """Decide about each, in order; later ones see the earlier ones. `names` are those of `names_asked`."""
        for submission, name in zip(submissions, names, strict=True):
            self.verdicts.append(self._decide(submission, name))
        return self

    def _decide(self, submission: Submission, name: str) -> Verdict:
        key, signal = submission.key, submission.signal
        if key is not None and (kept := self.answers.get(key.name) or self._kept.get(key.name)) is not None:
            return replay(key, kept)
        verdict = self._place(signal, name) if signal.signal_id is None else self._name(signal, name)
        if key is not None and verdict.error is None:
            self.answers[key.name] = KeptAnswer(key.body_hash, verdict.id)
        return verdict

    def _name(self, signal: NewSignal, signal_id: str) -> Verdict:
        """A client's own id is kept, or refused."""
        there = self._content(signal_id)
        if there is None:
            return self._store(signal, signal_id)
        if there.same_as(signal):
            return Verdict("duplicate", signal_id)
        return Verdict("refused", error=InvalidInput.field("signal_id", "already names a different signal"))

    def _place(self, signal: NewSignal, place: str) -> Verdict:
        """The first free name at the signal's place, unless the signal is there already."""
        if place not in self._added and place not in self._taken:
            return self._store(signal, place)
        spot = self._spots.setdefault(place, _Spot())
        while (there := self._content(name := _ordinal_name(place, spot.ordinal))) is not None:
            if there.timestamp == signal.timestamp:
                spot.ids.setdefault(there.digest, name)
            spot.ordinal += 1
        if (same := spot.ids.get(signal.digest())) is not None:
            return Verdict("duplicate", same)
        if place in self._crowded:
            full = f"{MAX_AT_PLACE:,} signals of this symbol have it already; give another, or a signal_id"
            return Verdict("refused", error=InvalidInput.field("timestamp", full))
        return self._store(signal, name)

    def _content(self, signal_id: str) -> Content | None:
        if (row := self._added.get(signal_id)) is not None:
            return Content(row.digest, row.timestamp) if row.digest else content_of(row.document)
        if (beside := self._beside.get(signal_id)) is not None:
            return beside
        return content_of(self._taken[signal_id]) if signal_id in self._taken else None

    def _store(self, signal: NewSignal, signal_id: str) -> Verdict:
        row = stored(signal, signal_id)
        self._added[signal_id] = row
        self.signals.append(row)
        return Verdict("stored", signal_id)


def _ordinal_name(place: str, ordinal: int) -> str:
    return place if ordinal == 1 else f"{place}~{ordinal}"
