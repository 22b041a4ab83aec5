"""`memory.schedule`: which memories are worth a cache or an adapter on this machine, and the jobs that move them there and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remanence.arguments import count, scope
from remanence.cubes import DEFAULT_SPACE, Form, MemCube, State
from remanence.errors import (
    InputError,
    MissingExtraError,
    NoModelError,
    NotFoundError,
    RemanenceError,
    StaleError,
    StoreClosedError,
    TransitionError,
    UnknownCubeError,
)
from remanence.forming import make, put_away
from remanence.governance.access import Gate, Operation
from remanence.policies import Clearance
from remanence.rooms import Rooms
from remanence.scheduling.choose import Choice, Plan, choose
from remanence.scheduling.cost import Machine, Terms
from remanence.scheduling.explain import action, explained, reason
from remanence.store.jobs import Job, Jobs, JobState
from remanence.workloads import DERIVE, DROP, composes, measured, survey, tokens_of
from remanence.write.pipeline import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from remanence.models.local.causal import CausalLM

BY = "schedule"
"""Who acts, in the events."""
TOLERANCE = 1e-3
"""Share of the savings that a decision may miss: the last thousandth would take most of the time."""
EACH_ROUND = 4
"""Jobs in one round of care: the others wait for the next."""
_GONE = (StaleError, UnknownCubeError, TransitionError)  # no failure of the job: its memories changed meanwhile

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Explained:
    """What the scheduler would do with a space, and every number that led to it."""

    space: str
    plan: Plan
    machine: Machine
    terms: Terms
    """With what was learned from the jobs of this store."""
    elsewhere: int
    """Bytes that caches and adapters take which are not up for a decision: of other spaces and other models."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"space": self.space, "elsewhere": self.elsewhere, **explained(self.plan, self.machine, self.terms)}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did."""

    explained: Explained
    moves: tuple[str, ...]
    """What is to be done, a line each: all of it with `dry_run`."""
    jobs: tuple[Job, ...] = ()
    """The jobs that ended in this run, done or failed."""
    finished: bool = True
    """False if it was stopped, or jobs are left for the next run."""

    @property
    def failed(self) -> tuple[Job, ...]:
        """Those that failed; `body["error"]` says why."""
        return tuple(one for one in self.jobs if one.state is JobState.FAILED)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "moves": list(self.moves), "jobs": [one.to_json() for one in self.jobs], "finished": self.finished,
            **self.explained.to_json(),
        }  # fmt: skip


