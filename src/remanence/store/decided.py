"""Decisions about sources and changes: what the journal commits to, and whether the tables still say so."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator

from remanence.store import journal

_GONE = b""  # what an acceptance commits to: no row


def note_source(connection: sqlite3.Connection, space: int, source: str, row: tuple[str, str] | None) -> None:
    """Journal that a source is revoked, with when and why as in its row, or accepted again (None).

    Keyed by the store's secret: an address may hold personal data.
    """
    key = _key(connection)
    commitment = _GONE if row is None else _revoked(key, source, row)
    journal.note(connection, "source", space, _subject(key, source), commitment)


def note_rollout(connection: sqlite3.Connection, space: int, trial: str, body: str) -> None:
    """Journal the record of a trial as it stands now."""
    journal.note(connection, "rollout", space, trial, _recorded(body))


def note_sources_again(connection: sqlite3.Connection) -> None:
    """Journal the revoked sources of a file of format 3, whose entries committed to something else than the row."""
    key = _key(connection)
    named = connection.execute("SELECT DISTINCT space, id FROM journal WHERE op = 'source'").fetchall()
    revoked = connection.execute("SELECT space, source, at, reason FROM sources").fetchall()
    for space, source, at, reason in revoked:
        note_source(connection, space, source, (at, reason))
    for space, subject in set(named) - {(space, _subject(key, source)) for space, source, *_ in revoked}:
        journal.note(connection, "source", space, subject, _GONE)


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """One item for each revoked source and each trial, empty where the last entry about it says what stands there."""
    key = _key(connection)
    last = {
        (op, space, subject): commitment
        for op, space, subject, commitment in connection.execute(
            "SELECT op, space, id, commitment FROM journal WHERE op IN ('source', 'rollout') ORDER BY entry"
        )
    }
    for space, source, *row in connection.execute("SELECT space, source, at, reason FROM sources"):
        said = last.pop(("source", space, _subject(key, source)), _GONE)
        good = hmac.compare_digest(said, _revoked(key, source, (row[0], row[1])))
        yield "" if good else f"the revoked source {source!r} is not what the journal says"
    for space, trial, body in connection.execute("SELECT coalesce(space, 0), id, body FROM rollouts"):
        said = last.pop(("rollout", space, trial), b"")
        yield "" if hmac.compare_digest(said, _recorded(body)) else f"the trial {trial} is not what the journal says"
    for (op, _, subject), commitment in last.items():
        if commitment != _GONE:
            yield f"a {op} that the journal names is not there: {subject}"


def _key(connection: sqlite3.Connection) -> bytes:
    [(secret,)] = connection.execute("SELECT value FROM notes WHERE name = 'secret'")
    return bytes.fromhex(secret)


def _subject(key: bytes, source: str) -> str:
    return hashlib.blake2b(source.encode(), key=key, digest_size=8).hexdigest()


def _revoked(key: bytes, source: str, row: tuple[str, str]) -> bytes:
    return hashlib.blake2b(json.dumps([source, *row]).encode(), key=key, digest_size=32).digest()


def _recorded(body: str) -> bytes:
    return hashlib.sha256(body.encode()).digest()
