"""What comes again: the same content from the same source, and calls that are repeated under an idempotency key."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from remanence.errors import IdempotencyConflictError
from remanence.policies import Clearance
from remanence.store.cleared import cleared
from remanence.store.protocol import Replay

_MANY = 500  # SQLite takes a bounded number of parameters per statement


def known_marks(
    connection: sqlite3.Connection, marks: Sequence[bytes | None], space: int, clearance: Clearance | None
) -> dict[bytes, str]:
    """Which of these marks a space holds, and the ids they belong to.

    What was said at a known time, or stands in a document, stays said after its correction. A text without a time that comes
    again after its correction is news.
    """
    found: dict[bytes, str] = {}
    seen, values = cleared(clearance)
    for at in range(0, len(marks), _MANY):
        some = marks[at : at + _MANY]
        holes = ", ".join("?" * len(some))
        found |= connection.execute(
            f"SELECT mark, id FROM cubes c WHERE mark IN ({holes}) AND space = ?{seen} AND "
            "(superseded_at IS NULL OR observed_at IS NOT NULL OR role = 'document' OR state = 'generated') "
            "ORDER BY superseded_at IS NULL",
            (*some, space, *values),
        ).fetchall()
    return found


def replayed(connection: sqlite3.Connection, replay: Replay) -> list[str] | None:
    """The ids that this key stored before, None if it is new.

    Raises
    ------
    IdempotencyConflictError
        The key came with another request.
    """
    row = connection.execute(
        "SELECT r.request, r.ids FROM replays r JOIN spaces s ON s.number = r.space WHERE s.name = ? AND r.key = ?",
        (replay.space, _key(replay)),
    ).fetchone()
    if row is None:
        return None
    if row[0] and row[0] != replay.request:  # blank once something of it was forgotten
        raise IdempotencyConflictError(
            f"The idempotency key {replay.key!r} was used before with other content.", "Use a new key for new content."
        )
    return json.loads(row[1])


def keep_replay(connection: sqlite3.Connection, space: int, replay: Replay, ids: Sequence[str], at: datetime) -> None:
    """Write down what a key stored."""
    values = (space, _key(replay), replay.request, json.dumps(ids), at.isoformat(timespec="microseconds"))
    connection.execute("INSERT INTO replays VALUES (?, ?, ?, ?, ?)", values)


def _key(replay: Replay) -> bytes:
    return hashlib.sha256(replay.key.encode()).digest()
