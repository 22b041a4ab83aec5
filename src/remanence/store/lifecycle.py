"""The life of a memory: which state may follow which, and the steps from one to the other, each in the journal with its reason.

A memory that is put away (merged, archived, expired) or held (generated) keeps its rows and is hidden from recall. It comes back as
a new version with the same text and keys: what the store once said stays said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from remanence.cubes import MemCube, Page, State
from remanence.drafts import Draft, Keys
from remanence.errors import FrozenError, StoreDamagedError, TransitionError
from remanence.policies import Clearance, Clock, Policy
from remanence.store import claimed, journal, rows
from remanence.store.cleared import cleared
from remanence.store.connections import Connections
from remanence.store.derived import content_of
from remanence.store.parts import Event, Transition

ALLOWED: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.GENERATED: frozenset({State.ACTIVE, State.ARCHIVED, State.EXPIRED, State.FORGOTTEN}),
        State.ACTIVE: frozenset({State.MERGED, State.ARCHIVED, State.FROZEN, State.EXPIRED, State.FORGOTTEN}),
        State.MERGED: frozenset({State.ACTIVE, State.FORGOTTEN}),
        State.ARCHIVED: frozenset({State.ACTIVE, State.FORGOTTEN}),
        State.FROZEN: frozenset({State.ACTIVE}),
        State.EXPIRED: frozenset({State.ACTIVE, State.FORGOTTEN}),
        State.FORGOTTEN: frozenset(),
    }
)
"""Which state may follow which (MemOS, section 5.2, with the way back that it leaves open). Forgetting has its own door, `erase`."""

AWAY = frozenset({State.MERGED, State.ARCHIVED, State.EXPIRED})


class Lifecycle:
    """`protocol.LifecycleStore` on the connections of one SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections, self._clock = connections, clock

    def change(self, transitions: Sequence[Transition]) -> list[MemCube]:
        with self._connections.write() as connection:
            now = self._clock()
            return [move(connection, one, now) for one in transitions]

    def merge(self, product: Draft, parents: Sequence[str], reason: str, by: str = "owner") -> MemCube | None:
        with self._connections.write() as connection:
            now = self._clock()
            if not all(_is_current(connection, *version) for version in product.made_of):
                return None
            last = last_of(connection, parents[0], product.cube.scope.space)
            rows.insert(connection, product, last.space, None, "add")
            for parent in parents:
                move(connection, Transition(parent, State.MERGED, reason, by), now, product.cube.id)
            return product.cube

    def govern_all(self, policies: Mapping[str, Policy]) -> None:
        with self._connections.write() as connection:
            for cube_id, policy in policies.items():
                _govern(connection, cube_id, policy, None)

    def govern(self, cube_id: str, policy: Policy, space: str | None = None) -> MemCube:
        with self._connections.write() as connection:
            return _govern(connection, cube_id, policy, space)

    def events(self, cube_id: str, space: str | None = None) -> list[Event]:
        with self._connections.read() as connection:
            last_of(connection, cube_id, space)
            found = connection.execute(
                "SELECT e.at, e.id, c.version, e.was, e.became, e.reason, e.by FROM events e JOIN cubes c ON c.seq = e.seq "
                "WHERE e.id = ? ORDER BY e.entry",
                (cube_id,),
            ).fetchall()
        return [
            Event(datetime.fromisoformat(at), one, version, State(was), State(became), reason, by)
            for at, one, version, was, became, reason, by in found
        ]

    def in_state(
        self, space: str, state: State, limit: int, after: str | None = None, clearance: Clearance | None = None
    ) -> Page:
        seen, values = cleared(clearance)
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT c.root, {rows.CUBE} FROM {rows.CUBES} WHERE s.name = ? AND c.state = ? AND c.root > ? "
                f"AND c.version = (SELECT max(version) FROM cubes l WHERE l.id = c.id){seen} ORDER BY c.root LIMIT ?",
                (space, state.value, rows.cursor(after), *values, limit + 1),
            ).fetchall()
        cubes = [rows.cube_of(row[1:]) for row in found[:limit]]
        return Page(cubes, str(found[limit - 1][0]) if len(found) > limit else None)

    def due(self, now: datetime, limit: int) -> list[str]:
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT id FROM cubes WHERE expires_at <= ? AND superseded_at IS NULL AND state <> 'frozen' ORDER BY expires_at LIMIT ?",
                (now.isoformat(), limit),
            ).fetchall()
        return [cube_id for (cube_id,) in found]

    def is_due_ever(self) -> bool:
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM cubes WHERE expires_at IS NOT NULL AND superseded_at IS NULL) "
                "OR EXISTS (SELECT 1 FROM cubes WHERE half_life IS NOT NULL AND superseded_at IS NULL)"
            ).fetchone()
        return bool(row[0])

    def fading(self) -> list[tuple[str, float, float, datetime, int]]:
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT c.id, c.half_life, c.priority, coalesce(u.last_used, c.recorded_at), coalesce(u.count, 0) FROM cubes c "
                "LEFT JOIN usage u ON u.id = c.id WHERE c.half_life IS NOT NULL AND c.superseded_at IS NULL AND c.state <> 'frozen'"
            ).fetchall()
        try:
            return [(*row[:3], datetime.fromisoformat(row[3]), row[4]) for row in found]
        except (TypeError, ValueError) as error:
            raise StoreDamagedError(f"A time is malformed: {error}.", "Run: remanence verify") from error

    def used(self, counts: Mapping[str, int], at: datetime) -> None:
        with self._connections.write() as connection:
            connection.executemany(
                "INSERT INTO usage SELECT :id, :n, :at WHERE EXISTS (SELECT 1 FROM cubes WHERE id = :id) "
                "ON CONFLICT (id) DO UPDATE SET count = count + :n, last_used = max(last_used, :at)",
                [{"id": cube_id, "n": count, "at": at.isoformat()} for cube_id, count in counts.items()],
            )

    def usage(self, cube_id: str) -> tuple[int, datetime | None]:
        with self._connections.read() as connection:
            row = connection.execute("SELECT count, last_used FROM usage WHERE id = ?", (cube_id,)).fetchone()
        return (0, None) if row is None else (row[0], datetime.fromisoformat(row[1]))


