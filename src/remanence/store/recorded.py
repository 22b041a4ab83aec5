"""Questions that were recorded about memories: which of them go when the memories do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from remanence.cubes import MemCube
from remanence.language.sameness import normalised, telling_sentences

_LEAST = 12  # characters of a normalised text that a question has to hold to be about it: "yes" is in many


class Questions(NamedTuple):
    """Recorded questions that go."""

    numbers: tuple[int, ...]
    texts: tuple[str, ...]


def questions_about(connection: sqlite3.Connection, ids: Sequence[str], cubes: Sequence[MemCube]) -> Questions:
    """Those that one of these memories answered, that repeat its text or a sentence of it, or that were asked where nothing is
    left: in a space, or of a user there, all of whose memories are among these.
    """
    recorded = connection.execute(
        "SELECT q.n, s.name, q.question, q.filters, q.ids FROM questions q JOIN spaces s ON s.number = q.space"
    ).fetchall()
    if not recorded:
        return Questions((), ())
    gone, phrases, emptied = set(ids), _phrases(cubes), _emptied(connection, ids, cubes)
    found: list[tuple[int, str]] = []
    for number, space, question, filters, answered in recorded:
        user = json.loads(filters).get("user")
        if (
            gone.intersection(json.loads(answered))
            or (space, None) in emptied
            or (user is not None and (space, user) in emptied)
            or any(phrase in normalised(question) for phrase in phrases)
        ):
            found.append((number, question))
    return Questions(tuple(one for one, _ in found), tuple(text for _, text in found))


def _phrases(cubes: Sequence[MemCube]) -> list[str]:
    whole = [normalised(cube.text) for cube in cubes]
    return [text for text in whole if len(text) >= _LEAST] + [
        normalised(sentence) for cube in cubes for sentence in telling_sentences(cube.text)
    ]


def _emptied(
    connection: sqlite3.Connection, ids: Sequence[str], cubes: Sequence[MemCube]
) -> set[tuple[str, str | None]]:
    """Spaces, and users of spaces, of whom no other memory is left."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS going (id TEXT PRIMARY KEY)")
    connection.execute("DELETE FROM going")
    connection.executemany("INSERT OR IGNORE INTO going VALUES (?)", [(one,) for one in ids])
    places = {(cube.scope.space, user) for cube in cubes for user in (None, cube.scope.user)}
    found = {
        place
        for place in places
        if connection.execute(
            "SELECT 1 FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? AND (? IS NULL OR c.user = ?) "
            "AND c.id NOT IN (SELECT id FROM going) LIMIT 1",
            (place[0], place[1], place[1]),
        ).fetchone()
        is None
    }
    connection.execute("DELETE FROM going")
    return found
