"""What `Memory` does when it writes: messages past the gate into the store, and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from remanence.arguments import identity, optional_space
from remanence.cubes import Ids, MemCube
from remanence.errors import InputError
from remanence.governance.access import Gate, Operation
from remanence.rooms import Rooms
from remanence.write.forgotten import refuse_forgotten
from remanence.write.messages import Message, moment, name
from remanence.write.messages import text as checked_text
from remanence.write.pipeline import Progress, Target, rewritten, write


def save(
    rooms: Rooms, gate: Gate, operation: Operation, found: Sequence[Message], target: Target, key: str | None = None,
    progress: Progress | None = None, *, relearn: bool = False, leave_out: bool = False,
) -> Ids:  # fmt: skip
    """Write messages as `Memory.add` and `Memory.ingest` do."""
    clearance = gate.check(operation, target.scope.space)
    ids = write(
        rooms.store, found, target, rooms.encoding.documents, commit_every=rooms.settings.commit_every, key=key,
        progress=progress, clearance=clearance, relearn=relearn, leave_out=leave_out, guard=rooms.quarantine,
    )  # fmt: skip
    rooms.wrote(falls_due=any(one.ttl or one.policy.half_life for one in found))
    gate.told(operation, target.scope.space, ids)
    return ids


def correct(
    rooms: Rooms, gate: Gate, cube_id: str | MemCube, text: str, space: str | None, time: datetime | str | None,
    source: str | None, *, relearn: bool,
) -> MemCube:  # fmt: skip
    """See `Memory.correct`."""
    checked = checked_text(text, "The text", rooms.settings.max_text)
    from_when = moment(time, "time")
    where, clearance = gate.locate(Operation.CORRECT, identity(cube_id), optional_space(space))
    store = rooms.store
    while True:
        current = store.get(identity(cube_id), where, clearance)
        if checked == current.text:
            return current
        refuse_derived(current)
        refuse_forgotten(store, current.scope.space, checked, current.text, relearn=relearn)
        draft = rewritten(
            current, checked, from_when, rooms.encoding.documents, store.clock(), name(source, "source")
        )  # embeds before the write lock
        if source is not None:
            rooms.quarantine.refuse([draft.cube])
        if store.supersede(draft):
            rooms.wrote()
            return draft.cube


def refuse_derived(cube: MemCube) -> None:
    """InputError for a cache or an adapter: it says nothing of its own."""
    if cube.payload is not None:
        raise InputError(
            f"{cube.id} is a cache or an adapter.", "Correct the memories that it was made of, and derive it again."
        )