# ── steps, each inside the caller's transaction ──────────────────────────────────────────────────────────────────────


def move(connection: sqlite3.Connection, wish: Transition, now: datetime, spare: str | None = None) -> MemCube:
    """Make one transition. `spare` is the id of a memory made of this one that stays.

    Raises
    ------
    UnknownCubeError
        No such memory, or none in that space.
    FrozenError, TransitionError
        The state it is in does not lead there.
    """
    last = last_of(connection, wish.cube_id, wish.space)
    was = last.cube.state
    if was is State.FROZEN and wish.to is not State.ACTIVE:
        raise frozen(wish.cube_id)
    if wish.to not in ALLOWED[was] or wish.to is State.FORGOTTEN or (was is State.ARCHIVED and not last.cube.hidden):
        raise TransitionError(
            f"The memory {wish.cube_id} is {was.value}: it cannot become {wish.to.value}.",
            "See its events: remanence events ID" if wish.to is not State.FORGOTTEN else "Use forget.",
        )
    if wish.to in AWAY:
        return _put_away(connection, last, wish, now, spare)
    if last.cube.hidden and last.cube.payload is not None:  # its file was destroyed when it was put away
        raise TransitionError(f"{wish.cube_id} is a cache or an adapter, and its file is gone.", "Derive it again.")
    if last.cube.hidden:
        return _bring_back(connection, last, wish, now)
    connection.execute("UPDATE cubes SET state = ? WHERE seq = ?", (wish.to.value, last.seq))
    record(connection, last, wish, now)
    return replace(last.cube, state=wish.to)


