"""The life of memories, as `memory.lifecycle` offers it: states, policies, events, and the care that falls due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from remanence.arguments import count, identity, optional_space, scope
from remanence.cubes import DEFAULT_SPACE, MemCube, Page, State, posix
from remanence.errors import InputError, NotFoundError, TransitionError
from remanence.governance.access import Gate, Operation
from remanence.policies import Policy, Trigger, Trust
from remanence.rooms import Rooms
from remanence.sharing import govern, sync
from remanence.store.parts import Diff, Event, RolledBack, Transition
from remanence.write.messages import lifetime, moment, policy_of, text

_MOST_REASON = 1000  # characters
_BATCH = 500  # memories that expire in one transaction
_FADED = 1 / 16  # strength below which a memory is put away: four half-lives without a use
_DAY = 86_400.0
_CLEARED: dict[str, Any] = {"ttl": None, **{one: getattr(Policy(), one) for one in Policy.__slots__}}


@dataclass(frozen=True, slots=True)
class Cared:
    """What the care that was due did."""

    expired: tuple[str, ...] = ()
    """Ids of memories whose time was up."""
    faded: tuple[str, ...] = ()
    """Ids of memories that nobody used for long; they are archived, and can be restored."""


class Lifecycle:
    """See `Memory.lifecycle`. Every change has a reason and an event, and stands in the journal."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._store, self._gate = rooms, rooms.store, gate

    def freeze(self, cube_id: str | MemCube, reason: str = "frozen", *, space: str | None = None) -> MemCube:
        """Close a memory to every change: corrections, states, policies, forgetting. It is recalled as before."""
        return self._change(cube_id, State.FROZEN, reason, space)

    def unfreeze(self, cube_id: str | MemCube, reason: str = "unfrozen", *, space: str | None = None) -> MemCube:
        """Open a frozen memory again; TransitionError if it is not frozen."""
        one = identity(cube_id)
        if self._get(one, space).state is not State.FROZEN:
            raise TransitionError(f"The memory {one} is not frozen.", "There is nothing to undo.")
        return self._change(one, State.ACTIVE, reason, space)

    def archive(self, cube_id: str | MemCube, reason: str = "archived", *, space: str | None = None) -> MemCube:
        """Put a memory away: it is not recalled any more, and what was made from it neither. `restore` brings it back."""
        return self._change(cube_id, State.ARCHIVED, reason, space)

    def expire(self, cube_id: str | MemCube, reason: str = "expired", *, space: str | None = None) -> MemCube:
        """Let the time of a memory be up now."""
        return self._change(cube_id, State.EXPIRED, reason, space)

    def restore(self, cube_id: str | MemCube, reason: str = "restored", *, space: str | None = None) -> MemCube:
        """Bring back what was archived, merged or expired, as a new version. A merge that it had gone into is undone.

        A time to live that is over is dropped; give a new one with `govern`. What was held and rejected does not come back this
        way: TransitionError.
        """
        one = identity(cube_id)
        cube = self._get(one, space)
        if cube.state in {State.ACTIVE, State.FROZEN}:
            raise TransitionError(f"The memory {one} is not put away.", "There is nothing to undo.")
        if cube.state is State.GENERATED:
            raise TransitionError(f"The memory {one} is held.", "Let it in: remanence trust release ID.")
        events = self._store.lifecycle.events(one, cube.scope.space)
        if cube.state is State.ARCHIVED and events and events[-1].was is State.GENERATED:
            raise TransitionError(
                f"The memory {one} was held, and rejected.", "Forget it, and add it again, to let it in."
            )
        return self._change(one, State.ACTIVE, reason, space, renew=True)

    def govern(
        self, cube_id: str | MemCube, *, trust: Trust | str | None = None, sensitivity: str | None = None,
        access: Sequence[str] | None = None, ttl: float | timedelta | None = None, expires_at: datetime | str | None = None,
        priority: float | None = None, half_life: float | None = None, trigger: Trigger | dict[str, Any] | None = None,
        clear: Sequence[str] = (), space: str | None = None,
    ) -> MemCube:  # fmt: skip
        """Change how a memory is governed, all its versions with it. What is not given stays; `clear` names what is reset.

        Raises
        ------
        UnknownCubeError
            No such memory.
        InputError
            A value is wrong, or the memory is frozen.
        """
        one = identity(cube_id)
        where, _ = self._gate.locate(Operation.GOVERN, one, optional_space(space))
        ends = moment(expires_at, "expires_at")
        if (seconds := lifetime(ttl, "ttl")) is not None:
            ends = self._store.clock() + timedelta(seconds=seconds)
        given: dict[str, Any] = {
            "trust": trust, "sensitivity": sensitivity, "access": access, "expires_at": ends and ends.isoformat(),
            "priority": priority, "half_life": half_life, "trigger": trigger,
        }  # fmt: skip
        if unknown := {*clear} - {*_CLEARED}:
            raise InputError(f"clear names {min(unknown)!r}.", f"Use some of: {', '.join(sorted(_CLEARED))}.")
        changed = policy_of({name: value for name, value in given.items() if value is not None}, "the memory")
        wanted = {name: getattr(changed, name) for name, value in given.items() if value is not None}
        wanted |= {"expires_at" if name == "ttl" else name: _CLEARED[name] for name in clear}
        current = self._store.versions(one, where)[-1]
        governed = govern(self._store, current, replace(current.policy, **wanted))
        self._rooms.wrote(falls_due=bool(governed.policy.expires_at or governed.policy.half_life))
        return governed

    def events(self, cube_id: str | MemCube, *, space: str | None = None) -> list[Event]:
        """What became of a memory, when, why and by whom, oldest first."""
        one = identity(cube_id)
        where, _ = self._gate.locate(Operation.HISTORY, one, optional_space(space))
        found = self._store.lifecycle.events(one, where)
        self._gate.told(Operation.HISTORY, where, [one])
        return found

    def in_state(
        self, state: State | str, *, space: str = DEFAULT_SPACE, limit: int = 100, after: str | None = None
    ) -> Page:
        """Memories of a space in one state, in the order of writing. `after` takes the `cursor` of the page before."""
        try:
            wanted = State(state)
        except ValueError:
            raise InputError(f"There is no state {state!r}.", f"Use one of: {', '.join(State)}.") from None
        operation = Operation.TRUST if wanted is State.GENERATED else Operation.LIST  # quarantine is not for readers
        clearance = self._gate.check(operation, scope(space, None, None, None).space)
        self._rooms.has_space(space)
        page = self._store.lifecycle.in_state(space, wanted, count(limit, "limit", 10_000), after, clearance)
        self._gate.told(operation, space, [cube.id for cube in page])
        return page

    def usage(self, cube_id: str | MemCube) -> tuple[int, datetime | None]:
        """How often a memory with a half-life was recalled, and when last. Others are not counted."""
        one = identity(cube_id)
        where, _ = self._gate.locate(Operation.HISTORY, one, None)
        self._rooms.note_uses()
        self._gate.told(Operation.HISTORY, where, [one])
        return self._store.lifecycle.usage(one)

    def care(self) -> Cared:
        """Do what is due: expire what is over, archive what faded. Runs by itself every `Settings.care_every` seconds.

        A memory fades by half in each of its half-lives since it was last used; uses and priority make it stronger.
        """
        self._gate.check(Operation.MAINTAIN, None)
        return care(self._rooms)

    def _get(self, cube_id: str, space: str | None) -> MemCube:
        where, _ = self._gate.locate(Operation.LIFECYCLE, cube_id, optional_space(space))
        return self._store.versions(cube_id, where)[-1]

    def _change(
        self, cube_id: str | MemCube, to: State, reason: str, space: str | None, *, renew: bool = False
    ) -> MemCube:
        one = identity(cube_id)
        where, _ = self._gate.locate(Operation.LIFECYCLE, one, optional_space(space))
        why = text(reason, "The reason", _MOST_REASON)
        [changed] = self._store.lifecycle.change([Transition(one, to, why, self._gate.name, where, renew)])
        self._rooms.wrote(falls_due=bool(changed.policy.expires_at or changed.policy.half_life))
        return changed


