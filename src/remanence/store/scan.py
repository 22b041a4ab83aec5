"""Looking for values in the bytes of a store: in which forms they may stand there, and a search for many at once."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from remanence.store.connections import Connections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIECE = 32
"""Bytes of one piece of a value."""
SHORTEST = 8
"""Bytes. A shorter value would turn up anywhere by chance; it is looked for in rows instead."""
_PIECES = 48  # pieces of a value as it is stored: first, last, and evenly between
_SOME = 4  # pieces of a value in another encoding: a copy of that kind was written whole
_ID = re.compile(rb"[0-9a-f-]{8,36}")  # an id, or a part of one
_FEW = 6  # up to so many pieces Python's own search is as fast
_BLOCK = 1 << 22  # numbers that are looked at together
_SPREAD = 0x9E3779B97F4A7C15  # odd; the golden ratio of 64 bits spreads keys over the table
_TABLE_BITS = 20


def pieces(value: bytes, most: int = _PIECES) -> list[bytes]:
    """Byte strings to look for: if a run of twice their length is left of the value, one of them is in it, for values up to 1.5 KB."""
    if len(value) < SHORTEST:
        return []
    last = max(len(value) - PIECE, 0)
    step = max(PIECE, -(-last // most))
    found = [value[at : at + PIECE] for at in [*range(0, last, step), last]]
    return [piece for piece in found if len(piece) - piece.count(0) >= SHORTEST]  # a run of zeros is in every file


def encoded(text: str) -> dict[str, bytes]:
    """The forms, other than its own UTF-8, in which a copy of a text may stand in a file; only those that differ from it."""
    plain = text.encode("utf-8", "surrogatepass")
    found = {
        "utf-16le": text.encode("utf-16-le", "surrogatepass"),
        "utf-16be": text.encode("utf-16-be", "surrogatepass"),
        **_base64(plain),
        "hex": plain.hex().encode(),
        "json": json.dumps(text)[1:-1].encode(),
        "url": quote(plain, safe="").encode(),
        "lower case": text.lower().encode("utf-8", "surrogatepass"),
    }
    return {name: form for name, form in found.items() if form != plain}


def encoded_vector(half: bytes) -> dict[str, bytes]:
    """The forms of a vector other than the float16 that is stored."""
    import numpy as np

    single = np.frombuffer(half[: len(half) // 2 * 2], "<f2").astype("<f4").tobytes()
    return {"float32": single, **_base64(half), "hex": half.hex().encode()}


def _base64(value: bytes) -> dict[str, bytes]:
    """What of the value shows in base64 when it begins at a multiple of three bytes, or one or two after it."""
    found: dict[str, bytes] = {}
    for ahead in range(3):
        coded = base64.b64encode(bytes(ahead) + value)
        found[f"base64+{ahead}"] = coded[-(-ahead * 8 // 6) : (ahead + len(value)) * 8 // 6]
    return found


def encoded_pieces(forms: Mapping[str, bytes]) -> list[bytes]:
    """What is looked for of a value's other forms."""
    return [piece for form in forms.values() for piece in pieces(form, _SOME)]


def find(image: bytes, traces: Collection[bytes]) -> set[bytes]:
    """Which of these byte strings stand in an image. The same as `find_slowly`, in one pass over it."""
    long = [trace for trace in traces if len(trace) >= SHORTEST]
    if len(long) <= _FEW or len(image) < SHORTEST:
        return find_slowly(image, traces)
    found = find_slowly(image, [trace for trace in traces if len(trace) < SHORTEST])
    waiting: dict[int, dict[bytes, int]] = {}
    for trace in long:
        at = _anchor(trace)
        waiting.setdefault(int.from_bytes(trace[at : at + 8], "little"), {})[trace] = at
    for place, key in _candidates(image, waiting):
        there = [trace for trace, at in waiting[key].items() if place >= at and image.startswith(trace, place - at)]
        for trace in there:
            del waiting[key][trace]
            found.add(trace)
    return found


def find_slowly(image: bytes, traces: Collection[bytes]) -> set[bytes]:
    """The naive twin of `find`: one search for each."""
    return {trace for trace in traces if trace in image}


def _anchor(trace: bytes) -> int:
    """Where eight bytes begin that few other places have: of some, those with the most different values."""
    return max((*range(0, len(trace) - 8, 8), len(trace) - 8), key=lambda at: len(set(trace[at : at + 8])))


