"""Who may do what: principals, their roles in spaces, and the log of what was asked for. Rows only; the gate decides."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from remanence.store import journal, rows
from remanence.store.connections import Connections
from remanence.store.shares import COLUMNS, Shares, share_commitment

EVERYWHERE = "*"
"""The space of a grant that holds in all spaces, also in those that are yet to come."""


class Granted(NamedTuple):
    """A role of a principal in a space, in the order of the table's columns."""

    space: str
    principal: str
    role: str
    labels: tuple[str, ...]
    """Sensitivity labels that the principal may see beside what has none."""
    at: str
    by: str

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {**self._asdict(), "labels": list(self.labels)}


class Place(NamedTuple):
    """Where a memory is, and what keeps it from a caller."""

    space: str
    sensitivity: str | None
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """One line of the access log. It holds no text of questions or memories."""

    n: int
    at: datetime
    principal: str
    operation: str
    space: str
    """"*" for what concerns the whole store, and for a memory that is not there."""
    allowed: bool
    cubes: tuple[str, ...]
    """Ids of what was returned or touched."""
    withheld: int
    """How many memories in scope the principal was not shown."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "n": self.n, "at": self.at.isoformat(), "principal": self.principal, "operation": self.operation,
            "space": self.space, "allowed": self.allowed, "cubes": list(self.cubes), "withheld": self.withheld,
        }  # fmt: skip


class Log(list[Access]):
    """Some lines of the access log, oldest first, and the cursor that the next page goes on from; None at the end."""

    def __init__(self, lines: list[Access], cursor: str | None) -> None:
        super().__init__(lines)
        self.cursor = cursor


class Grants:
    """Principals, grants and the access log on the connections of one SQLite file; `shares` beside them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.shares = Shares(connections)

    # ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def grant(self, granted: Granted) -> None:
        """Write a grant, in place of what the principal had in that space, with its entry in the journal."""
        labels = json.dumps(list(granted.labels), ensure_ascii=False)
        with self._connections.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO principals (name, at) VALUES (?, ?)", (granted.principal, granted.at)
            )
            connection.execute(
                "INSERT OR REPLACE INTO grants (space, principal, role, labels, at, by) VALUES (?, ?, ?, ?, ?, ?)",
                (granted.space, granted.principal, granted.role, labels, granted.at, granted.by),
            )
            _journal(connection, "grant", granted)

    def revoke(self, principal: str, space: str) -> Granted | None:
        """Take a grant back. Returns what it was; None if there was none."""
        with self._connections.write() as connection:
            found = _read(connection, "WHERE space = ? AND principal = ?", (space, principal))
            if not found:
                return None
            connection.execute("DELETE FROM grants WHERE space = ? AND principal = ?", (space, principal))
            _journal(connection, "revoke", found[0])
        return found[0]

    def held(self, principal: str, space: str | None) -> list[Granted]:
        """What a principal holds in a space, with what holds everywhere; for None only the latter."""
        with self._connections.read() as connection:
            return _read(connection, "WHERE space IN (?, ?) AND principal = ?", (space, EVERYWHERE, principal))

    def listed(self, space: str | None = None, principal: str | None = None) -> list[Granted]:
        """All grants of a space, of a principal, or of both; ordered by space and principal."""
        with self._connections.read() as connection:
            return _read(
                connection, "WHERE (:s IS NULL OR space = :s) AND (:p IS NULL OR principal = :p)",
                {"s": space, "p": principal},
            )  # fmt: skip

    def principals(self) -> list[str]:
        """Everybody who was ever granted something."""
        with self._connections.read() as connection:
            return [name for (name,) in connection.execute("SELECT name FROM principals ORDER BY name")]

    def place(self, cube_id: str) -> Place | None:
        """Where a memory is, and the policy of its newest version; None where there is no such memory."""
        with self._connections.read() as connection:
            row = connection.execute(
                f"SELECT s.name, c.sensitivity, c.access FROM {rows.CUBES} WHERE c.id = ? ORDER BY c.version DESC LIMIT 1",
                (cube_id,),
            ).fetchone()
        return None if row is None else Place(row[0], row[1], tuple(json.loads(row[2])))

    # ── the access log ───────────────────────────────────────────────────────────────────────────────────────────────

    def record(
        self, at: datetime, principal: str, operation: str, space: str | None, cubes: Sequence[str], withheld: int,
        *, allowed: bool,
    ) -> None:  # fmt: skip
        """Write a line of the log, as durably as a memory."""
        values = (moment(at), principal, operation, space or EVERYWHERE, allowed, json.dumps(list(cubes)), withheld)
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO access_log (at, principal, op, space, allowed, cubes, withheld) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def log(self, filters: Mapping[str, str | bool], limit: int, after: str | None) -> Log:
        """Lines of the log that pass all filters: since, until, principal, operation, space, cube, allowed."""
        asked = [(_FILTERS[name], value) for name, value in filters.items()]
        conditions = "".join(f" AND {condition}" for condition, _ in asked)
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT n, at, principal, op, space, allowed, cubes, withheld FROM access_log l "
                f"WHERE n > ?{conditions} ORDER BY n LIMIT ?",
                (rows.cursor(after), *(value for _, value in asked), limit + 1),
            ).fetchall()
        lines = [
            Access(n, datetime.fromisoformat(at), who, op, space, bool(allowed), tuple(json.loads(cubes)), withheld)
            for n, at, who, op, space, allowed, cubes, withheld in found[:limit]
        ]
        return Log(lines, str(lines[-1].n) if len(found) > limit else None)