class Schedule:
    """See `Memory.schedule`. Text stays whatever is decided: caches and adapters are made of it and can be made again."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    def explain(
        self, space: str = DEFAULT_SPACE, *, model: CausalLM | str | Path | None = None, terms: Terms | None = None
    ) -> Explained:
        """What each form of each memory that models read costs per day on this machine, and what follows. Changes nothing.

        `model` is a `CausalLM`, its folder or name; the one of `Settings.model` if it is left out. The machine is measured with it
        if that was not done before, which takes seconds.

        Raises
        ------
        UnknownSpaceError
            Nothing was ever written to this space.
        NoModelError
            None is given, and the settings name none on this machine.
        """
        where, clearance = self._entered(space)
        return _explained(self._rooms, self._rooms.local(model), where, terms or Terms(), clearance)

    def run(
        self, space: str = DEFAULT_SPACE, *, dry_run: bool = False, model: CausalLM | str | Path | None = None,
        terms: Terms | None = None, progress: Progress | None = None, stop: Stop | None = None,
    ) -> Ran:  # fmt: skip
        """Decide, and do it: derive what pays, put away what does not. Interrupt it, call it again: jobs that wait are done first.

        A job that fails leaves nothing behind, and its memories rest before the scheduler looks at them again. With `dry_run`
        nothing happens, and `moves` says what would. Raises as `explain`.
        """
        where, clearance = self._entered(space)
        lm = self._rooms.local(model)
        return _run(
            self._rooms, lm, where, terms or Terms(), clearance, dry_run=dry_run, progress=progress, stop=stop or _never
        )

    def jobs(self, space: str = DEFAULT_SPACE, *, state: JobState | str | None = None, limit: int = 100) -> list[Job]:
        """The jobs of a space, newest first: what was moved, why, what it took, or what went wrong."""
        try:
            wanted = None if state is None else JobState(state)
        except ValueError:
            raise InputError(f"There is no state {state!r}.", f"Use one of: {', '.join(JobState)}.") from None
        where, clearance = self._entered(space)
        found = _jobs(self._rooms).list(where, wanted, count(limit, "limit", 10_000))
        return [job for job in found if _shown(self._rooms, job, clearance)]

    def undo(
        self, n: int, *, model: CausalLM | str | Path | None = None, progress: Progress | None = None, stop: Stop | None = None
    ) -> Job:  # fmt: skip
        """Take a job back: what it derived is put away, what it put away is derived again from the memories as they are now, and
        one that waits is not done. The scheduler leaves these memories alone for a month.

        Raises
        ------
        NotFoundError
            There is no such job, or what it was about was forgotten.
        InputError
            It is running, failed, or undone already.
        StaleError
            What would be derived again is made of memories that were put away since.
        """
        number = count(n, "n", 2**62)
        job = self._job(number)
        if job.state is not JobState.DONE:
            return _jobs(self._rooms).undo(number, self._rooms.store.clock())
        if job.what != DROP:
            _retired(self._rooms, job, "undone", self._gate.name)
            return _jobs(self._rooms).undo(number, self._rooms.store.clock())
        form = Form(str(job.body["form"]))
        cubes = [self._rooms.store.get(one, job.space) for one in job.ids]
        lm = self._rooms.local(model)
        made = make(self._rooms, lm, cubes, form, progress, stop, **_options(self._rooms, form))
        return _jobs(self._rooms).undo(number, self._rooms.store.clock(), artefact=made.id)

    def measure(self, *, model: CausalLM | str | Path | None = None, again: bool = True) -> Machine:
        """Measure this machine with a model, and keep the measures in the store; without `again`, only if they are not there."""
        self._gate.check(Operation.SCHEDULE, None)
        return measured(self._rooms, self._rooms.local(model), again=again)

    def _entered(self, space: object) -> tuple[str, Clearance | None]:
        where = scope(str(space) if space is not None else DEFAULT_SPACE, None, None, None).space
        clearance = self._gate.check(Operation.SCHEDULE, where)
        self._rooms.has_space(where)
        return where, clearance

    def _job(self, n: int) -> Job:
        """A job that the caller may see; what is not there and what is not for the caller look the same."""
        try:
            job = _jobs(self._rooms).get(n)
        except NotFoundError:
            job = None
        if job is None or not self._gate.allows(Operation.SCHEDULE, job.space):
            self._gate.check(Operation.SCHEDULE, None)
        else:
            clearance = self._gate.check(Operation.SCHEDULE, job.space, job.ids)
            if _shown(self._rooms, job, clearance):
                return job
        raise NotFoundError(f"There is no job {n}.", "List them: remanence schedule jobs")


def due(rooms: Rooms, stop: Stop | None = None) -> None:
    """What a round of care does where the settings say so: in each space that was read since the last look, a few jobs.

    Without a language model on this machine it does nothing.
    """
    for space in rooms.store.spaces():
        reads = sum(times for times, *_ in rooms.store.payloads.reads(space).values())
        seen = json.dumps([reads, rooms.store.clock().date().isoformat()])  # rates fade with the days
        note = f"{BY}/{space}"
        waiting = any(_jobs(rooms).list(space, state, 1) for state in (JobState.WAITING, JobState.RUNNING))
        if (not reads or rooms.store.note(note) == seen) and not waiting:
            continue
        try:
            lm = rooms.local(None)
        except (NoModelError, MissingExtraError):
            return
        done = _run(rooms, lm, space, Terms(), None, stop=stop or _never, most=EACH_ROUND)
        if done.finished:
            rooms.store.set_note(note, seen)


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _explained(rooms: Rooms, lm: CausalLM, space: str, terms: Terms, clearance: Clearance | None) -> Explained:
    machine = measured(rooms, lm)
    found = survey(rooms.store, _jobs(rooms), space, tokens_of(rooms, lm), machine, terms, clearance)
    plan = choose(found.works, machine, found.terms, found.quota, tolerance=TOLERANCE)
    return Explained(space, plan, machine, found.terms, found.elsewhere)


def _options(rooms: Rooms, form: Form) -> dict[str, Any]:
    return {"layout": "isolated"} if form is Form.ACTIVATION and composes(rooms) else {}


def _moves(plan: Plan) -> Iterator[tuple[Choice, str, str | None]]:
    """What is to be done, as (choice, what, artefact): first what makes room, then what saves most; a replaced one last."""
    for choice in plan.choices:
        if choice.derive is None:
            yield from ((choice, DROP, one) for one in choice.drop)
    for choice in sorted(plan.choices, key=lambda one: -one.saved):
        if choice.derive is not None:
            yield choice, f"{DERIVE} {choice.derive}", None
            yield from ((choice, DROP, one) for one in choice.drop)


def _told(choice: Choice, what: str) -> str:
    ids = choice.work.ids
    return f"{what}: {ids[0]}{f' and {len(ids) - 1} more' if len(ids) > 1 else ''}: {reason(choice)}"


# ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(
    rooms: Rooms, lm: CausalLM, space: str, terms: Terms, clearance: Clearance | None, *, dry_run: bool = False,
    progress: Progress | None = None, stop: Stop, most: int | None = None,
) -> Ran:  # fmt: skip
    found = _explained(rooms, lm, space, terms, clearance)
    moves = list(_moves(found.plan))
    told = tuple(_told(choice, what) for choice, what, _ in moves)
    if dry_run:
        return Ran(found, told)
    jobs, now = _jobs(rooms), rooms.store.clock()
    for choice, what, artefact in moves:
        body = {"why": reason(choice), "action": action(choice), "to": choice.form.value, "saves": choice.saved}
        if artefact is not None:
            body["form"] = next(form.value for form, one in choice.work.artefacts.items() if one == artefact)
        jobs.add(space, what, choice.work.ids, now, artefact=artefact, body=body)
    total = len(jobs.list(space, JobState.WAITING)) + len(jobs.list(space, JobState.RUNNING))
    ended = list[Job]()
    while not (stopped := stop()) and (most is None or len(ended) < most):
        job = jobs.next(rooms.store.clock(), space)
        if job is None:
            break
        done = _done(rooms, lm, job, stop)
        if done is None:  # stopped in the middle
            stopped = True
            break
        ended.append(done)
        if progress is not None:
            progress(len(ended), max(total, len(ended)))
    left = bool(jobs.list(space, JobState.WAITING, 1))
    shown = tuple(job for job in ended if _shown(rooms, job, clearance))
    return Ran(found, told, shown, finished=not (stopped or left))


def _done(rooms: Rooms, lm: CausalLM, job: Job, stop: Stop) -> Job | None:
    """Carry out a job that is running. None if it was stopped: it waits again then."""
    jobs, clock = _jobs(rooms), rooms.store.clock
    try:
        if job.what == DROP:
            body, artefact = _dropped(rooms, job), None
        else:
            body, artefact = _derived(rooms, lm, job, stop)
        jobs.finish(job.n, clock(), artefact=artefact, body=body)
    except StoreClosedError:
        jobs.let_go(job.n)
        raise
    except (
        RemanenceError,
        OSError,
        RuntimeError,
        MemoryError,
    ) as error:  # torch says that it has no memory as RuntimeError
        if stop():
            jobs.put_back(job.n, clock())
            return None
        jobs.fail(job.n, clock(), f"{type(error).__name__}: {error}", gone=isinstance(error, _GONE))
    except BaseException:  # Ctrl-C too must not leave it running
        jobs.put_back(job.n, clock())
        raise
    try:
        return jobs.get(job.n)
    except NotFoundError:  # forgotten meanwhile, and the job with it
        return Job(
            job.n, job.space, job.what, (), None, JobState.FAILED, clock(), {"error": "It was forgotten meanwhile."}
        )


def _derived(rooms: Rooms, lm: CausalLM, job: Job, stop: Stop) -> tuple[dict[str, Any], str]:
    form = Form(job.what.removeprefix(DERIVE).strip())
    there = _standing(rooms, job, form)
    if there is not None:  # a process made it, and ended before it said so
        return {"found": True}, there.id
    cubes = [rooms.store.get(one, job.space) for one in job.ids]
    made = make(rooms, lm, cubes, form, None, stop, **_options(rooms, form))
    assert made.payload is not None
    return {"bytes": made.payload.size, "seconds": made.payload.details.get("seconds")}, made.id


def _dropped(rooms: Rooms, job: Job) -> dict[str, Any]:
    instead = Form(str(job.body.get("to", Form.TEXT)))
    if instead is not Form.TEXT and _standing(rooms, job, instead) is None:
        raise StaleError("What was to take its place is not there.", "It stays; the scheduler looks again.")
    _retired(rooms, job, str(job.body.get("why", "not worth its room")), BY)
    return {}


def _retired(rooms: Rooms, job: Job, why: str, by: str) -> None:
    """Put the artefact of a job away, if it is still there."""
    if job.artefact is None:
        return
    cube = rooms.store.get(job.artefact, job.space)
    if cube.superseded_at is None and cube.state is State.ACTIVE:
        put_away(rooms, cube.id, why, by)
    elif cube.state is State.FROZEN:
        raise TransitionError(f"{cube.id} is frozen.", "Unfreeze it first: remanence unfreeze ID")


def _standing(rooms: Rooms, job: Job, form: Form) -> MemCube | None:
    """The artefact of exactly these memories in a form, if there is one."""
    found = rooms.store.payloads.of(job.space, form, job.ids)
    return next((one for one in found if one.provenance.derived_from == job.ids), None)


def _shown(rooms: Rooms, job: Job, clearance: Clearance | None) -> bool:
    """Whether the caller may see all memories of a job."""
    if clearance is None:
        return True
    for one in job.ids:
        try:
            rooms.store.get(one, job.space, clearance)
        except UnknownCubeError:
            return False
    return True


def _jobs(rooms: Rooms) -> Jobs:
    return rooms.store.jobs


def _never() -> bool:
    return False