def _candidates(image: bytes, keys: Mapping[int, object]) -> list[tuple[int, int]]:
    """Places where the eight bytes of a key stand, and the key."""
    import numpy as np

    known = np.array(sorted(keys), np.uint64)
    table = np.zeros(1 << _TABLE_BITS, bool)
    table[_hashed(known)] = True
    found: list[tuple[int, int]] = []
    for shift in range(8):  # eight readings of the image as numbers, each one byte further on
        numbers = (
            np.frombuffer(image, "<u8", (len(image) - shift) // 8, shift) if len(image) >= shift + 8 else known[:0]
        )
        for start in range(0, len(numbers), _BLOCK):
            block = numbers[start : start + _BLOCK]
            likely = np.flatnonzero(table[_hashed(block)])
            some = block[likely]
            at = np.minimum(np.searchsorted(known, some), len(known) - 1)
            sure = likely[known[at] == some]
            found += [(8 * (start + int(one)) + shift, int(block[one])) for one in sure]
    return found


def _hashed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    import numpy as np

    return (numbers * np.uint64(_SPREAD)) >> np.uint64(64 - _TABLE_BITS)


# ── where to look ────────────────────────────────────────────────────────────────────────────────────────────────────


def images(connections: Connections) -> dict[str, bytes | None]:
    """The bytes of a store by place: `file`, `wal`, `shm`, `journal`, `partial`; None for what cannot be read.

    The file's pages are read through SQLite, slack and free pages included: opening and closing the file here would drop
    SQLite's locks. What lies beyond its last page would be missed: then `file` ends with that, read by SQLite as well.
    """
    with connections.outside_transactions() as connection:
        found: dict[str, bytes | None] = {"file": connection.serialize()}
    if connections.in_memory:
        return found
    path = Path(connections.location)
    for name, suffix in (("wal", "-wal"), ("journal", "-journal")):
        found[name] = _bytes(Path(f"{path}{suffix}"))
    found["shm"] = mapped(f"{path}-shm")
    partials = sorted(path.parent.glob(f".{_literally(path.name)}.*.part*"))
    found["partial"] = b"\0".join(_bytes(one) or b"" for one in partials)
    return found


def overhang(connections: Connections) -> int:
    """Bytes of the file beyond its last page, which SQLite does not show. Only while its log is empty can this be said."""
    if connections.in_memory or _bytes(Path(f"{connections.location}-wal")):
        return 0
    with connections.outside_transactions() as connection:
        [size] = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    return max(Path(connections.location).stat().st_size - size, 0)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _literally(name: str) -> str:
    """A file name as a pattern that only it matches."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def mapped(path: str) -> bytes | None:
    """The bytes of a file that this process has mapped, without opening it; None where the system does not show them.

    SQLite's index of the log is locked by this process; opening and closing it would drop these locks.
    """
    if not Path(path).exists():
        return b""
    name, found = str(Path(path).resolve()), list[bytes]()
    try:
        with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as maps:
            ranges = [line.split()[0].split("-") for line in maps if line.rstrip("\n").endswith(f" {name}")]
        with Path("/proc/self/mem").open("rb", buffering=0) as memory:
            for start, end in ranges:
                memory.seek(int(start, 16))
                found.append(memory.read(int(end, 16) - int(start, 16)))
    except OSError:
        return None
    return b"".join(found) if ranges else None


# ── what lives ───────────────────────────────────────────────────────────────────────────────────────────────────────


def living(connection: sqlite3.Connection, traces: Collection[bytes]) -> set[bytes]:
    """Those byte strings that something in the store rightly holds: another cube's phrase, an id in the journal, a table's name.

    Columns are taken as they stand side by side in the file, one row after the other. A piece that is an id of the journal but for
    fewer than `SHORTEST` bytes counts as living too: in the file a number may stand beside the id, and look like a quotation mark.
    """
    rows = [b"SQLite format 3"]
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in [*tables, "sqlite_master"]:
        columns = [f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})")]
        joined = " || ".join(f"coalesce({column}, '')" for column in columns)
        rows += [row for (row,) in connection.execute(f"SELECT CAST({joined} AS BLOB) FROM {table}")]
    found = find(b"\0\0\0\0\0\0\0\0".join(rows), traces)
    return found | {trace for trace in traces if trace not in found and _is_an_id(connection, trace)}


def _is_an_id(connection: sqlite3.Connection, trace: bytes) -> bool:
    """Whether a piece says nothing but the id of a memory, or a part of it: the journal rightly keeps that."""
    rest = trace
    for part in _ID.findall(trace):
        named = connection.execute("SELECT 1 FROM journal WHERE instr(id, ?) LIMIT 1", (part.decode(),)).fetchone()
        rest = rest.replace(part, b"") if named else rest
    return len(rest) < SHORTEST


def by_rows(connection: sqlite3.Connection, table: str, column: str, wanted: Sequence[object]) -> int:
    """How many rows of a table have one of these values in a column."""
    return sum(
        connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (one,)).fetchone()[0] for one in wanted
    )
