"""What the store asks of the disk, seen and failed from inside the process.

SQLite reaches files through a table of functions, its VFS. This module registers a copy of the default VFS, with the
functions that change a file replaced by ones of our own, on the very library that Python's `sqlite3` uses: no compiler, no
dependency. Python's own file work (exports, the renaming of backups) is seen through `os.fsync`, `os.replace` and `io.open`.
See "The SQLite OS Interface or VFS" and "How SQLite Is Tested", section 3, of SQLite's documentation.

A judge looks at every call and says what becomes of it.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

C = ctypes
_FILE, _VFS, _I64 = C.c_void_p, C.c_void_p, C.c_int64
_OPEN = C.CFUNCTYPE(
    C.c_int, _VFS, C.c_void_p, _FILE, C.c_int, C.POINTER(C.c_int)
)  # SQLite keeps the name: no copy of it
_DELETE = C.CFUNCTYPE(C.c_int, _VFS, C.c_void_p, C.c_int)
_WRITE = C.CFUNCTYPE(C.c_int, _FILE, C.c_void_p, C.c_int, _I64)
_TRUNCATE = C.CFUNCTYPE(C.c_int, _FILE, _I64)
_SYNC = C.CFUNCTYPE(C.c_int, _FILE, C.c_int)
_SHM_LOCK = C.CFUNCTYPE(C.c_int, _FILE, C.c_int, C.c_int, C.c_int)
_FULL, _CANTOPEN = 13, 14
_IOERR = {"write": 778, "sync": 1034, "truncate": 1546, "delete": 2570}
_FOR_WRITING = 0x2 | 0x4  # SQLITE_OPEN_READWRITE, SQLITE_OPEN_CREATE
_UNLOCK = 1


class _Methods(C.Structure):
    """`sqlite3_io_methods`: the functions of one open file."""

    _fields_ = (
        ("version", C.c_int), ("close", C.c_void_p), ("read", C.c_void_p), ("write", C.c_void_p), ("truncate", C.c_void_p),
        ("sync", C.c_void_p), *((f"skip{n}", C.c_void_p) for n in range(7)), ("shm_map", C.c_void_p),
        ("shm_lock", C.c_void_p), ("shm_barrier", C.c_void_p), ("shm_unmap", C.c_void_p), ("fetch", C.c_void_p),
        ("unfetch", C.c_void_p),
    )  # fmt: skip


class _Vfs(C.Structure):
    """`sqlite3_vfs`: the functions of a file system."""

    _fields_ = (
        ("version", C.c_int), ("size", C.c_int), ("longest", C.c_int), ("next", C.c_void_p), ("name", C.c_char_p),
        ("data", C.c_void_p), ("open", C.c_void_p), ("delete", C.c_void_p), *((f"skip{n}", C.c_void_p) for n in range(13)),
    )  # fmt: skip


class Call(NamedTuple):
    """One thing asked of the disk."""

    kind: str
    """open, write, sync, truncate, delete or rename."""
    name: str
    """The file; of a rename the new name."""
    offset: int = 0
    """Of a write; of a truncate the new size."""
    data: bytes = b""
    """Of a write; of a rename the old name."""


class Verdict(StrEnum):
    """What becomes of a call."""

    PASS = "pass"
    ERROR = "error"
    """Nothing is done; the caller is told of an I/O error (EIO)."""
    FULL = "full"
    """Nothing is done; the caller is told that there is no room (ENOSPC)."""
    TORN = "torn"
    """The first half is written; then an I/O error."""
    KILL = "kill"
    """The process dies before the call (SIGKILL)."""
    TORN_KILL = "torn kill"
    """The first half is written; then the process dies."""


Judge = Callable[[Call], Verdict]


class _State:
    """What the functions below share. SQLite has one table of file systems per process, so there is one of these."""

    judge: Judge | None = None
    in_transaction: Any = bytearray(1)
    """One byte, 1 while this process holds a store's write lock. May be memory shared with another process."""
    names: ClassVar[dict[int, str]] = {}
    tables: ClassVar[dict[int, tuple[_Methods, _Methods]]] = {}
    alive: ClassVar[list[Any]] = []


