"""Sources that were revoked, echoes of own answers, recorded questions, and rollouts: small tables beside the cubes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from remanence.cubes import State
from remanence.policies import Clock
from remanence.store import rows
from remanence.store.connections import Connections
from remanence.store.decided import note_rollout, note_source
from remanence.store.lifecycle import Last, last_of, move, record, say_again
from remanence.store.parts import Transition

_MANY = 500  # SQLite takes a bounded number of parameters per statement
_LOOKED = 1024  # the newest memories of a space, among which a writer's last texts are looked for


@dataclass(frozen=True, slots=True)
class RevokedSource:
    """A source that may not write to a space."""

    source: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a revocation, or its reversal, changed."""

    source: str
    away: tuple[str, ...]
    """Ids of memories that were put away, or came back."""
    undone: tuple[str, ...]
    """Ids of memories whose correction was undone, or done again."""
    frozen: tuple[str, ...]
    """Ids of memories of it that are frozen, and stay."""


class Recorded(NamedTuple):
    """A question as it was asked, and what it found."""

    number: int
    at: datetime
    question: str
    filters: Mapping[str, Any]
    ids: tuple[str, ...]


class Trusted:
    """The tables `sources`, `echoes`, `questions` and `rollouts`."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections, self._clock = connections, clock

    # ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def revoked(self, space: str) -> list[RevokedSource]:
        """The revoked sources of a space, oldest first."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT r.source, r.at, r.reason FROM sources r JOIN spaces s ON s.number = r.space WHERE s.name = ? "
                "ORDER BY r.at, r.source",
                (space,),
            ).fetchall()
        return [RevokedSource(source, datetime.fromisoformat(at), reason) for source, at, reason in found]

    def revoke(self, space: str, source: str, reason: str, by: str) -> Revoked:
        """Put away all that a source wrote, undo its corrections, and refuse it from now on: one durable transaction."""
        with self._connections.write() as connection:
            number, now = number_of(connection, space), self._clock()
            if number is None:
                return Revoked(source, (), (), ())
            away, undone = list[str](), list[str]()
            frozen = _unmerged(
                connection, number, source, Transition("", State.ACTIVE, f"unmerged from {source}", by), now
            )
            for last in _newest_of(connection, number, source):
                earlier = _before_correction(connection, last, source)
                if last.cube.state is State.FROZEN:
                    frozen.append(last.cube.id)
                elif earlier is None and last.cube.provenance.method in _BY_OTHERS and last.cube.version > 1:
                    continue  # what somebody else made of it is theirs
                elif earlier is None:
                    move(connection, Transition(last.cube.id, State.ARCHIVED, f"{_REVOKED}{source}", by), now)
                    away.append(last.cube.id)
                else:
                    wish = Transition(last.cube.id, State.ARCHIVED, f"{_UNDONE}{source}", by)
                    move(connection, wish, now)
                    _reinstate(connection, earlier, wish, now)
                    undone.append(last.cube.id)
            connection.execute(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", (number, source, now.isoformat(), reason)
            )
            note_source(connection, number, source, (now.isoformat(), reason))
        return Revoked(source, tuple(away), tuple(undone), tuple(frozen))

    def accept(self, space: str, source: str, by: str) -> Revoked:
        """Believe a source again: what its revocation put away comes back, its corrections count again."""
        with self._connections.write() as connection:
            number, now = number_of(connection, space), self._clock()
            if (
                number is None
                or not connection.execute(
                    "DELETE FROM sources WHERE space = ? AND source = ?", (number, source)
                ).rowcount
            ):
                return Revoked(source, (), (), ())
            away, undone = list[str](), list[str]()
            for cube_id in _with_reason(connection, number, f"{_REVOKED}{source}", recalled=True):
                last = last_of(connection, cube_id, None)
                if (other := distrusted(connection, last)) is not None:
                    wish = Transition(cube_id, State.ARCHIVED, f"{_REVOKED}{other}", by)
                    record(connection, last, wish, last.cube.superseded_at or now)  # it has been away since then
                    continue
                move(connection, Transition(cube_id, State.ACTIVE, f"accepted again: {source}", by), now)
                away.append(cube_id)
            for cube_id in _with_reason(connection, number, f"{_UNDONE}{source}"):
                versions = _versions(connection, cube_id)
                theirs = next((one for one in reversed(versions) if one.cube.hidden), None)
                if (
                    theirs is None
                    or versions[-1].cube.superseded_at is not None
                    or versions[-1].cube.state is State.FROZEN
                ):
                    continue
                if (other := distrusted(connection, theirs)) is not None:
                    record(connection, versions[-1], Transition(cube_id, State.ACTIVE, f"{_UNDONE}{other}", by), now)
                    continue
                wish = Transition(cube_id, State.ARCHIVED, f"accepted again: {source}", by)
                move(connection, wish, now)
                _reinstate(connection, theirs, wish, now)
                undone.append(cube_id)
            note_source(connection, number, source, None)
        return Revoked(source, tuple(away), tuple(undone), ())

    # ── quarantine ───────────────────────────────────────────────────────────────────────────────────────────────────

    def held(self, ids: Sequence[str]) -> dict[str, str]:
        """Why those of some memories are held that are, by id."""
        found: dict[str, str] = {}
        with self._connections.read() as connection:
            for at in range(0, len(ids), _MANY):
                some = ids[at : at + _MANY]
                holes = ", ".join("?" * len(some))
                found |= connection.execute(
                    f"SELECT c.id, e.reason FROM cubes c JOIN events e ON e.seq = c.seq WHERE c.id IN ({holes}) AND "
                    "c.state = 'generated' AND c.version = (SELECT max(l.version) FROM cubes l WHERE l.id = c.id) ORDER BY e.entry",
                    some,
                ).fetchall()
        return found

    # ── what a writer wrote last ─────────────────────────────────────────────────────────────────────────────────────

    def newest(self, space: str) -> list[tuple[str, str | None, str]]:
        """Source, author and text of what was written last to a space, newest first; a bounded number."""
        with self._connections.read() as connection:
            return connection.execute(
                "SELECT c.source, c.author, c.text FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? "
                f"AND c.version = 1 ORDER BY c.seq DESC LIMIT {_LOOKED}",
                (space,),
            ).fetchall()

    # ── echoes ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def keep_echoes(self, space: str, digests: Sequence[bytes], at: datetime) -> None:
        """Remember digests of an answer, durably."""
        if not digests:
            return
        with self._connections.write() as connection:
            number = number_of(connection, space)
            if number is not None:
                connection.executemany(
                    "INSERT OR IGNORE INTO echoes VALUES (?, ?, ?)",
                    [(number, digest, at.isoformat()) for digest in digests],
                )

    def has_echoes(self, space: str) -> bool:
        """Whether any answer left a digest in this space."""
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT 1 FROM echoes e JOIN spaces s ON s.number = e.space WHERE s.name = ? LIMIT 1", (space,)
            ).fetchone()
        return row is not None

    def echoed(self, space: str, digests: Sequence[bytes]) -> frozenset[bytes]:
        """Those of some digests that an answer left in this space."""
        found: set[bytes] = set()
        with self._connections.read() as connection:
            for at in range(0, len(digests), _MANY):
                some = digests[at : at + _MANY]
                holes = ", ".join("?" * len(some))
                found |= {
                    row[0]
                    for row in connection.execute(
                        f"SELECT e.digest FROM echoes e JOIN spaces s ON s.number = e.space WHERE s.name = ? AND e.digest IN ({holes})",
                        (space, *some),
                    )
                }
        return frozenset(found)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def record(self, space: str, question: str, filters: Mapping[str, Any], ids: Sequence[str], at: datetime) -> None:
        """Write down a question, with the filters it was asked with and the memories it found."""
        with self._connections.write() as connection:
            number = number_of(connection, space)
            if number is not None:
                connection.execute(
                    "INSERT INTO questions (space, at, question, filters, ids) VALUES (?, ?, ?, ?, ?)",
                    (number, at.isoformat(), question, json.dumps(dict(filters)), json.dumps(list(ids))),
                )

    def questions(self, space: str, limit: int) -> list[Recorded]:
        """The last recorded questions of a space, newest first; each wording with its filters once."""
        return self._recorded(space, "json_extract(q.filters, '$.probe') IS NULL", (), limit)

    def probes(self, space: str, trial_id: str) -> list[Recorded]:
        """The labelled questions of a trial: recorded like others, so that a forget reaches them; `ids` are the gold."""
        return self._recorded(space, "json_extract(q.filters, '$.probe') = ?", (trial_id,), -1)

    def _recorded(self, space: str, condition: str, values: tuple[str, ...], limit: int) -> list[Recorded]:
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT max(q.n), q.at, q.question, q.filters, q.ids FROM questions q JOIN spaces s ON s.number = q.space "
                f"WHERE s.name = ? AND {condition} GROUP BY q.question, q.filters ORDER BY max(q.n) DESC LIMIT ?",
                (space, *values, limit),
            ).fetchall()
        return [
            Recorded(number, datetime.fromisoformat(at), question, json.loads(filters), tuple(json.loads(ids)))
            for number, at, question, filters, ids in found
        ]

    # ── rollouts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def rollouts(self, space: str | None) -> list[dict[str, Any]]:
        """The records of trials, oldest first; of all spaces without one."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT r.body FROM rollouts r JOIN spaces s ON s.number = r.space WHERE ? IS NULL OR s.name = ? ORDER BY r.n",
                (space, space),
            ).fetchall()
        return [json.loads(body) for (body,) in found]

    def rollout(self, trial_id: str) -> dict[str, Any] | None:
        """The record of one trial; None if there is none."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT body FROM rollouts WHERE id = ?", (trial_id,)).fetchone()
        return None if row is None else json.loads(row[0])

    def keep_rollout(self, space: str, body: Mapping[str, Any], notes: Mapping[str, str | None] | None = None) -> None:
        """Write the record of a trial, new or as it stands now, with a journal entry, and notes that go with it (None: dropped)."""
        at, text = self._clock().isoformat(), json.dumps(body, ensure_ascii=False, sort_keys=True)
        with self._connections.write() as connection:
            number = number_of(connection, space)
            connection.execute(
                "INSERT INTO rollouts (id, space, at, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                (body["id"], number, at, text),
            )
            for name, value in (notes or {}).items():
                if value is None:
                    connection.execute("DELETE FROM notes WHERE name = ?", (name,))
                else:
                    connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
            note_rollout(connection, number or 0, str(body["id"]), text)


