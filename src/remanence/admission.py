"""Changes that are tried in the shadow before they count: propose, promote, watch, roll back. Each step leaves a record.

A trial copies the store to a temporary file, asks the recorded questions and the probes there before and after the change, and
compares. The live store answers as before all the while; the copy is removed, whatever happens.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from remanence.arguments import place
from remanence.asking import ask
from remanence.calibration import Labelled, read_labels
from remanence.changes import Notes, notes_of, scratch, undo, work
from remanence.cubes import DEFAULT_SPACE, Hits
from remanence.errors import AdmissionError, InputError, UnknownCubeError
from remanence.governance.access import Gate, Operation
from remanence.governance.admission import (
    DEPTH,
    Change,
    Figures,
    Look,
    Pair,
    Thresholds,
    Trial,
    compare,
    judge,
)
from remanence.language.sentences import sentence_spans
from remanence.policies import Clearance
from remanence.questions import query_of, unrecorded
from remanence.rooms import Rooms

Progress = Callable[[int, int], None]

QUESTIONS = 200
"""Recorded questions of a trial, the newest."""


@dataclass(frozen=True, slots=True)
class Watched:
    """How a change that is live does now."""

    trial: Trial
    """With its state after the look."""
    figures: Figures
    reasons: tuple[str, ...]
    """Thresholds that are broken by now; then it was rolled back."""


class Admission:
    """`memory.admission`."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    def propose(
        self, change: Change, probes: str | Path | Iterable[Labelled | Mapping[str, Any]] = (), thresholds: Thresholds | None = None,
        *, space: str = DEFAULT_SPACE, progress: Progress | None = None,
    ) -> Trial:  # fmt: skip
        """Try a change on a copy of the store, and keep the verdict. Nothing changes.

        `probes` are labelled questions as `Memory.calibrate` takes them: a file of JSON Lines, or {"question", "gold"}. The
        questions that were recorded (`Settings.record_questions`) are asked as well. `thresholds` are set before, by you.

        Raises
        ------
        InputError
            The change, a probe or a threshold is none.
        AdmissionError
            The change cannot be tried here.
        """
        self._gate.check(Operation.ADMISSION, space)
        self._rooms.known_space(space)
        thresholds = thresholds or Thresholds()
        asked = self._questions(probes, space)
        with tempfile.TemporaryDirectory(prefix="remanence-trial-") as folder:
            pairs = _both_sides(self._rooms, change, space, asked, Path(folder) / "trial.rem", progress)
        figures = compare(pairs)
        reasons = judge(figures, thresholds)
        now = self._rooms.store.clock()
        trial = Trial(
            secrets.token_hex(6), now, space, change, thresholds, figures, reasons, "rejected" if reasons else "passed",
        )  # fmt: skip
        trial = self._step(trial, "proposed", {"reasons": list(reasons)})
        for one, pair in zip(asked, pairs, strict=True):
            if pair.gold:  # kept as questions, so that a forget reaches them
                filters = {"probe": trial.id, "before": list(pair.before.ids), "seconds": pair.before.seconds}
                self._rooms.store.trusted.record(space, one.question, filters, sorted(pair.gold), now)
        self._rooms.store.trusted.keep_rollout(space, trial.to_json())
        return trial

    def list(self, *, space: str | None = None) -> list[Trial]:
        """All trials, oldest first; those of one space."""
        self._gate.check(Operation.ADMISSION, space)
        return [Trial.from_json(body) for body in self._rooms.store.trusted.rollouts(self._rooms.known_space(space))]

    def show(self, trial_id: str) -> Trial:
        """One trial; AdmissionError if there is none."""
        body = self._rooms.store.trusted.rollout(trial_id) if isinstance(trial_id, str) else None
        if body is None:
            self._gate.check(Operation.ADMISSION, None)  # whether there is one is nobody else's business
            raise AdmissionError(f"There is no trial {trial_id!r}.", "See: remanence admission list")
        trial = Trial.from_json(body)
        self._gate.check(Operation.ADMISSION, trial.space)
        return trial

    def promote(self, trial_id: str, *, force: bool = False) -> Trial:
        """Let a change go live. What was rejected goes live by `force` only, and the record says so.

        A change of the embedder is a `reindex`, one of an extractor reads, one of summaries consolidates: these take their time,
        and calling again goes on where they were cut off.

        Raises
        ------
        AdmissionError
            It was rejected, is live already, or cannot be done.
        """
        trial = self.show(trial_id)
        if trial.status == "promoted" and not trial.restore.get("unfinished"):
            raise AdmissionError(f"The trial {trial.id} is live already.", "See: remanence admission show ID")
        if trial.reasons and not force:
            raise AdmissionError(
                f"The trial {trial.id} was rejected: {'; '.join(trial.reasons)}.", "Try another change."
            )
        if trial.status != "promoted":
            notes = notes_of(self._rooms, trial.change, trial.space)
            before = {name: self._rooms.store.note(name) for name in notes}
            trial = replace(trial, status="promoted", restore={"notes": before, "set": notes, "unfinished": True})
            trial = self._step(trial, "promoted", {"forced": True} if trial.reasons else {})
            self._kept(trial, notes)
        done = work(self._rooms, trial.change, trial.space)
        trial = replace(trial, restore={**trial.restore, **done, "unfinished": False})
        self._kept(trial)
        return trial

    def rollback(self, trial_id: str, reason: str = "asked for") -> Trial:
        """Put back what was before a promotion.

        Raises
        ------
        AdmissionError
            It is not live, or a later change took its place.
        """
        trial = self.show(trial_id)
        if trial.status != "promoted":
            raise AdmissionError(
                f"The trial {trial.id} is not live: it is {trial.status}.", "See: remanence admission list"
            )
        if any(self._rooms.store.note(name) != value for name, value in trial.restore["set"].items()):
            raise AdmissionError("A later change took its place.", "Roll that one back first.")
        trial = self._step(replace(trial, status="rolled back"), "rolled back", {"reason": reason})
        self._kept(trial, trial.restore["notes"])
        undo(self._rooms, trial.change, trial.space, trial.restore, self._gate.name)
        return trial

    def watch(self, *, space: str | None = None) -> Sequence[Watched]:
        """Ask the probes of every change that is live, and roll back what breaks its thresholds by now: the canary.

        Latencies compare with those of the trial. Probes whose memories were corrected or forgotten since are left out; a
        change without probes is not judged.
        """
        found: list[Watched] = []
        for trial in reversed(self.list(space=space)):  # the latest first: it may stand in the way of the others
            if trial.status != "promoted":
                continue
            pairs = self._live(trial)
            if not pairs:
                continue
            figures = compare(pairs)
            reasons = judge(figures, trial.thresholds)
            if reasons:
                trial = self.rollback(trial.id, f"watch: {'; '.join(reasons)}")  # noqa: PLW2901 (the trial as it is now)
            else:
                trial = self._step(trial, "watched", {"figures": figures.to_json()})  # noqa: PLW2901
                self._kept(trial, {})
            found.append(Watched(trial, figures, reasons))
        return found

    def _questions(self, probes: str | Path | Iterable[Labelled | Mapping[str, Any]], space: str) -> Sequence[_Asked]:
        """Recorded questions, and probes with something to find."""
        rows = read_labels(place(probes, "probes")) if isinstance(probes, str | Path) else list(map(_labelled, probes))
        recorded = self._rooms.store.trusted.questions(space, QUESTIONS)
        for row in rows:
            if not row.gold:
                raise InputError(f"The probe {row.question!r} has no gold.", "Name the memories that answer it.")
        return [
            *(_Asked(one.question, one.filters, None) for one in recorded),
            *(_Asked(row.question, {}, row.gold) for row in rows),
        ]

    def _live(self, trial: Trial) -> list[Pair]:
        pairs: list[Pair] = []
        for one in self._rooms.store.trusted.probes(trial.space, trial.id):
            gold = frozenset(cube_id for cube_id in one.ids if self._is_current(cube_id, trial.space))
            if gold:
                asked = _Asked(one.question, {}, None)
                before = Look(tuple(one.filters["before"]), float(one.filters["seconds"]))
                pairs.append(Pair(gold, before, _look(self._rooms, asked, trial.space)))
        return pairs

    def _is_current(self, cube_id: str, space: str) -> bool:
        try:
            return self._rooms.store.get(cube_id, space).superseded_at is None
        except UnknownCubeError:
            return False

    def _step(self, trial: Trial, step: str, more: Mapping[str, Any]) -> Trial:
        at = self._rooms.store.clock().isoformat()
        return replace(trial, steps=(*trial.steps, {"at": at, "by": self._gate.name, "step": step, **more}))

    def _kept(self, trial: Trial, notes: Notes | None = None) -> None:
        self._rooms.store.trusted.keep_rollout(trial.space, trial.to_json(), notes)
        if notes:
            self._rooms.refresh()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question of a trial."""

    question: str
    filters: Mapping[str, Any]
    gold: frozenset[str] | None


def _labelled(row: Labelled | Mapping[str, Any]) -> Labelled:
    if isinstance(row, Labelled):
        return row
    try:
        question, gold = row["question"], row["gold"]
        if isinstance(question, str) and not isinstance(gold, str) and all(isinstance(one, str) for one in gold):
            return Labelled(question, frozenset(gold))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{row!r} is no probe: {error}.", 'Pass {"question": "…", "gold": ["id of a memory", …]}.'
        ) from error
    raise InputError(f"{row!r} is no probe.", 'Pass {"question": "…", "gold": ["id of a memory", …]}.')


def _both_sides(
    rooms: Rooms, change: Change, space: str, asked: Sequence[_Asked], path: Path, progress: Progress | None
) -> list[Pair]:
    """Ask everything on a copy, before and after the change."""
    notes = notes_of(rooms, change, space)
    total, done = 2 * len(asked), 0

    def looks(on: Rooms) -> list[Look]:
        nonlocal done
        found: list[Look] = []
        if asked:
            _look(on, replace(asked[0], gold=None), space)  # indexes load, weights are read: nobody's latency
        for one in asked:
            found.append(_look(on, one, space))
            done += 1
            if progress:
                progress(done, total)
        return found

    copy = scratch(rooms, str(path))
    try:
        before = looks(copy)
        copy.store.trusted.keep_rollout(space, {"id": "trial"}, notes)
        copy.refresh()
        work(copy, change, space)
        after = looks(copy)
    finally:
        copy.close()
    return [Pair(one.gold, first, second) for one, first, second in zip(asked, before, after, strict=True)]


def _look(rooms: Rooms, asked: _Asked, space: str) -> Look:
    """Ask one question; a probe is answered as well, by extraction."""
    now: datetime = rooms.store.clock()

    def recall(question: str, *, k: int = DEPTH, **where: Any) -> Hits:
        filters = {
            name: value for name, value in where.items() if name in {"kinds", "current", "route"} and value is not None
        }
        query = query_of(question, space, {**asked.filters, **filters}, k, now)
        return rooms.recall(query, rooms.encoding.question)

    def past_the_gate(_: Clearance | None, question: str, /, **filters: Any) -> Hits:
        return recall(question, **filters)

    times: list[float] = []
    hits = Hits()
    with unrecorded(rooms.quiet):
        for _ in range(3):
            started = time.perf_counter()
            hits = recall(asked.question)
            times.append(time.perf_counter() - started)
        look = Look(tuple(hit.cube.id for hit in hits[:DEPTH]), statistics.median(times))
        if asked.gold is None:
            return look
        found = ask(
            rooms, Gate(rooms.store, None, "off"), past_the_gate, asked.question, k=DEPTH, method="extractive", budget=None,
            space=space,
        )  # fmt: skip
    cited = len({citation.sentence for citation in found.citations})
    sentences = 0 if found.abstained else max(len(sentence_spans(found.text)), cited)
    return replace(look, sentences=sentences, cited=cited, citations=len(found.citations), removed=found.removed)
