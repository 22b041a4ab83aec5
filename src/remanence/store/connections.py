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

_SMALLEST = 512  # bytes of the smallest SQLite file

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
        self.busy_timeout, self._durability = settings.busy_timeout, settings.durability
        self._writing = threading.RLock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        if not self.in_memory:
            _check_place(location)
        with self.translated():
            self._writer = self._connect()
            try:
                self._prepare()
            except BaseException:  # a refused file must not stay open
                self._writer.close()
                raise

    def _prepare(self) -> None:
        """Make the file ours, or refuse it untouched. Takes the write lock only where there is something to write."""
        version = _checked_version(self._writer, self.location)
        if not self.in_memory:
            self._use_wal(self._writer)
        if version < len(schema.MIGRATIONS):
            with self.write() as connection:
                schema.migrate(connection, self.location)

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """A transaction that no other writer of any process shares; durable when the block ends, undone if it raises."""
        with self._writing, self.translated():
            self._check_open()
            connection = self._writer
            try:
                connection.execute("BEGIN IMMEDIATE")
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
    def impatient(self) -> Generator[None]:
        """Within the block nothing waits for other processes."""
        patience, self.busy_timeout = self.busy_timeout, 0.0
        try:
            self._writer.execute("PRAGMA busy_timeout = 0")
            yield
        finally:
            self.busy_timeout = patience
            self._writer.execute(f"PRAGMA busy_timeout = {int(1000 * patience)}")

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
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:  # SQLite ends it by itself after some errors
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

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.location, timeout=self.busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute(f"PRAGMA synchronous = {self._durability}")
            connection.execute("PRAGMA secure_delete = ON")  # deleted content is overwritten with zeros
            connection.execute("PRAGMA temp_store = MEMORY")  # no copies of content in a temporary folder
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:  # nor must a connection that was only half set up
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to the write-ahead log. SQLite does not wait for others here, so this does."""
        deadline = time.monotonic() + self.busy_timeout
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
        except UnicodeDecodeError as error:  # SQLite quotes the damage in its message
            raise StoreDamagedError(f"{self.location}: {error}.", _BY_CODE[sqlite3.SQLITE_CORRUPT][1]) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code: extended codes keep it in their low byte."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _check_place(location: str) -> None:
    """Say clearly what is wrong with a path before SQLite does it less clearly.

    The file itself is never opened here: when a process closes any descriptor of a file, POSIX drops all the locks that it
    holds on it, SQLite's too, and another process could then take the log away under us.
    """
    path = Path(location)
    if "\0" in location:
        raise StoreUnwritableError(
            f"{location!r} holds a zero byte.", "Give the path of a .rem file, or of a new file."
        )
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
        size = path.stat().st_size if path.exists() else 0
    except OSError as error:  # no permission, too long
        raise StoreUnwritableError(
            f"{location!r}: {error}.", "Give the path of a .rem file, or of a new file."
        ) from error
    if is_folder:
        raise NotAStoreError(f"{location} is a folder.", "Give a file inside it, such as memory.rem.")
    if 0 < size < _SMALLEST:  # SQLite would take it for an empty file and write over it
        raise NotAStoreError(f"{location} is not a Remanence store.", "Give the path of a .rem file, or of a new file.")
    if not has_folder:
        raise StoreUnwritableError(f"The folder {path.parent} does not exist.", "Create it first.")


def _checked_version(connection: sqlite3.Connection, location: str) -> int:
    """The format of the file, 0 for an empty one. Other programs' files are refused before anything in them changes."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise NotAStoreError(
            f"{location} is an SQLite database of another program.", "Give the path of a .rem file, or of a new file."
        )
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    schema.check(version, location)
    return version
