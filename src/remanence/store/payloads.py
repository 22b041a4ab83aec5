"""The files of caches and adapters: in a folder beside the store, each named by one current row, hashed, and swept when its row goes.

A file is written under a name of its own first. It gets its place inside the transaction that writes its row, and sweeping holds the
same lock: no other process can take it for a leftover in between.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from remanence.cubes import Form, MemCube, Payload, State
from remanence.drafts import Artefact, Draft
from remanence.errors import (
    PayloadDamagedError,
    QuotaError,
    StaleError,
    StoreDamagedError,
    StoreFullError,
    StoreUnwritableError,
)
from remanence.policies import Clearance, Clock
from remanence.settings import Settings
from remanence.store import rows
from remanence.store.cleared import cleared
from remanence.store.connections import Connections
from remanence.store.derived import standing
from remanence.store.lifecycle import move
from remanence.store.parts import Transition
from remanence.store.protocol import Checked

_SUFFIX = ".safetensors"
_BLOCK = 1 << 20
_EVICTED = "evicted to make room"


@dataclass(frozen=True, slots=True)
class Use:
    """How often a cache or an adapter was used, and what it saved."""

    count: int = 0
    seconds: float = 0.0
    last: str | None = None


class Payloads:
    """The folder of payloads of one store, and the rows that name its files."""

    def __init__(self, connections: Connections, settings: Settings, clock: Clock) -> None:
        self._connections, self._clock = connections, clock
        self.quota = settings.payload_quota
        self._own: Path | None = None  # of a store in memory
        self._writing: set[str] = set()
        self._checked: dict[str, tuple[int, int]] = {}

    @property
    def folder(self) -> Path:
        """Where the files lie; it is made when the first is written."""
        return self._own or Path(f"{self._connections.location}.payloads")

    @contextmanager
    def partial(self) -> Generator[Path]:
        """A name to write a payload to. What is still there when the block ends is removed.

        Raises
        ------
        StoreUnwritableError
            The folder cannot be made or written.
        """
        if self._connections.in_memory and self._own is None:
            self._own = Path(tempfile.mkdtemp(prefix="remanence-"))
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreUnwritableError(f"{self.folder}: {error}.", "Make the folder of the store writable.") from error
        path = self.folder / f".{os.getpid()}.{secrets.token_hex(8)}.part"
        self._writing.add(path.name)
        try:
            yield path
        except OSError as error:
            raise StoreFullError(f"{path}: {error}.", "Free some room and call again.") from error
        finally:
            with suppress(OSError):
                _destroy(path)
            self._writing.discard(path.name)

    def keep(self, draft: Draft, artefact: Artefact) -> MemCube:
        """Make a memory of an artefact: its file gets its place, its row is written, caches make room; one transaction.

        Raises
        ------
        StaleError
            Something that it was made of was corrected, put away or forgotten meanwhile. Nothing was written.
        QuotaError
            It is larger than the quota, or than what caches can make room for. Nothing was written.
        """
        size, digest = artefact.path.stat().st_size, _digest(artefact.path)
        name = f"{secrets.token_hex(16)}{_SUFFIX}"
        payload = Payload(artefact.format, name, size, digest, dict(artefact.fingerprint), dict(artefact.details))
        cube = replace(draft.cube, payload=payload)
        with self._connections.write() as connection:
            if not standing(connection, [draft]):
                raise StaleError(
                    "A memory that this was made of changed or went meanwhile. Nothing was written.",
                    "Derive it again from the memories as they are now.",
                )
            self._make_room(connection, size)
            [(space,)] = connection.execute("SELECT number FROM spaces WHERE name = ?", (cube.scope.space,))
            _place(artefact.path, self.folder / name)
            rows.insert(connection, replace(draft, cube=cube), space, None, "add")
        self.sweep()  # what made room
        return cube

    def _make_room(self, connection: sqlite3.Connection, size: int) -> None:
        found = connection.execute(
            "SELECT c.id, c.form, json_extract(c.payload, '$.size'), coalesce(u.seconds, 0), coalesce(u.last, c.recorded_at), c.state "
            "FROM cubes c LEFT JOIN payload_uses u ON u.id = c.id WHERE c.payload IS NOT NULL AND c.superseded_at IS NULL"
        ).fetchall()
        over = sum(row[2] for row in found) + size - self.quota
        caches = [row for row in found if row[1] == Form.ACTIVATION and row[5] != State.FROZEN]
        if over > sum(row[2] for row in caches):
            raise QuotaError(
                f"The payload has {size:,} bytes; with what has to stay that is more than the quota of {self.quota:,}.",
                "Raise Settings.payload_quota, evict adapters, or derive with a lower precision.",
            )
        for cube_id, _, freed, *_ in sorted(caches, key=lambda row: (row[3] / max(row[2], 1), row[4])):
            if over <= 0:
                break
            move(connection, Transition(cube_id, State.ARCHIVED, _EVICTED), self._clock())
            over -= freed

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def path(self, cube: MemCube) -> Path:
        """The file of a cache or an adapter, as it was written: its bytes are hashed, once for each state of the file.

        Raises
        ------
        StaleError
            It was retired, because what it was made of changed, or put away.
        PayloadDamagedError
            The file is missing, or holds other bytes.
        """
        if cube.payload is None or cube.superseded_at is not None or cube.hidden:
            raise StaleError(f"{cube.id} is {cube.state}: it is used no more.", "Derive it again from its memories.")
        found = self.folder / cube.payload.name
        if problem := self._problem(found, cube.payload):
            raise PayloadDamagedError(
                f"The file of {cube.id} {problem}.", "Forget it, and derive it again: its memories hold all of it."
            )
        return found

    def _problem(self, path: Path, payload: Payload) -> str:
        try:
            state = path.stat()
        except FileNotFoundError:
            return "is missing"
        seen = (state.st_mtime_ns, state.st_size)
        if self._checked.get(payload.name) == seen:
            return ""
        if state.st_size != payload.size or _digest(path) != payload.sha256:
            return "is not what was written"
        self._checked[payload.name] = seen
        return ""

    def of(
        self, space: str, form: Form | None = None, made_of: Iterable[str] | None = None,
        clearance: Clearance | None = None,
    ) -> list[MemCube]:  # fmt: skip
        """Current caches and adapters of a space, oldest first; of one form; made of at least one of some memories."""
        seen, values = cleared(clearance)
        wanted = None if made_of is None else json.dumps(list(made_of))
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT {rows.CUBE} FROM {rows.CUBES} WHERE s.name = ? AND c.payload IS NOT NULL AND c.superseded_at IS NULL "
                "AND c.hidden = 0 AND (? IS NULL OR c.form = ?) AND (? IS NULL OR EXISTS (SELECT 1 FROM lineage l "
                f"WHERE l.child = c.id AND l.parent IN (SELECT value FROM json_each(?)))){seen} ORDER BY c.root",
                (space, form, form, wanted, wanted, *values),
            ).fetchall()
        return [rows.cube_of(row) for row in found]

    def used(self, seconds: Mapping[str, float]) -> None:
        """Note one use of each of these caches and adapters, and the seconds that it saved."""
        now = self._clock().isoformat()
        with self._connections.write() as connection:
            connection.executemany(
                "INSERT INTO payload_uses SELECT :id, 1, :s, :at WHERE EXISTS (SELECT 1 FROM cubes WHERE id = :id) "
                "ON CONFLICT (id) DO UPDATE SET count = count + 1, seconds = seconds + :s, last = :at",
                [{"id": one, "s": saved, "at": now} for one, saved in seconds.items()],
            )

    def uses(self, cube_id: str) -> Use:
        """What `used` noted."""
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT count, seconds, last FROM payload_uses WHERE id = ?", (cube_id,)
            ).fetchone()
        return Use() if row is None else Use(*row)

    def read(self, cube_ids: Iterable[str]) -> None:
        """Note that a language model on this machine was given these memories."""
        now = self._clock().isoformat()
        with self._connections.write() as connection:
            connection.executemany(
                "INSERT INTO reads SELECT :id, 1, :at, :at WHERE EXISTS (SELECT 1 FROM cubes WHERE id = :id) "
                "ON CONFLICT (id) DO UPDATE SET count = count + 1, last = :at",
                [{"id": one, "at": now} for one in cube_ids],
            )

    def reads(self, space: str) -> dict[str, tuple[int, str, str]]:
        """How often each memory of a space was read by a model, when first and when last."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT r.id, r.count, r.first, r.last FROM reads r WHERE EXISTS (SELECT 1 FROM cubes c "
                "JOIN spaces s ON s.number = c.space WHERE c.id = r.id AND s.name = ?) ORDER BY r.id",
                (space,),
            ).fetchall()
        return {cube_id: (count, first, last) for cube_id, count, first, last in found}

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def is_tidy(self) -> bool:
        """Whether every file is named by a current row; asks without the write lock."""
        if not self.folder.is_dir():
            return True
        with self._connections.read() as connection:
            named = set(_named(connection))
        return all(path.name in named or path.suffix == ".part" for path in self.folder.iterdir())

    def sweep(self) -> int:
        """Destroy files that no current row names, and what a process that is gone left half written. Returns how many."""
        if not self.folder.is_dir():
            return 0
        gone = 0
        with self._connections.write() as connection:
            named = set(_named(connection))
            for path in self.folder.iterdir():
                if path.name not in named and not self._is_being_written(path.name):
                    _destroy(path)
                    self._checked.pop(path.name, None)
                    gone += 1
        return gone

    def _is_being_written(self, name: str) -> bool:
        if not name.endswith(".part"):
            return False
        process = name.split(".")[1]
        if process == str(os.getpid()):
            return name in self._writing
        return process.isdigit() and _is_alive(int(process))

    def left(self, payloads: Iterable[Payload]) -> int:
        """How many of these files are still there, under their names or others."""
        gone = {(payload.size, payload.sha256) for payload in payloads}
        sizes = {size for size, _ in gone}
        if not self.folder.is_dir():
            return 0
        return sum(
            path.stat().st_size in sizes and (path.stat().st_size, _digest(path)) in gone
            for path in self.folder.iterdir()
        )

    def checked(self, before: Checked) -> Checked:
        """What was checked before, and whether every current cache and adapter has its file."""
        looked_at, problems = self._checked_files()
        return Checked({**before.checks, "payloads": looked_at}, before.problems + problems)

    def _checked_files(self) -> tuple[int, tuple[str, ...]]:
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT {rows.CUBE} FROM {rows.CUBES} WHERE c.payload IS NOT NULL AND c.superseded_at IS NULL AND c.hidden = 0"
            ).fetchall()
        try:
            cubes = [rows.cube_of(row) for row in found]
        except StoreDamagedError as error:
            return 0, (f"payloads: {error.what}",)
        self._checked.clear()
        problems = [
            f"the file of {cube.id} {problem}: derive it again"
            for cube in cubes
            if cube.payload is not None and (problem := self._problem(self.folder / cube.payload.name, cube.payload))
        ]
        return len(cubes), tuple(problems)

    def copy_to(self, location: Path) -> None:
        """Copy the files for a backup of the store at that place."""
        with self._connections.read() as connection:
            names = _named(connection)
        if not names:
            return
        target = Path(f"{location}.payloads")
        target.mkdir(mode=0o700, exist_ok=True)
        for name in names:
            with suppress(FileNotFoundError):  # it is missing here too, and `verify` says so in both places
                shutil.copyfile(self.folder / name, target / name)

    def close(self) -> None:
        """Remove the folder of a store in memory."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None


def _named(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute(
        "SELECT json_extract(payload, '$.name') FROM cubes WHERE payload IS NOT NULL AND superseded_at IS NULL AND hidden = 0"
    )
    return [name for (name,) in found]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(partial: Path, path: Path) -> None:
    """Give a file its name, durably."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.chmod(0o600)
    partial.replace(path)
    if os.name == "posix":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _destroy(path: Path) -> None:
    """Overwrite a file and remove it: where the disk writes in place, its old blocks hold zeros then."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        for at in range(0, size, _BLOCK):
            file.write(bytes(min(_BLOCK, size - at)))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


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
