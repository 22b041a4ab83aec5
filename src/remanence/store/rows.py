"""Cubes ↔ rows."""

from __future__ import annotations

import json
import secrets
import sqlite3
from datetime import datetime

from remanence.cubes import MemCube, State, posix
from remanence.drafts import Draft, Keys
from remanence.errors import InputError, StoreDamagedError, UnknownCubeError
from remanence.policies import Policy
from remanence.store import claimed, journal

_FIELDS = (
    "id", "version", "form", "kind", "state", "text", "about", "user", "agent", "session", "source", "author", "role",
    "method", "observed_at", "recorded_at", "valid_from", "valid_to", "superseded_at", "given_to", "hidden",
)  # fmt: skip
"""Columns named as in `MemCube.to_json`; `space` and `meta` need more than a copy."""

_POLICY = ("trust", "sensitivity", "access", "expires_at", "priority", "half_life", "standing")
CUBE = ", ".join(f"c.{name}" for name in (*_FIELDS, *_POLICY)) + ", c.payload, c.derived_from, c.meta, s.name"
"""The columns that `cube_of` reads, for `FROM cubes c JOIN spaces s ON s.number = c.space`."""
CUBES = "cubes c JOIN spaces s ON s.number = c.space"
KEYS = "k.terms, k.dates, k.flags, k.vector, k.mentions"
INDEX = (
    "c.seq, c.root, c.kind, c.user, c.agent, c.session, c.author, c.role, c.source, c.about, "
    "c.observed_at, c.valid_from, c.valid_to, "
    + KEYS
    + ", c.derived_from <> '[]' AND c.method <> 'shared' AND c.method NOT LIKE 'merged/%', c.derived_from <> '[]', "
    "x.mentions, x.links, x.terms, x.vectors, c.recorded_at, c.superseded_at, c.given_to, c.hidden, c.sensitivity, c.access, c.expires_at"
)
"""The columns of `IndexRow`, for `FROM cubes c` and `INDEXED`."""
INDEXED = "JOIN keys k ON k.seq = c.seq LEFT JOIN extractions x ON x.seq = c.seq"

JSON_TYPES: dict[type, str] = {
    str: "'text'", bool: "'true', 'false'", int: "'integer', 'real'", float: "'integer', 'real'", type(None): "'null'",
}  # fmt: skip
"""What SQLite calls the JSON types that a value may equal."""

_COLUMNS = (*_FIELDS, *_POLICY, "payload", "derived_from", "meta", "space", "root", "salt", "mark")
_INSERT = f"INSERT INTO cubes ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


def cube_of(row: tuple[object, ...]) -> MemCube:
    """The cube in a row of `CUBE`.

    Raises
    ------
    StoreDamagedError
        The row does not hold a cube.
    """
    data = dict(zip(_FIELDS, row, strict=False))
    try:
        late = {"derived_from": json.loads(str(row[-3])), "meta": json.loads(str(row[-2])), "space": row[-1]}
        late["policy"] = _policy(row[len(_FIELDS) : -4])
        late["payload"] = None if row[-4] is None else json.loads(str(row[-4]))
        return MemCube.from_json({**data, **late})
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise StoreDamagedError(
            f"The row of cube {data.get('id')!r} is malformed: {error}.", "Restore a backup."
        ) from error


def _policy(columns: tuple[object, ...]) -> dict[str, object]:
    """What `Policy.from_json` reads; columns of a policy that is the default cost nothing."""
    if columns == _PLAIN:
        return {}
    trust, sensitivity, access, expires_at, priority, half_life, standing = columns
    return {
        "trust": trust, "sensitivity": sensitivity, "access": json.loads(str(access)), "expires_at": expires_at,
        "priority": priority, "half_life": half_life, "trigger": None if standing is None else json.loads(str(standing)),
    }  # fmt: skip


_PLAIN = (None, None, "[]", None, 0.0, None, None)


def policy_columns(policy: Policy) -> list[object]:
    """The columns of a policy, in the order of `_POLICY`."""
    data = policy.to_json()
    standing = data.get("trigger")
    return [
        data.get("trust"), data.get("sensitivity"), json.dumps(data.get("access", []), ensure_ascii=False),
        data.get("expires_at"), policy.priority, policy.half_life,
        None if standing is None else json.dumps(standing, ensure_ascii=False),
    ]  # fmt: skip


SET_POLICY = f"UPDATE cubes SET {', '.join(f'{name} = ?' for name in _POLICY)} WHERE seq = ?"