_REVOKED, _UNDONE = "source revoked: ", "correction of a revoked source undone: "
_BY_OTHERS = frozenset({"corrected", "merged/corrected"})


def _newest_of(connection: sqlite3.Connection, space: int, source: str) -> list[Last]:
    """The last versions, current or held, of the memories of a source and of what lies below it."""
    below = source.rstrip("/") + "/"
    found = connection.execute(
        f"SELECT c.seq, c.root, c.space, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.space = ? "
        "AND (c.source = ? OR substr(c.source, 1, ?) = ?) AND (c.superseded_at IS NULL OR c.state = 'generated') "
        "AND c.version = (SELECT max(l.version) FROM cubes l WHERE l.id = c.id) ORDER BY c.seq",
        (space, source, len(below), below),
    ).fetchall()
    # What was made from others goes with them.
    return [one for one in map(_last_of, found) if not one.cube.provenance.derived_from]


def _unmerged(connection: sqlite3.Connection, space: int, source: str, wish: Transition, now: datetime) -> list[str]:
    """Undo the merges that memories of a source went into. Returns the products that are frozen, and stay."""
    below = source.rstrip("/") + "/"
    merged = connection.execute(
        "SELECT c.id FROM cubes c WHERE c.space = ? AND (c.source = ? OR substr(c.source, 1, ?) = ?) AND c.state = 'merged' "
        "AND c.version = (SELECT max(l.version) FROM cubes l WHERE l.id = c.id) ORDER BY c.seq",
        (space, source, len(below), below),
    ).fetchall()
    frozen = [one for (cube_id,) in merged for one in _unmerge(connection, cube_id, wish, now)]
    return list(dict.fromkeys(frozen))