_FILTERS = {
    "since": "at >= ?", "until": "at < ?", "principal": "principal = ?", "operation": "op = ?", "space": "space = ?",
    "allowed": "allowed = ?", "cube": "EXISTS (SELECT 1 FROM json_each(l.cubes) e WHERE e.value = ?)",
}  # fmt: skip


def moment(at: datetime) -> str:
    """A moment as the log keeps it: UTC, with microseconds, so that texts compare as times do."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def _read(connection: sqlite3.Connection, where: str, values: tuple[object, ...] | dict[str, object]) -> list[Granted]:
    found = connection.execute(
        f"SELECT space, principal, role, labels, at, by FROM grants {where} ORDER BY space, principal", values
    ).fetchall()
    return [
        Granted(space, principal, role, tuple(json.loads(labels)), at, by)
        for space, principal, role, labels, at, by in found
    ]


# ── what the journal says of grants and shares ───────────────────────────────────────────────────────────────────────


def _journal(connection: sqlite3.Connection, op: str, granted: Granted) -> None:
    secret = _secret(connection)
    row = connection.execute("SELECT number FROM spaces WHERE name = ?", (granted.space,)).fetchone()
    commitment = _commitment(secret, op, granted)
    journal.note(connection, op, row[0] if row else 0, _subject(secret, granted), commitment)


def _secret(connection: sqlite3.Connection) -> bytes:
    [(secret,)] = connection.execute("SELECT value FROM notes WHERE name = 'secret'")
    return bytes.fromhex(secret)


def _subject(secret: bytes, granted: Granted) -> str:
    """What stands for a principal in a space: the journal cannot be erased, so it holds no names."""
    return hmac.digest(secret, f"grant\0{granted.space}\0{granted.principal}".encode(), "sha256")[:16].hex()


def _commitment(secret: bytes, op: str, granted: Granted) -> bytes:
    return hmac.digest(secret, f"{op}\0{json.dumps(granted)}".encode(), "sha256")


def grants_problems(connection: sqlite3.Connection, secret: bytes) -> Iterator[str]:
    """Compare the tables of grants and shares with what the journal says of them: one item for each row or missing row, empty where all is well.

    The last entry about a principal in a space, and about a share, says what has to stand there.
    """
    last: dict[str, tuple[str, bytes]] = {}
    for subject, op, commitment in connection.execute(
        "SELECT id, op, commitment FROM journal WHERE op IN ('grant', 'revoke', 'share', 'unshare') ORDER BY entry"
    ):
        last[subject] = (op, commitment)
    for granted in _read(connection, "", ()):
        said = last.pop(_subject(secret, granted), None)
        yield _difference(
            f"the grant of {granted.principal} in {granted.space}", said, _commitment(secret, "grant", granted)
        )
    for row in connection.execute(f"SELECT {COLUMNS} FROM shares ORDER BY id"):
        yield _difference(f"the share {row[0]}", last.pop(row[0], None), share_commitment(secret, row))
    for subject, (op, _) in last.items():
        if op in {"grant", "share"}:
            yield f"grants: a {op} that the journal names is not there: {subject}"


def _difference(what: str, said: tuple[str, bytes] | None, commitment: bytes) -> str:
    if said is None or said[0] not in {"grant", "share"}:
        return f"grants: {what} is not in the journal"
    return "" if hmac.compare_digest(said[1], commitment) else f"grants: {what} is not what the journal says"
