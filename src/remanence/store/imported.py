"""Writing versions as an export has them, history and states included."""

from __future__ import annotations

import sqlite3

from remanence.cubes import MemCube, State
from remanence.drafts import Draft
from remanence.errors import InputError
from remanence.store import rows
from remanence.store.derived import retire, retire_children
from remanence.store.lifecycle import Last, record
from remanence.store.parts import Transition


def imported(connection: sqlite3.Connection, draft: Draft, space: int) -> bool:
    """Write one imported version. A version that is there already may only be closed by it."""
    cube = draft.cube
    row = connection.execute(
        f"SELECT c.space, c.root, c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? AND c.version = ?",
        (cube.id, cube.version),
    ).fetchone()
    if row is None:
        first = connection.execute("SELECT root, max(version) FROM cubes WHERE id = ?", (cube.id,)).fetchone()
        root = first[0]
        if cube.version != (first[1] or 0) + 1:
            raise InputError(
                f"Version {(first[1] or 0) + 1} of cube {cube.id} is missing before {cube.version}.",
                "Import the whole export.",
            )
        seq = rows.insert(connection, draft, space, root, "correct" if root else "add")
        _end(connection, (space, root or seq, seq), None, cube)
        return True
    there = rows.cube_of(row[3:])
    if there.sealed_bytes() != cube.sealed_bytes():
        raise InputError(
            f"Version {cube.version} of cube {cube.id} is in the store with other content.",
            "Import into a new file, or forget that cube first.",
        )
    _end(connection, row[:3], there, cube)
    return False


def _end(connection: sqlite3.Connection, place: tuple[int, int, int], there: MemCube | None, cube: MemCube) -> None:
    """After an import wrote a version, or found it `there`: close what it says is closed, and retire what was made from its memory.

    Nobody knows yet whether a later version of a closed one follows. For one that was made from others the journal says
    when it ended in any case, as after a correction of them. A state is taken over with an event of its own.
    """
    if there is None and cube.version > 1:
        retire_children(connection, cube)
    if cube.hidden or cube.state is State.FROZEN:
        if there is None or (there.superseded_at is None and there.state is not cube.state):  # what ended here stays so
            _settle(connection, place, cube)
        return
    if cube.superseded_at is None:
        return
    if cube.provenance.derived_from:
        if there is None or (there.valid_to, there.superseded_at) != (cube.valid_to, cube.superseded_at):
            retire(connection, place, cube)
    elif there is not None and there.superseded_at is None:
        rows.close(connection, place[2], cube.valid_to, cube.superseded_at)


def _settle(connection: sqlite3.Connection, place: tuple[int, int, int], cube: MemCube) -> None:
    at = cube.superseded_at or cube.recorded_at
    connection.execute(
        "UPDATE cubes SET state = ?, hidden = ?, superseded_at = ? WHERE seq = ?",
        (cube.state.value, cube.hidden, cube.superseded_at and at.isoformat(), place[2]),
    )
    [(salt,)] = connection.execute("SELECT salt FROM cubes WHERE seq = ?", (place[2],))
    record(
        connection,
        Last(place[2], place[1], place[0], salt, cube),
        Transition(cube.id, cube.state, "imported", "import"),
        at,
    )