def diff(rooms: Rooms, gate: Gate, first: object, second: object, space: str) -> Diff:
    """See `Memory.diff`."""
    clearance = gate.check(Operation.DIFF, scope(space, None, None, None).space)
    begins, ends = moment(first, "first"), moment(second, "second") or rooms.store.clock()
    if begins is None or posix(begins) > posix(ends):
        raise InputError(f"The first time is {first!r}, the second {second!r}.", "Give two times in their order.")
    rooms.has_space(space)
    found = rooms.store.timeline.diff(space, begins, ends, clearance)
    gate.told(
        Operation.DIFF,
        space,
        [cube.id for cube in (*found.added, *(one.after for one in found.changed), *found.removed)],
    )
    return found


def rollback(rooms: Rooms, gate: Gate, to: object, space: str) -> RolledBack:
    """See `Memory.rollback`."""
    gate.check(Operation.ROLLBACK, scope(space, None, None, None).space)
    back, now = moment(to, "to"), rooms.store.clock()
    if back is None or posix(back) > posix(now):
        raise InputError(f"to is {to!r}.", "Give a time that is over.")
    rooms.has_space(space)
    done = rooms.store.timeline.rollback(space, back, now, gate.name)
    rooms.wrote(falls_due=rooms.store.lifecycle.is_due_ever())
    return done


def care(rooms: Rooms) -> Cared:
    """What `Lifecycle.care` does, for the thread that does it unasked."""
    rooms.note_uses()
    lifecycle, now = rooms.store.lifecycle, rooms.store.clock()
    expired: list[str] = []
    while due := lifecycle.due(now, _BATCH):
        done = _put_away(rooms, due, State.EXPIRED, "its time was up")
        expired += done
        if not done:  # somebody else is at it
            break
    faded = [
        cube_id
        for cube_id, half_life, priority, used, times in lifecycle.fading()
        if strength(half_life, priority, (now - used).total_seconds() / _DAY, times) < _FADED
    ]
    gone = _put_away(rooms, faded, State.ARCHIVED, "it faded: nobody used it")
    if expired or gone:
        sync(rooms.store)
    return Cared(tuple(expired), tuple(gone))


def strength(half_life: float, priority: float, days: float, times: int) -> float:
    """How strong a memory still is: halved in each half-life since its last use, more after many uses and by its priority."""
    return (1 + math.log2(1 + times)) * (1 + max(priority, 0.0)) * 2.0 ** (-days / half_life)


def _put_away(rooms: Rooms, cube_ids: Sequence[str], to: State, reason: str) -> list[str]:
    """One by one where something came between: another process may do the same care."""
    done: list[str] = []
    for cube_id in cube_ids:
        try:
            rooms.store.lifecycle.change([Transition(cube_id, to, reason, "care")])
        except (TransitionError, NotFoundError):  # put away with its source, or by somebody else, in this moment
            continue
        done.append(cube_id)
    return done