def _unmerge(connection: sqlite3.Connection, cube_id: str, wish: Transition, now: datetime) -> list[str]:
    """Bring a merged memory back, after the product that it is in, where that was merged again."""
    frozen: list[str] = []
    for product, state in connection.execute(
        "SELECT c.id, c.state FROM lineage l JOIN cubes c ON c.id = l.child WHERE l.parent = ? AND c.method LIKE 'merged/%' "
        "AND c.version = (SELECT max(o.version) FROM cubes o WHERE o.id = c.id) GROUP BY c.id ORDER BY c.id",
        (cube_id,),
    ).fetchall():
        if state == State.FROZEN.value:
            frozen.append(product)
        elif state == State.MERGED.value:
            frozen += _unmerge(connection, product, wish, now)
    if not frozen and last_of(connection, cube_id, None).cube.state is State.MERGED:  # not back with another one
        move(connection, wish._replace(cube_id=cube_id), now)
    return frozen


def distrusted(connection: sqlite3.Connection, what: Last) -> str | None:
    """The revoked source that a version comes from, or that its source lies below; None if there is none.

    What somebody else made of a memory, and gave no source for, is theirs.
    """
    theirs = what.cube.provenance.source
    for (source,) in connection.execute("SELECT source FROM sources WHERE space = ? ORDER BY source", (what.space,)):
        if theirs != source and not theirs.startswith(source.rstrip("/") + "/"):
            continue
        by_others = what.cube.provenance.method in _BY_OTHERS and what.cube.version > 1
        if not by_others or _before_correction(connection, what, source) is not None:
            return source
    return None


