"""Jobs: moves of memories from one form to another. They name ids only; a row goes when one of its memories is forgotten.

A job is waiting, running, done, failed or undone. What a process was at when it ended is taken up again: a running job whose
process is gone counts as waiting. Nothing is half-made by then, because an artefact becomes a memory in one transaction.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from remanence.errors import InputError, NotFoundError
from remanence.store.connections import Connections

_COLUMNS = "n, space, what, ids, state, at, body"
_OWN = uuid.uuid4().hex  # tells this process from a later one with the same number
_AT_WORK: set[tuple[object, int]] = set()
"""Jobs that threads of this process are at, by place and number: a memory may be closed while one of its jobs runs."""


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Job:
    """One move."""

    n: int
    space: str
    what: str
    """`derive activation`, `derive parametric`, `drop`."""
    ids: tuple[str, ...]
    """The memories that it is about, in order."""
    artefact: str | None
    """The cache or the adapter that it made, or is to put away."""
    state: JobState
    at: datetime
    """When it came into this state."""
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Why, what was expected, what it took, what went wrong."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "n": self.n, "space": self.space, "what": self.what, "ids": list(self.ids), "artefact": self.artefact,
            "state": self.state.value, "at": self.at.isoformat(), "body": dict(self.body),
        }  # fmt: skip


Listed = list[Job]  # named here because `Jobs.list` hides the builtin inside the class


class Jobs:
    """The table of jobs."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._place: object = id(self) if connections.in_memory else Path(connections.location).resolve()

    def add(
        self, space: str, what: str, ids: Sequence[str], now: datetime, *, artefact: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Job | None:  # fmt: skip
        """Let a job wait. None if one that does the same to the same memories waits or runs already, or one of them is gone."""
        named, said = _named(ids, artefact), _said(body or {}, artefact)
        with self._connections.write() as connection:
            there = connection.execute(
                "SELECT count(*) FROM (SELECT DISTINCT id FROM cubes WHERE id IN (SELECT value FROM json_each(?)))",
                (named,),
            ).fetchone()[0]
            doubled = connection.execute(
                "SELECT 1 FROM jobs WHERE space = ? AND what = ? AND ids = ? AND state IN ('waiting', 'running')",
                (space, what, named),
            ).fetchone()
            if doubled or there < len(set(json.loads(named))):
                return None
            n = connection.execute(
                "INSERT INTO jobs (space, what, ids, state, at, body) VALUES (?, ?, ?, ?, ?, ?)",
                (space, what, named, JobState.WAITING, now.isoformat(), said),
            ).lastrowid
            return _get(connection, n)

    def next(self, now: datetime, space: str | None = None) -> Job | None:
        """The oldest job that waits, or that a process left when it ended: it is running from now on. None if there is none."""
        with self._connections.write() as connection:
            for row in connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('waiting', 'running') AND (? IS NULL OR space = ?) ORDER BY n",
                (space, space),
            ).fetchall():
                job = _job(row)
                if job.state is JobState.WAITING or not self._is_at_work(job):
                    _move(connection, job, JobState.RUNNING, now, {"by": _me()})
                    _AT_WORK.add((self._place, job.n))
                    return _get(connection, job.n)
        return None

    def finish(
        self, n: int, now: datetime, *, artefact: str | None = None, body: Mapping[str, Any] | None = None
    ) -> None:
        """A running job is done; `artefact` is what it made. Nothing happens if it was forgotten meanwhile, or is not running."""
        self._end(n, JobState.DONE, now, body or {}, artefact)

    def fail(self, n: int, now: datetime, error: str, *, gone: bool = False) -> None:
        """A running job failed, and why; `gone`: because its memories changed. Nothing happens if it is not running any more."""
        self._end(n, JobState.FAILED, now, {"error": error, **({"gone": True} if gone else {})})

    def put_back(self, n: int, now: datetime) -> None:
        """A running job waits again: it was stopped. Nothing happens if it was forgotten meanwhile, or is not running."""
        self._end(n, JobState.WAITING, now, {})

    def let_go(self, n: int) -> None:
        """Nobody here is at this job any more, and the store is closed: whoever opens it takes the job up."""
        _AT_WORK.discard((self._place, n))

    def _end(
        self, n: int, state: JobState, now: datetime, body: Mapping[str, Any], artefact: str | None = None
    ) -> None:  # fmt: skip
        try:
            with self._connections.write() as connection:
                job = _find(connection, n)
                if job is not None and job.state is JobState.RUNNING:
                    _move(connection, job, state, now, body, artefact)
        finally:
            self.let_go(n)

    def _is_at_work(self, job: Job) -> bool:
        """Whether the thread or process that took a job is still at it. A number alone would not do: systems give them again."""
        match job.body.get("by"):
            case [int(process), str(born), str(own)]:
                if process == os.getpid():
                    return own == _OWN and (self._place, job.n) in _AT_WORK
                return _is_alive(process) and (not born or born == _born(process))
            case _:
                return False

    def undo(self, n: int, now: datetime, *, artefact: str | None = None) -> Job:
        """Mark a job that is done as undone, or take back one that waits. `artefact` is what undoing it made.

        Raises
        ------
        NotFoundError
            There is no such job.
        InputError
            It is running, failed, or undone already.
        """
        with self._connections.write() as connection:
            job = self._found(connection, n)
            if job.state not in {JobState.DONE, JobState.WAITING}:
                raise InputError(f"The job {n} is {job.state}.", "Undo one that is done, or that waits.")
            _move(connection, job, JobState.UNDONE, now, {"was": job.state.value}, artefact)
            return _get(connection, n)

    def get(self, n: int) -> Job:
        """One job; NotFoundError if there is none, or what it was about was forgotten."""
        with self._connections.read() as connection:
            return self._found(connection, n)

    def list(self, space: str, state: JobState | None = None, limit: int = 1000) -> Listed:
        """The jobs of a space, newest first."""
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE space = ? AND (? IS NULL OR state = ?) ORDER BY n DESC LIMIT ?",
                (space, state, state, limit),
            ).fetchall()
        return [_job(row) for row in found]

    def _found(self, connection: sqlite3.Connection, n: int) -> Job:
        job = _find(connection, n)
        if job is None:
            raise NotFoundError(f"There is no job {n}.", "List them: remanence schedule jobs")
        return job