def hold(connection: sqlite3.Connection, place: tuple[int, int, int], cube: MemCube, reason: str) -> None:
    """Write down why a version was held in the moment when it was written."""
    _, root, seq = place
    [(salt,)] = connection.execute("SELECT salt FROM cubes WHERE seq = ?", (seq,))
    wish = Transition(cube.id, State.GENERATED, reason, "screen")
    record(connection, Last(seq, root, place[0], salt, cube), wish, cube.recorded_at)


def frozen(cube_id: str) -> FrozenError:
    """The error for a change of what is frozen."""
    return FrozenError(
        f"The memory {cube_id} is frozen.",
        "Unfreeze it first: remanence state unfreeze ID, or memory.lifecycle.unfreeze(id).",
    )


class Last(NamedTuple):
    """The last version of a memory."""

    seq: int
    root: int
    space: int
    salt: bytes
    cube: MemCube


def last_of(connection: sqlite3.Connection, cube_id: str, space: str | None) -> Last:
    row = connection.execute(
        f"SELECT c.seq, c.root, c.space, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? AND (? IS NULL OR s.name = ?) "
        "ORDER BY c.version DESC LIMIT 1",
        (cube_id, space, space),
    ).fetchone()
    if row is None:
        raise rows.unknown(cube_id)
    seq, root, number, salt, *own = row
    return Last(seq, root, number, salt, rows.cube_of(tuple(own)))


def _govern(connection: sqlite3.Connection, cube_id: str, policy: Policy, space: str | None) -> MemCube:
    """Give all versions of a memory another policy."""
    last = last_of(connection, cube_id, space)
    if last.cube.state is State.FROZEN:
        raise frozen(cube_id)
    for seq, root, number, salt, *own in connection.execute(
        f"SELECT c.seq, c.root, c.space, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? ORDER BY c.version",
        (cube_id,),
    ).fetchall():
        cube = replace(rows.cube_of(tuple(own)), policy=policy)
        connection.execute(rows.SET_POLICY, (*rows.policy_columns(policy), seq))
        journal.append(connection, "govern", (number, root, seq), cube, journal.commit_to_policy(cube, salt))
    return replace(last.cube, policy=policy)


def _is_current(connection: sqlite3.Connection, cube_id: str, version: int) -> bool:
    query = "SELECT 1 FROM cubes WHERE id = ? AND version = ? AND superseded_at IS NULL AND state = 'active'"
    return connection.execute(query, (cube_id, version)).fetchone() is not None


def _put_away(
    connection: sqlite3.Connection, last: Last, wish: Transition, now: datetime, spare: str | None
) -> MemCube:
    superseded = last.cube.superseded_at or now  # what was held never was current
    connection.execute(
        "UPDATE cubes SET state = ?, hidden = 1, superseded_at = ? WHERE seq = ?",
        (wish.to.value, superseded.isoformat(), last.seq),
    )
    record(connection, last, wish, now)
    for (child,) in connection.execute(
        "SELECT DISTINCT l.child FROM lineage l JOIN cubes c ON c.id = l.child WHERE l.parent = ? AND l.child IS NOT ? "
        "AND c.superseded_at IS NULL AND c.state <> 'frozen' ORDER BY l.child",
        (wish.cube_id, spare),
    ).fetchall():
        _put_away(
            connection,
            last_of(connection, child, None),
            Transition(child, State.ARCHIVED, f"its source {wish.cube_id} was put away", wish.by),
            now,
            None,
        )
    return replace(last.cube, state=wish.to, hidden=True, superseded_at=superseded)


def _bring_back(connection: sqlite3.Connection, last: Last, wish: Transition, now: datetime) -> MemCube:
    """Write the same text again as the next version, and undo the merge that the memory had gone into."""
    cube = say_again(connection, last, last, wish, now)
    if last.cube.state is State.MERGED:
        _undo_merge(connection, wish, now)
    return cube


