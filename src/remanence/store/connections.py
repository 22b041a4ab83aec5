"""SQLite connections: one writer behind a lock, readers from a pool, and SQLite's errors turned into ours."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from remanence.errors import (
    NotAStoreError,
    StoreBusyError,
    StoreClosedError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnwritableError,
)
from remanence.settings import Settings
from remanence.store import schema

_HEADER = b"SQLite format 3\x00"

_BY_CODE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusyError, "Try again, or raise Settings.busy_timeout."),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "Try again, or raise Settings.busy_timeout."),
    sqlite3.SQLITE_FULL: (StoreFullError, "Free some room and call again; what was acknowledged before is safe."),
    sqlite3.SQLITE_READONLY: (StoreUnwritableError, "Make the file and its folder writable."),
    sqlite3.SQLITE_PERM: (StoreUnwritableError, "Make the file and its folder writable."),
    sqlite3.SQLITE_CANTOPEN: (StoreUnwritableError, "Create its folder first, and make it writable."),
    sqlite3.SQLITE_IOERR: (
        StoreFullError,
        "Check the disk's room, quota and health; what was acknowledged before is safe.",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreDamagedError, "Restore a backup: remanence import, or copy the backup file back."),
    sqlite3.SQLITE_NOTADB: (NotAStoreError, "Give the path of a .rem file, or of a new file."),
}


class Connections:
    """All connections to one file, or the single one to `:memory:`."""

    def __init__(self, location: str, settings: Settings) -> None:
        self.location = location
        self.in_memory = location == ":memory:"
        self._settings = settings
        self._writing = threading.RLock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        if not self.in_memory:
            _refuse_foreign_files(Path(location))
        with self.translated():
            self._writer = self._open()
            with self.write() as connection:
                _check_ownership(connection, location)
                schema.migrate(connection, location)

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """A transaction that no other writer of any process shares; durable when the block ends, undone if it raises."""
        with self._writing, self.translated():
            self._check_open()
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:  # Ctrl-C too must not leave a transaction open
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def outside_transactions(self) -> Generator[sqlite3.Connection]:
        """The writer for statements that cannot run inside a transaction, such as VACUUM."""
        with self._writing, self.translated():
            self._check_open()
            yield self._writer

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """One consistent snapshot."""
        if self.in_memory:  # its single connection serves readers too
            with self._writing, self.translated():
                self._check_open()
                yield self._writer
            return
        with self.translated():
            self._check_open()
            connection = self._idle.pop() if self._idle else self._open()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
                self._idle.append(connection)
        if self._closed:  # closed while we read: nobody else will close this one
            self._close_idle()

    def close(self) -> None:
        """Close what is idle; a reader still at work closes its connection when it is done."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            self._writer.close()
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError(f"{self.location} is closed.", "Open it again: Memory(path).")

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.location, timeout=self._settings.busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            if not self.in_memory:
                self._use_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._settings.durability}")
            connection.execute("PRAGMA secure_delete = ON")  # deleted content is overwritten with zeros
            connection.execute("PRAGMA temp_store = MEMORY")  # no copies of content in a temporary folder
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to the write-ahead log. SQLite does not wait for others here, so this does."""
        deadline = time.monotonic() + self._settings.busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    @contextmanager
    def translated(self) -> Generator[None]:
        """Raise SQLite's errors as the store's own."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            if "closed" in str(error):
                raise StoreClosedError(
                    f"{self.location} was closed meanwhile.", "Open it again: Memory(path)."
                ) from error
            raise
        except sqlite3.DatabaseError as error:
            kind, next_step = _BY_CODE.get(primary_code(error), (StoreError, "Run: remanence verify"))
            raise kind(f"{self.location}: {error}.", next_step) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code: extended codes keep it in their low byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _refuse_foreign_files(path: Path) -> None:
    """Say clearly what is wrong with a path before SQLite does it less clearly."""
    if path.is_dir():
        raise NotAStoreError(f"{path} is a folder.", "Give a file inside it, such as memory.rem.")
    if not path.parent.is_dir():
        raise StoreUnwritableError(f"The folder {path.parent} does not exist.", "Create it first.")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            start = file.read(len(_HEADER))
    except PermissionError as error:
        raise StoreUnwritableError(f"{path} cannot be read.", "Check who owns the file.") from error
    if start and start != _HEADER:
        raise NotAStoreError(f"{path} is not a Remanence store.", "Give the path of a .rem file, or of a new file.")


def _check_ownership(connection: sqlite3.Connection, location: str) -> None:
    """Refuse the SQLite files of other programs: they would get our tables otherwise."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise NotAStoreError(
            f"{location} is an SQLite database of another program.", "Give the path of a .rem file, or of a new file."
        )