def judged(call: Call) -> Verdict:
    verdict = _State.judge(call) if _State.judge else Verdict.PASS
    if verdict is Verdict.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return verdict


def available() -> str:
    """Why faults cannot be injected here, or nothing."""
    try:
        _library()
    except (AttributeError, OSError) as error:
        return f"this Python's sqlite3 does not let its library be reached: {error}"
    return ""


def _library() -> Any:
    """The library that `sqlite3` uses: a shared one, or one that was built into the module or into Python."""
    module = importlib.import_module("_sqlite3")
    library = C.CDLL(getattr(module, "__file__", None))
    library.sqlite3_vfs_find.restype = C.POINTER(_Vfs)
    library.sqlite3_vfs_register.argtypes = [C.c_void_p, C.c_int]
    return library


def install() -> None:
    """Put the watched file system under every connection that is opened from now on. Does nothing the second time."""
    if _State.alive:
        return
    library = _library()
    default = library.sqlite3_vfs_find(None)
    watched = _Vfs.from_buffer_copy(default.contents)
    watched.name, watched.next = b"watched", None
    original_open, original_delete = _OPEN(default.contents.open), _DELETE(default.contents.delete)
    plain = C.cast(default, C.c_void_p)

    @_OPEN
    def opened(_vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
        path = C.string_at(name).decode() if name else ""
        if flags & _FOR_WRITING and judged(Call("open", path)) is not Verdict.PASS:
            C.cast(file, C.POINTER(C.c_void_p))[0] = None  # SQLite then does not close it
            return _CANTOPEN
        code = original_open(plain, name, file, flags, out)
        if code == 0:
            _watch(file, path)
        return code

    @_DELETE
    def deleted(_vfs: int, name: int, sync: int) -> int:
        if judged(Call("delete", C.string_at(name).decode())) is not Verdict.PASS:
            return _IOERR["delete"]
        return original_delete(plain, name, sync)

    watched.open, watched.delete = C.cast(opened, C.c_void_p), C.cast(deleted, C.c_void_p)
    _State.alive += [watched, opened, deleted, library]
    library.sqlite3_vfs_register(C.addressof(watched), 1)


def _watch(file: int, path: str) -> None:
    """Let an open file go through functions of ours: its table of functions is replaced by a copy with some of them changed."""
    first = C.cast(file, C.POINTER(C.c_void_p))
    table = first[0]
    if table is None:
        return
    _State.names[file] = path
    if table not in _State.tables:
        original = _Methods.from_address(table)
        _State.tables[table] = (original, _changed(original))
    first[0] = C.addressof(_State.tables[table][1])


def _code(kind: str, verdict: Verdict) -> int:
    return _FULL if verdict is Verdict.FULL else _IOERR[kind]


def _changed(original: _Methods) -> _Methods:
    methods = _Methods.from_buffer_copy(original)
    plain_write, plain_truncate = _WRITE(original.write), _TRUNCATE(original.truncate)
    plain_sync = _SYNC(original.sync)

    @_WRITE
    def write(file: int, data: int, size: int, offset: int) -> int:
        if _State.judge is None:
            return plain_write(file, data, size, offset)
        verdict = judged(Call("write", _State.names.get(file, ""), offset, C.string_at(data, size)))
        if verdict in (Verdict.TORN, Verdict.TORN_KILL):
            plain_write(file, data, size // 2, offset)
            if verdict is Verdict.TORN_KILL:
                os.kill(os.getpid(), signal.SIGKILL)
        return plain_write(file, data, size, offset) if verdict is Verdict.PASS else _code("write", verdict)

    @_TRUNCATE
    def truncate(file: int, size: int) -> int:
        verdict = judged(Call("truncate", _State.names.get(file, ""), size))
        return plain_truncate(file, size) if verdict is Verdict.PASS else _code("truncate", verdict)

    @_SYNC
    def sync(file: int, flags: int) -> int:
        verdict = judged(Call("sync", _State.names.get(file, "")))
        return plain_sync(file, flags) if verdict is Verdict.PASS else _code("sync", verdict)

    methods.write, methods.truncate = C.cast(write, C.c_void_p), C.cast(truncate, C.c_void_p)
    methods.sync = C.cast(sync, C.c_void_p)
    _State.alive += [methods, write, truncate, sync]
    if original.version >= 2 and original.shm_lock:
        plain_lock = _SHM_LOCK(original.shm_lock)

        @_SHM_LOCK
        def shm_lock(file: int, offset: int, count: int, flags: int) -> int:
            code = plain_lock(file, offset, count, flags)
            if code == 0 and offset == 0:  # lock 0 of the log's index is the writer's
                _State.in_transaction[0] = 0 if flags & _UNLOCK else 1
            return code

        methods.shm_lock = C.cast(shm_lock, C.c_void_p)
        _State.alive.append(shm_lock)
    return methods


# ── Python's own files ───────────────────────────────────────────────────────────────────────────────────────────────


class _Raw(io.FileIO):
    """A file that Python writes."""

    def write(self, data: Any) -> int:
        verdict = judged(Call("write", str(self.name), self.tell(), bytes(data)))
        if verdict in (Verdict.TORN, Verdict.TORN_KILL):
            super().write(bytes(data)[: len(data) // 2])
            if verdict is Verdict.TORN_KILL:
                os.kill(os.getpid(), signal.SIGKILL)
        _raise(verdict, str(self.name))
        return super().write(data)


def _raise(verdict: Verdict, name: str) -> None:
    if verdict is not Verdict.PASS:
        code = errno.ENOSPC if verdict is Verdict.FULL else errno.EIO
        raise OSError(code, os.strerror(code), name)


@contextmanager
def watched(judge: Judge, folder: Path, in_transaction: Any = None) -> Iterator[None]:
    """Within the block the judge sees what is asked of the disk: by SQLite, and by Python for files in the folder.

    Connections that are to be seen must be opened after the first `install`.
    """
    install()
    before = _State.judge, _State.in_transaction, os.fsync, os.replace, os.unlink, io.open
    _, _, fsync, replace, unlink, opens = before

    def ours(path: object) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder)

    def watched_fsync(descriptor: int) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink()) if Path("/proc/self/fd").is_dir() else ""
        _raise(judged(Call("sync", name)), name)
        fsync(descriptor)

    def watched_replace(old: Any, new: Any, **options: Any) -> None:
        if ours(new):
            _raise(judged(Call("rename", str(new), 0, str(old).encode())), str(new))
        replace(old, new, **options)

    def watched_unlink(path: Any, **options: Any) -> None:
        if ours(path) and Path(path).exists():
            _raise(judged(Call("delete", str(path))), str(path))
        unlink(path, **options)

    def watched_open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not ours(file) or "r" in mode:
            return opens(file, mode, *arguments, **options)
        _raise(judged(Call("open", str(file))), str(file))
        raw = io.BufferedWriter(_Raw(file, mode.replace("b", "").replace("t", "")))
        text = {name: options[name] for name in ("encoding", "newline") if name in options}
        return raw if "b" in mode else io.TextIOWrapper(raw, **text)

    _State.judge, _State.in_transaction = judge, before[1] if in_transaction is None else in_transaction
    os.fsync, os.replace, os.unlink, io.open = watched_fsync, watched_replace, watched_unlink, watched_open
    try:
        yield
    finally:
        _State.judge, _State.in_transaction, os.fsync, os.replace, os.unlink, io.open = before