def _before_correction(connection: sqlite3.Connection, last: Last, source: str) -> Last | None:
    """The version that a source corrected: the last one by somebody else. None if it wrote all of them."""
    below = source.rstrip("/") + "/"
    for one in reversed(_versions(connection, last.cube.id)[: last.cube.version - 1]):
        theirs = one.cube.provenance.source
        if theirs != source and not theirs.startswith(below):
            return one
    return None


def _with_reason(connection: sqlite3.Connection, space: int, reason: str, *, recalled: bool = False) -> list[str]:
    """Memories of a space whose last version's last event has this reason; `recalled` leaves out those that were in quarantine before it."""
    found = connection.execute(
        "SELECT e.id FROM events e JOIN cubes c ON c.seq = e.seq WHERE c.space = ? AND e.reason = ? "
        "AND e.entry = (SELECT max(l.entry) FROM events l WHERE l.id = e.id) AND NOT (? AND e.was = ?) "
        "AND c.version = (SELECT max(l.version) FROM cubes l WHERE l.id = c.id) ORDER BY e.entry",
        (space, reason, recalled, State.GENERATED.value),
    ).fetchall()
    return [cube_id for (cube_id,) in found]


def _versions(connection: sqlite3.Connection, cube_id: str) -> list[Last]:
    found = connection.execute(
        f"SELECT c.seq, c.root, c.space, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? ORDER BY c.version",
        (cube_id,),
    ).fetchall()
    return [_last_of(row) for row in found]


def _last_of(row: tuple[Any, ...]) -> Last:
    return Last(row[0], row[1], row[2], row[3], rows.cube_of(row[4:]))


def _reinstate(connection: sqlite3.Connection, old: Last, wish: Transition, now: datetime) -> None:
    """Write an earlier version again as the next one of a memory that was just put away. It holds from when it was replaced."""
    last = _versions(connection, old.cube.id)[-1]
    begins = old.cube.valid_from if old.cube.hidden or old.cube.valid_to is None else old.cube.valid_to
    rows.cut_short(connection, old.cube.id, begins)
    what = old._replace(cube=replace(old.cube, valid_from=begins))
    say_again(connection, last, what, wish._replace(to=State.ACTIVE), now)


def number_of(connection: sqlite3.Connection, space: str) -> int | None:
    """The number of a space; None if nothing was ever written to it."""
    row = connection.execute("SELECT number FROM spaces WHERE name = ?", (space,)).fetchone()
    return None if row is None else row[0]