def _find(connection: sqlite3.Connection, n: int | None) -> Job | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE n = ?", (n,)).fetchone()
    return None if row is None else _job(row)


def _get(connection: sqlite3.Connection, n: int | None) -> Job:
    job = _find(connection, n)
    assert job is not None
    return job


def _move(
    connection: sqlite3.Connection, job: Job, state: JobState, now: datetime, more: Mapping[str, Any],
    artefact: str | None = None,
) -> None:  # fmt: skip
    kept = {name: value for name, value in job.body.items() if name not in {"by", "artefact"}}
    artefact = artefact or job.artefact
    connection.execute(
        "UPDATE jobs SET state = ?, at = ?, ids = ?, body = ? WHERE n = ?",
        (state, now.isoformat(), _named(job.ids, artefact), _said({**kept, **more}, artefact), job.n),
    )


def _named(ids: Sequence[str], artefact: str | None) -> str:
    """All ids that a row names, the artefact's last: an erasure of any of them finds the row by this."""
    return json.dumps([*ids, *([artefact] if artefact is not None else [])])


def _said(body: Mapping[str, Any], artefact: str | None) -> str:
    return json.dumps({**body, **({"artefact": artefact} if artefact is not None else {})}, sort_keys=True)


def _job(row: tuple[Any, ...]) -> Job:
    n, space, what, ids, state, at, text = row
    body = json.loads(text)
    artefact = body.pop("artefact", None)
    named = json.loads(ids)
    members = named[:-1] if artefact is not None else named
    return Job(n, space, what, tuple(members), artefact, JobState(state), datetime.fromisoformat(at), body)


# ── who is at work ───────────────────────────────────────────────────────────────────────────────────────────────────


def _me() -> list[Any]:
    return [os.getpid(), _born(os.getpid()), _OWN]


def _born(process: int) -> str:
    """When a process began, in ticks since the system did; empty where the system does not say."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[19] if len(fields) > 19 else ""


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere there is no harmless way to ask
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
