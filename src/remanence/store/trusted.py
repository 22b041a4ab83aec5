"""Sources that were revoked, echoes of own answers, recorded questions, and rollouts: small tables beside the cubes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from remanence.store.connections import Connections

_MANY = 500  # SQLite takes a bounded number of parameters per statement
_LOOKED = 1024  # the newest versions of a space, among which a writer's last texts are looked for


@dataclass(frozen=True, slots=True)
class RevokedSource:
    """A source that may not write to a space."""

    source: str
    at: datetime
    reason: str


class Recorded(NamedTuple):
    """A question as it was asked, and what it found."""

    number: int
    at: datetime
    question: str
    filters: Mapping[str, Any]
    ids: tuple[str, ...]


class Trusted:
    """The tables `sources`, `echoes`, `questions` and `rollouts`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

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

    # ── what a writer wrote last ─────────────────────────────────────────────────────────────────────────────────────

    def recent(self, space: str, writer: tuple[str, str | None], limit: int) -> tuple[list[str], list[str]]:
        """The last texts of a writer, a source and an author, and those of everybody else, among the newest of a space."""
        source, author = writer
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT c.source = ? AND c.author IS ?, c.text FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? "
                f"AND c.version = 1 ORDER BY c.seq DESC LIMIT {_LOOKED}",
                (source, author, space),
            ).fetchall()
        own = [text for is_own, text in found if is_own]
        return own[:limit], [text for is_own, text in found if not is_own][:limit]

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
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT max(q.n), q.at, q.question, q.filters, q.ids FROM questions q JOIN spaces s ON s.number = q.space "
                "WHERE s.name = ? GROUP BY q.question, q.filters ORDER BY max(q.n) DESC LIMIT ?",
                (space, limit),
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
                "SELECT r.body FROM rollouts r JOIN spaces s ON s.number = r.space WHERE ? IS NULL OR s.name = ? ORDER BY r.at, r.id",
                (space, space),
            ).fetchall()
        return [json.loads(body) for (body,) in found]

    def rollout(self, trial_id: str) -> dict[str, Any] | None:
        """The record of one trial; None if there is none."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT body FROM rollouts WHERE id = ?", (trial_id,)).fetchone()
        return None if row is None else json.loads(row[0])


def number_of(connection: sqlite3.Connection, space: str) -> int | None:
    """The number of a space; None if nothing was ever written to it."""
    row = connection.execute("SELECT number FROM spaces WHERE name = ?", (space,)).fetchone()
    return None if row is None else row[0]
