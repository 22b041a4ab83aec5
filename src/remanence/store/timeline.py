"""What the store knew at earlier times, and the way back to it: as a new state, never by rewriting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from remanence.cubes import MemCube, State, posix
from remanence.policies import Clearance
from remanence.store import rows
from remanence.store.cleared import cleared
from remanence.store.connections import Connections
from remanence.store.derived import retire_children
from remanence.store.lifecycle import Last, last_of, move, say_again
from remanence.store.parts import Diff, Revision, RolledBack, Transition
from remanence.store.trusted import distrusted

_MANY = 500  # SQLite takes a bounded number of parameters per statement


class Timeline:
    """`protocol.TimelineStore` on the connections of one SQLite file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def diff(self, space: str, first: datetime, second: datetime, clearance: Clearance | None = None) -> Diff:
        with self._connections.read() as connection:
            before, after = (_known(connection, space, moment, clearance) for moment in (first, second))
            cubes = _cubes(connection, {*before.values(), *after.values()})
            return Diff(
                tuple(cubes[seq] for cube_id, seq in after.items() if cube_id not in before),
                tuple(
                    Revision(cubes[before[cube_id]], cubes[seq])
                    for cube_id, seq in after.items()
                    if before.get(cube_id, seq) != seq
                ),
                tuple(cubes[seq] for cube_id, seq in before.items() if cube_id not in after),
                _forgotten(connection, space, first, second) if clearance is None else (),  # labels went with them
            )

    def rollback(self, space: str, to: datetime, now: datetime, by: str) -> RolledBack:
        with self._connections.write() as connection:
            then, today = _known(connection, space, to), _known(connection, space, now)
            back = _Back(connection, now, f"rolled back to {to.isoformat()}", by)
            for cube_id in [one for one in today if one not in then]:
                back.put_away(cube_id)
            for cube_id, seq in then.items():
                if today.get(cube_id) != seq:
                    back.say_again(cube_id, seq)
            return RolledBack(tuple(back.away), tuple(back.reverted), tuple(back.restored), back.skipped)


class _Back:
    """The steps of one rollback, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, now: datetime, reason: str, by: str) -> None:
        self._connection, self._now, self._reason, self._by = connection, now, reason, by
        self.away: list[str] = []
        self.reverted: list[str] = []
        self.restored: list[str] = []
        self.skipped: dict[str, str] = {}

    def put_away(self, cube_id: str) -> None:
        cube = last_of(self._connection, cube_id, None).cube
        if cube.state is State.FROZEN:
            self.skipped[cube_id] = "it is frozen"
        elif cube.superseded_at is None:  # it may have gone with what it was made from
            move(self._connection, self._wish(cube_id, State.ARCHIVED), self._now)
            self.away.append(cube_id)

    def say_again(self, cube_id: str, seq: int) -> None:
        last = last_of(self._connection, cube_id, None)
        if last.cube.state is State.FROZEN:
            self.skipped[cube_id] = "it is frozen"
        elif last.cube.state is State.EXPIRED or _is_over(last.cube, self._now):
            self.skipped[cube_id] = "its time was up"
        elif last.cube.provenance.derived_from:
            self.skipped[cube_id] = "it was made from others, and is made again"
        elif (source := distrusted(self._connection, _row(self._connection, seq))) is not None:
            self.skipped[cube_id] = f"its source is revoked: {source}"
        elif last.cube.hidden and last.seq == seq:
            move(self._connection, self._wish(cube_id, State.ACTIVE), self._now)
            self.restored.append(cube_id)
        else:
            self._revert(last, seq)
            (self.restored if last.cube.hidden else self.reverted).append(cube_id)

    def _revert(self, last: Last, seq: int) -> None:
        what = _row(self._connection, seq)
        if what.cube.text == last.cube.text and not last.cube.hidden:  # it came back since, and says the same
            return
        if not last.cube.hidden:
            given = last.cube.given_to and last.cube.given_to.isoformat()
            rows.close(self._connection, last.seq, rows.earlier(given, what.cube.valid_from), self._now)
        rows.cut_short(self._connection, last.cube.id, what.cube.valid_from)
        cube = say_again(self._connection, last, what, self._wish(last.cube.id, State.ACTIVE), self._now)
        retire_children(self._connection, cube)

    def _wish(self, cube_id: str, to: State) -> Transition:
        return Transition(cube_id, to, self._reason, self._by)


def _is_over(cube: MemCube, now: datetime) -> bool:
    """Whether its time is up, though no care came by since."""
    return cube.policy.expires_at is not None and posix(cube.policy.expires_at) <= posix(now)


def _known(
    connection: sqlite3.Connection, space: str, at: datetime, clearance: Clearance | None = None
) -> dict[str, int]:
    """Ids of what was current at a time in the order of writing, and the numbers of the versions that were."""
    moment, (seen, values) = posix(at), cleared(clearance)
    return {
        cube_id: seq
        for seq, cube_id, recorded, superseded in connection.execute(
            "SELECT c.seq, c.id, c.recorded_at, c.superseded_at FROM cubes c JOIN spaces s ON s.number = c.space "
            f"WHERE s.name = ? AND c.form = 'text'{seen} ORDER BY c.root, c.seq",
            (space, *values),
        )
        if _seconds(recorded) <= moment and (superseded is None or _seconds(superseded) > moment)
    }


def _cubes(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, MemCube]:
    wanted, found = sorted(seqs), dict[int, MemCube]()
    for at in range(0, len(wanted), _MANY):
        some = wanted[at : at + _MANY]
        holes = ", ".join("?" * len(some))
        for seq, *row in connection.execute(
            f"SELECT c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE c.seq IN ({holes})", some
        ):
            found[seq] = rows.cube_of(tuple(row))
    return found


def _row(connection: sqlite3.Connection, seq: int) -> Last:
    row = connection.execute(
        f"SELECT c.seq, c.root, c.space, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.seq = ?", (seq,)
    ).fetchone()
    number, root, space, salt, *own = row
    return Last(number, root, space, salt, rows.cube_of(tuple(own)))


def _forgotten(connection: sqlite3.Connection, space: str, first: datetime, second: datetime) -> tuple[str, ...]:
    found = connection.execute(
        "SELECT j.id, j.at FROM journal j JOIN spaces s ON s.number = j.space WHERE s.name = ? AND j.op = 'forget' ORDER BY j.entry",
        (space,),
    )
    return tuple(cube_id for cube_id, at in found if posix(first) < _seconds(at) <= posix(second))


def _seconds(text: str) -> float:
    return posix(datetime.fromisoformat(text))