def say_again(connection: sqlite3.Connection, last: Last, what: Last, wish: Transition, now: datetime) -> MemCube:
    """Write what an earlier version says as the next one, with its keys and what was read out of it. `last` is closed already.

    A time to live that is over stays so, unless the wish renews it: recall does not show what comes back, and care expires it.
    """
    policy = last.cube.policy
    if wish.renew and policy.expires_at is not None and policy.expires_at <= now:
        policy = replace(policy, expires_at=None)
    cube = replace(
        what.cube, version=last.cube.version + 1, recorded_at=now, superseded_at=None, state=State.ACTIVE, hidden=False,
        policy=policy, valid_to=what.cube.given_to,
    )  # fmt: skip
    keys = Keys(*connection.execute(f"SELECT {rows.KEYS} FROM keys k WHERE k.seq = ?", (what.seq,)).fetchone())
    seq = rows.insert(connection, Draft(cube, keys, None), last.space, last.root, "restore")
    [(salt,)] = connection.execute("SELECT salt FROM cubes WHERE seq = ?", (seq,))
    _copy_reading(connection, what, (last.space, last.root, seq), cube, salt)
    record(connection, Last(seq, last.root, last.space, salt, cube), wish, now, last.cube.state)
    return cube


def _copy_reading(
    connection: sqlite3.Connection, what: Last, place: tuple[int, int, int], cube: MemCube, salt: bytes
) -> None:
    row = connection.execute(
        "SELECT extractor, content, mentions, links, terms, vectors, at FROM extractions WHERE seq = ?", (what.seq,)
    ).fetchone()
    if row is None:
        return
    *reading, at = row
    connection.execute(
        "INSERT INTO extractions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (place[2], place[0], reading[0], at, *reading[1:]),
    )
    commitment = journal.commit_to_reading(reading[0], reading[1], salt)
    journal.append(connection, "extract", place, cube, commitment)
    claimed.insert(connection, place[2], place[0], claimed.by_model(cube, content_of(reading[1])), reading[0])


def _undo_merge(connection: sqlite3.Connection, wish: Transition, now: datetime) -> None:
    """Put the product away and bring the other parents back: who speaks for himself again needs no speaker."""
    for (product,) in connection.execute(
        "SELECT DISTINCT l.child FROM lineage l JOIN cubes c ON c.id = l.child WHERE l.parent = ? AND c.superseded_at IS NULL "
        "AND c.method LIKE 'merged/%'",
        (wish.cube_id,),
    ).fetchall():
        undone = f"unmerged with {wish.cube_id}"
        move(connection, Transition(product, State.ARCHIVED, undone, wish.by), now)
        bring_back_parents(connection, product, Transition("", State.ACTIVE, undone, wish.by), now)


def bring_back_parents(connection: sqlite3.Connection, product: str, wish: Transition, now: datetime) -> list[str]:
    """Restore every memory that went into a merge and is not back yet. For the end of the product, by an undo or an erasure."""
    parents = connection.execute(
        "SELECT l.parent FROM lineage l JOIN cubes c ON c.id = l.parent WHERE l.child = ? AND c.state = 'merged' "
        "AND c.version = (SELECT max(version) FROM cubes o WHERE o.id = c.id) ORDER BY l.parent",
        (product,),
    ).fetchall()
    for (parent,) in parents:
        _bring_back(connection, last_of(connection, parent, None), wish._replace(cube_id=parent), now)
    return [parent for (parent,) in parents]


def record(
    connection: sqlite3.Connection, last: Last, wish: Transition, now: datetime, was: State | None = None
) -> None:
    """Write the event and the journal entry that commits to it. `was` is the state before, where the cube does not say it."""
    at = now.isoformat()
    steps = ((was or last.cube.state).value, wish.to.value)
    commitment = journal.commit_to_event(at, steps, wish.reason, wish.by, last.salt)
    entry = journal.append(connection, "state", (last.space, last.root, last.seq), last.cube, commitment)
    connection.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (entry, at, last.cube.id, last.seq, *steps, wish.reason, wish.by),
    )