def insert(connection: sqlite3.Connection, draft: Draft, space: int, root: int | None, op: str) -> int:
    """Write a version, its keys and its journal entry. Returns its seq; `root=None` starts a memory."""
    data = draft.cube.to_json()
    salt = secrets.token_bytes(16)
    values = [data[name] for name in _FIELDS] + policy_columns(draft.cube.policy)
    payload = data["payload"]
    values += [None if payload is None else json.dumps(payload, sort_keys=True), json.dumps(data["derived_from"])]
    values += [json.dumps(data["meta"], ensure_ascii=False, separators=(",", ":")), space, root or 0, salt, draft.mark]
    seq = connection.execute(_INSERT, values).lastrowid
    assert seq is not None
    if root is None:
        connection.execute("UPDATE cubes SET root = seq WHERE seq = ?", (seq,))
    connection.executemany(
        "INSERT OR IGNORE INTO lineage VALUES (?, ?)", [(parent, draft.cube.id) for parent in data["derived_from"]]
    )
    insert_keys(connection, seq, space, draft.keys)
    claimed.insert(connection, seq, space, claimed.by_rules(draft.cube))
    place = (space, root or seq, seq)
    journal.append(connection, op, place, draft.cube, journal.commit_to(draft.cube, draft.mark, salt))
    if draft.cube.policy != Policy():
        journal.append(connection, "govern", place, draft.cube, journal.commit_to_policy(draft.cube, salt))
    return seq


def close(connection: sqlite3.Connection, seq: int, valid_to: datetime | None, superseded_at: datetime) -> None:
    """End a version: another one takes over. The reason is not a change of its own: the journal has the other one."""
    connection.execute(
        "UPDATE cubes SET state = 'archived', valid_to = ?, superseded_at = ? WHERE seq = ?",
        (valid_to and valid_to.isoformat(), superseded_at.isoformat(), seq),
    )


def cut_short(connection: sqlite3.Connection, cube_id: str, holds_from: datetime) -> None:
    """End earlier versions no later than a new one begins: a correction may reach back behind several."""
    for seq, text in connection.execute(
        "SELECT seq, valid_to FROM cubes WHERE id = ? AND valid_to IS NOT NULL AND hidden = 0 AND superseded_at IS NOT NULL",
        (cube_id,),
    ).fetchall():
        if posix(datetime.fromisoformat(text)) > posix(holds_from):
            connection.execute("UPDATE cubes SET valid_to = ? WHERE seq = ?", (holds_from.isoformat(), seq))


def insert_keys(connection: sqlite3.Connection, seq: int, space: int, keys: Keys) -> None:
    """Write or replace the keys of a version."""
    connection.execute(
        "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (seq, space, keys.terms, keys.dates, keys.flags, keys.vector, journal.seal(keys), keys.mentions),
    )


def unknown(cube_id: str) -> UnknownCubeError:
    """The error for an id that no row has."""
    return UnknownCubeError(f"No cube has the id {cube_id!r}.", "It may have been forgotten.")


def shared(cube_id: str) -> InputError:
    """The error for a correction of a copy that belongs to another space's memory."""
    return InputError(
        f"The memory {cube_id} is shared from another space and cannot be changed here.",
        "Change the original in its own space, or end the share.",
    )


def retired(cube_id: str, state: str) -> InputError:
    """The error for a correction of what is not current any more."""
    if state != State.ARCHIVED:
        return InputError(
            f"The memory {cube_id} is {state}.",
            "Bring it back first: remanence state restore ID, or memory.lifecycle.restore(id).",
        )
    return InputError(
        f"The memory {cube_id} was retired or put away: something that it was made from was corrected, or somebody did so.",
        "Restore it with memory.lifecycle.restore(id), or add a new memory instead.",
    )


def earlier(given_to: str | None, moment: datetime) -> datetime:
    """Until when a version held that a correction replaces: until then, or as long as it was given for."""
    given = None if given_to is None else datetime.fromisoformat(given_to)
    return given if given is not None and posix(given) < posix(moment) else moment


def beside(
    connection: sqlite3.Connection, cube: MemCube, seen: str = "", values: tuple[str, ...] = ()
) -> list[MemCube]:
    """The current cubes just before and just after one in its session, among those that pass the condition `seen`."""
    if cube.scope.session is None:
        return []
    found: list[MemCube] = []
    for sign, order in (("<", "DESC"), (">", "ASC")):
        row = connection.execute(
            f"SELECT {CUBE} FROM {CUBES} WHERE s.name = ? AND c.superseded_at IS NULL AND c.derived_from = '[]' "
            "AND c.session = ? AND c.user IS ? AND c.agent IS ? "
            f"AND c.root {sign} (SELECT root FROM cubes WHERE id = ? LIMIT 1){seen} ORDER BY c.root {order} LIMIT 1",
            (cube.scope.space, cube.scope.session, cube.scope.user, cube.scope.agent, cube.id, *values),
        ).fetchone()
        found += [] if row is None else [cube_of(row)]
    return found


def cursor(after: str | None) -> int:
    """The root that a page starts after; InputError if the text is no cursor of an earlier page."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise InputError(
            f"{after!r} is not a cursor.", "Pass the `cursor` of the page before, or None for the first page."
        )
    return int(after)
