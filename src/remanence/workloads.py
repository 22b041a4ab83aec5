"""Workloads of a space, read off the store: what models read together and how often, how long it is, and how often it changes.

Also which caches and adapters stand for it, and what the jobs that made them have taught.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from remanence.cubes import Form, Kind, MemCube, State, posix
from remanence.errors import UnknownCubeError
from remanence.language.slots import disputed, resolve
from remanence.policies import Clearance
from remanence.rooms import Rooms
from remanence.scheduling.cost import Machine, Terms, Workload, corrections_per_day, reads_per_day, trained
from remanence.scheduling.grouping import Read, together
from remanence.store.jobs import Job, Jobs, JobState
from remanence.store.protocol import Store

if TYPE_CHECKING:
    from remanence.models.local.causal import CausalLM

MOST = 5000
"""Memories that are looked at, those that were read most."""
CACHE_BYTES = 2
"""Of a number in a cache: half precision, as caches are derived."""
DERIVE, DROP = "derive", "drop"
UNDONE = 5
"""Failures that an undone job counts as: what somebody took back rests for thirty-two times as long."""
_DAY = 86_400.0
_TRIED = 1.0  # days after which an artefact that was never used is known not to be
_KNOWN = 8  # memories, of which one can say what is usual
_JOBS = 10_000
_DERIVED = {Kind.CACHE, Kind.ADAPTER}


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model says of memories: how many tokens each has, what stands before them, and its fingerprint."""

    tokens: Callable[[MemCube], int]
    head: int
    """Tokens before the memories: part of every cache."""
    fingerprint: Mapping[str, str]
    bytes_per_number: int
    """Of what the model computes in."""
    anywhere: bool = False
    """Whether caches serve anywhere in a prompt: `Settings.composition` is not exact."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """All that a decision about a space needs."""

    works: tuple[Workload, ...]
    terms: Terms
    """As they were given, with what was learned from the jobs of this store."""
    quota: int
    """Bytes for the files of these workloads: what the settings give, without what others take."""
    elsewhere: int
    """Bytes that others take: other spaces, other models."""


def survey(
    store: Store, jobs: Jobs, space: str, measured: Measured, machine: Machine, terms: Terms,
    clearance: Clearance | None = None,
) -> Surveyed:  # fmt: skip
    """The workloads of a space: groups of memories that models read together, and all that caches and adapters were made of.

    A memory that was never read, and that nothing was made of, stays text and is not looked at.
    """
    return _Survey(store, jobs, space, measured, machine, terms, clearance).surveyed()


def measured(rooms: Rooms, lm: CausalLM, *, again: bool = False) -> Machine:
    """The measures of this machine with a model: those that the store keeps, or new ones."""
    from remanence.models.local.measure import machine_digest, measure, model_digest

    with rooms.shelf.using((), lm):  # the base, whatever adapters answered last
        note = f"cost/{model_digest(lm)}/{machine_digest(lm)}"
        kept = None if again else rooms.store.note(note)
        if kept is not None:
            try:
                return Machine.from_json(json.loads(kept))
            except (ValueError, TypeError):  # of another release, or damaged: measured anew
                pass
        embed = rooms.encoding.documents if rooms.store.note("embedder") else None
        with rooms.store.payloads.partial() as path:
            machine = Machine(**measure(lm, path.parent, embed))
        rooms.store.set_note(note, json.dumps(machine.to_json()))
    return machine


def tokens_of(rooms: Rooms, lm: CausalLM) -> Measured:
    """Tokens as prompts hold them: `activation.layout`."""
    from remanence.activation.layout import frame_of, head_of, memory_parts

    frame = frame_of(lm)

    def tokens(cube: MemCube) -> int:
        return sum(len(part.ids) for part in memory_parts([cube], lm, frame))

    head = len(head_of(lm, frame).ids)
    with rooms.shelf.using((), lm):  # what is derived is derived of the base
        fingerprint = lm.fingerprint.to_json()
    return Measured(tokens, head, fingerprint, lm.dtype.itemsize, anywhere=composes(rooms))


def composes(rooms: Rooms) -> bool:
    """Whether answers take caches of single memories wherever they stand."""
    return rooms.settings.composition != "exact"


class _Survey:
    def __init__(
        self, store: Store, jobs: Jobs, space: str, measured: Measured, machine: Machine, terms: Terms,
        clearance: Clearance | None,
    ) -> None:  # fmt: skip
        self._store, self._measured, self._machine, self._clearance = store, measured, machine, clearance
        self._now = store.clock()
        self._jobs = jobs.list(space, limit=_JOBS)
        everything = store.payloads.of(space, clearance=clearance)
        self._artefacts = [one for one in everything if _fingerprint(one) == dict(measured.fingerprint)]
        self._reads = {one: Read(*row) for one, row in store.payloads.reads(space).items()}
        self._cubes = self._fetched(space)
        self._tokens = {one: measured.tokens(cube) for one, cube in self._cubes.items()}
        self._versions = {one: self._corrected(cube) for one, cube in self._cubes.items()}
        self._own = {job.artefact for job in self._jobs if job.artefact is not None and _made(job)}
        sizes = [_size(one) for one in self._artefacts if one.form is Form.PARAMETRIC]
        self._adapter_bytes = int(median(sizes)) if sizes else machine.adapter_bytes
        self._terms = self._learned(terms)
        self._base = sum(n for n, _ in self._versions.values()) / (1 + sum(age for _, age in self._versions.values()))
        self._usual = self._usually()
        stated = store.derived.claims_beside(space, list(self._cubes), clearance)
        self._clear = {one.cube_id for one in stated}
        pairs = disputed(resolve(stated))
        self._disputed = {side.cube_id for pair in pairs for side in (pair.first, pair.second)}

    def surveyed(self) -> Surveyed:
        groups = self._groups()
        works = tuple(self._work(group, made) for group, made in groups)
        mine = sum(_size(one) for _, made in groups for one in made)
        elsewhere = self._store.counts()["payload_bytes"] - mine
        return Surveyed(works, self._terms, max(0, self._store.payloads.quota - elsewhere), elsewhere)

    def _fetched(self, space: str) -> dict[str, MemCube]:
        """Current texts by id, in the order of writing: those that artefacts are made of, and those that were read most."""
        named = {one for made in self._artefacts for one in made.provenance.derived_from}
        often = sorted(self._reads, key=lambda one: -self._reads[one].times)[:MOST]
        found: dict[str, MemCube] = {}
        for one in sorted(named.union(often)):
            try:
                cube = self._store.get(one, space, self._clearance)
            except UnknownCubeError:  # forgotten in this moment, or not for the caller
                continue
            current = cube.superseded_at is None and cube.state in {State.ACTIVE, State.FROZEN}
            if current and cube.form is Form.TEXT and cube.kind not in _DERIVED and cube.text.strip():
                found[one] = cube
        return found

    def _groups(self) -> list[tuple[tuple[MemCube, ...], list[MemCube]]]:
        """Memories and the artefacts that were made of exactly these: first what is there, then what is read without one."""
        made: dict[tuple[str, ...], list[MemCube]] = {}
        for one in self._artefacts:
            made.setdefault(one.provenance.derived_from, []).append(one)
        groups = [
            (tuple(self._cubes[one] for one in ids), artefacts)
            for ids, artefacts in made.items()
            if ids and all(one in self._cubes for one in ids)
        ]
        covered = {cube.id for group, _ in groups for cube in group}
        free = [cube for cube in self._cubes.values() if cube.id not in covered]
        head, context = self._measured.head, self._machine.context
        most = max(1, context // 2 - head) if context else 0
        found = together(free, self._reads, self._tokens, most, head, anywhere=self._measured.anywhere)
        return [*groups, *((group, []) for group in found)]

    def _work(self, group: Sequence[MemCube], made: Sequence[MemCube]) -> Workload:
        ids = tuple(cube.id for cube in group)
        tokens = self._measured.head + sum(self._tokens[one] for one in ids)
        caches = [_size(one) for one in made if one.form is Form.ACTIVATION]
        adapters = [_size(one) for one in made if one.form is Form.PARAMETRIC]
        stored = -(-self._machine.bytes_per_token * CACHE_BYTES // self._measured.bytes_per_number)
        moved, failures = self._past(ids, {one.form for one in made})
        return Workload(
            ids=ids, tokens=tokens, reads=self._rate(group, made),
            bytes_per_token=-(-max(caches) // tokens) if caches else stored,
            adapter_bytes=max(adapters) if adapters else self._adapter_bytes,
            corrections=corrections_per_day((self._versions[one] for one in ids), self._base),
            age=max(0.0, min(self._days(cube.recorded_at) for cube in group)), left=min(map(self._left, group)), seen=self._seen(ids),
            clear=all(one in self._clear for one in ids), disputed=any(one in self._disputed for one in ids),
            artefacts={one.form: one.id for one in made}, report=_report(made), moved=moved, failures=failures,
            pinned=any(one.state is State.FROZEN or one.id not in self._own for one in made),
        )  # fmt: skip

    def _rate(self, group: Sequence[MemCube], made: Sequence[MemCube]) -> float:
        """Reads per day of the whole group: of what is there, how often it was used; else those of its least-read memory.

        An artefact of less than a day that was not used yet counts as if it were not there.
        """
        rates: list[float] = []
        for one in made:
            use = self._store.payloads.uses(one.id)
            if use.last is not None:
                rates.append(self._expected(use.count, one.recorded_at.isoformat(), use.last, 0.0))
            elif self._days(one.recorded_at) >= _TRIED:
                rates.append(0.0)
        if rates:
            return max(rates)
        found = [self._reads.get(cube.id) for cube in group]
        return min((0.0 if one is None else self._expected(*one, self._usual) for one in found), default=0.0)

    def _expected(self, times: int, first: str, last: str, base: float) -> float:
        days, idle = (self._days(datetime.fromisoformat(one)) for one in (first, last))
        return reads_per_day(times, days, idle, self._terms, base)

    def _usually(self) -> float:
        """Reads per day of a memory of this space, as a rule: the median of those that were first read a day ago or earlier; 0 where they are few."""
        known = [
            one.times / (days + 1)
            for one in self._reads.values()
            if (days := self._days(datetime.fromisoformat(one.first))) >= 1
        ]
        return median(known) if len(known) >= _KNOWN else 0.0

    def _corrected(self, cube: MemCube) -> tuple[int, float]:
        """How often a memory was corrected, and its age in days."""
        if cube.version == 1:
            return 0, max(0.0, self._days(cube.recorded_at))
        try:
            first = self._store.versions(cube.id)[0]
        except UnknownCubeError:  # forgotten in this moment
            first = cube
        return cube.version - 1, max(0.0, self._days(first.recorded_at))

    def _left(self, cube: MemCube) -> float:
        """Days until it expires, or holds no more."""
        ends = [one for one in (cube.policy.expires_at, cube.valid_to) if one is not None]
        return min((max(0.0, -self._days(one)) for one in ends), default=math.inf)

    def _days(self, moment: datetime) -> float:
        """Days since a moment."""
        return (posix(self._now) - posix(moment)) / _DAY

    def _seen(self, ids: tuple[str, ...]) -> float:
        """Days since the first read of any of them."""
        days = (self._days(datetime.fromisoformat(self._reads[one].first)) for one in ids if one in self._reads)
        return max(0.0, max(days, default=0.0))

    def _past(self, ids: tuple[str, ...], made: set[Form]) -> tuple[float, int]:
        """Days since a job moved these memories, or tried to; and how often in a row it failed or was undone.

        What was derived and went stale since did not move by a job: to derive it again is no going back and forth.
        """
        mine = [job for job in self._jobs if job.ids == ids and job.state in _ENDED and not job.body.get("gone")]
        failures = 0
        for job in mine:
            if job.state is JobState.DONE:
                break
            failures += UNDONE if job.state is JobState.UNDONE else 1
        stale = bool(mine) and mine[0].state is JobState.DONE and mine[0].what not in {DROP, *_deriving(made)}
        return (max(0.0, self._days(mine[0].at)) if mine and not stale else math.inf), failures

    # ── what was learned ─────────────────────────────────────────────────────────────────────────────────────────────

    def _learned(self, terms: Terms) -> Terms:
        """The terms with the share of adapters that passed, and what training took, where there is any experience."""
        tried = [job for job in self._jobs if job.what == f"{DERIVE} {Form.PARAMETRIC}" and not job.body.get("gone")]
        passed, failed = (sum(job.state is state for job in tried) for state in (JobState.DONE, JobState.FAILED))
        passing = (passed + 2 * terms.passing) / (passed + failed + 2)
        took = [found for one in self._artefacts if one.form is Form.PARAMETRIC and (found := self._pace(one, terms))]
        pace = median(took) if took else 1.0
        return replace(terms, passing=passing, lesson=pace * terms.lesson, exposure=pace * terms.exposure)

    def _pace(self, one: MemCube, terms: Terms) -> float:
        """What training an adapter took, against what was expected; 0 where it does not say."""
        assert one.payload is not None
        seconds = _numbers(one.payload.details).get("seconds", 0.0)
        tokens = self._measured.head + sum(self._tokens.get(source, 0) for source in one.provenance.derived_from)
        expected = trained(tokens, self._machine, terms)
        return seconds / expected if expected > 0 else 0.0


_ENDED = {JobState.DONE, JobState.FAILED, JobState.UNDONE}


def _deriving(forms: Iterable[Form]) -> set[str]:
    return {f"{DERIVE} {form}" for form in forms}


def _made(job: Job) -> bool:
    """Whether the artefact of a job is one that the job made: by deriving it, or by undoing its end."""
    if job.what.startswith(DERIVE):
        return job.state is JobState.DONE
    return job.state is JobState.UNDONE


def _size(cube: MemCube) -> int:
    return 0 if cube.payload is None else cube.payload.size


def _fingerprint(cube: MemCube) -> dict[str, str]:
    return {} if cube.payload is None else dict(cube.payload.fingerprint)


def _report(made: Iterable[MemCube]) -> dict[str, float]:
    """What the gate said of an adapter: its reliability, and the share of guarded answers that it left alone."""
    for one in made:
        if one.form is Form.PARAMETRIC and one.payload is not None:
            said = one.payload.details.get("gate")
            scores = said.get("scores") if isinstance(said, Mapping) else None
            found = {
                "reliability": scores.get("reliability") if isinstance(scores, Mapping) else None,
                "locality": said.get("locality") if isinstance(said, Mapping) else None,
            }
            return {
                name: _numbers(one)["value"]
                for name, one in found.items()
                if isinstance(one, Mapping) and "value" in _numbers(one)
            }
    return {}


def _numbers(said: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in said.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
