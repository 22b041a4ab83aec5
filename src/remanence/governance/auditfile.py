"""The file for an auditor: journal entries and checkpoints as lines of JSON, and no word of a memory.

The first line names the format and the hash before the first entry, each further line is an entry, a checkpoint stands behind its
entry, and the last line counts both. There is one form of each line, so that every byte of the file is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from remanence.governance.audit import ROW_TYPES, Examination, Verified, from_json, raw_bytes, to_json, well_formed
from remanence.governance.signing import canonical, parsed
from remanence.store.journal import GENESIS, Entry
from remanence.store.ledger import Checkpoint, Row

EXPORT = "remanence.audit/1"
_NAMES = Entry._fields
_BYTES = ("commitment", "hash")


def lines(previous: bytes, rows: Iterable[Row], checkpoints: Iterable[Checkpoint]) -> Iterator[bytes]:
    """The lines of an export, canonical, each ended by a newline: a head, the entries with their checkpoints, and the counts.

    Raises
    ------
    ValueError
        A row or a checkpoint holds what none can.
    """
    about = {one.entry: one for one in checkpoints}
    entries = signatures = 0
    yield _line({"format": EXPORT, "previous": previous.hex()})
    for row in rows:
        if tuple(map(type, row)) != ROW_TYPES:
            raise ValueError(f"entry {row[0]} is malformed")
        yield _line({**dict(zip(_NAMES, row, strict=True)), "commitment": row[8].hex(), "hash": row[9].hex()})
        entries += 1
        if row[0] in about:
            if not well_formed(about[row[0]]):
                raise ValueError(f"the checkpoint at entry {row[0]} is malformed")
            yield _line(to_json(about[row[0]]))
            signatures += 1
    yield _end(entries, signatures)


def _line(obj: Mapping[str, Any]) -> bytes:
    return canonical(obj) + b"\n"


def _end(entries: int, checkpoints: int) -> bytes:
    return _line({"end": {"checkpoints": checkpoints, "entries": entries}})


class Reader:
    """The lines of an export, taken in one after the other. Every byte of them counts: there is one form of each line."""

    def __init__(self, keys: Collection[bytes] | None = None, anchors: Sequence[Checkpoint] = ()) -> None:
        self._keys, self._anchors = keys, anchors
        self._previous = b""
        self._lines = self._entries = self._checkpoints = 0
        self._about = 0  # the entry that the last line was, if it was one
        self._done = self._broken = False
        self.examination = Examination(keys)

    def feed(self, line: bytes) -> bool:
        """The next line, with its newline. False if nothing more can be read after it."""
        self._lines += 1
        try:
            self._take(line)
        except ValueError as error:
            self._broken = True
            self.examination.problems.append(f"line {self._lines}: {error}")
        return not self._broken

    def _take(self, line: bytes) -> None:
        if self._done:
            raise ValueError("something follows the end")
        if not line.endswith(b"\n"):
            raise ValueError("it is cut off")
        obj = parsed(line[:-1])
        match obj:
            case {"previous": previous} if self._lines == 1 and obj == {"format": EXPORT, "previous": previous}:
                self._previous = raw_bytes(previous)
            case _ if self._lines == 1:
                raise ValueError(f"this is no file of the format {EXPORT}")
            case {"statement": _}:
                self._checkpoint(from_json(obj))
            case {"entry": _}:
                self._entry(_row(obj))
            case _:
                if line != _end(self._entries, self._checkpoints):
                    raise ValueError("it is neither an entry nor a checkpoint nor the right counts")
                self._done = True

    def _entry(self, row: Row) -> None:
        if not self._entries:
            first = row[0]
            if first < 1:
                raise ValueError("the entries of a journal are counted from 1")
            if first == 1 and self._previous != GENESIS:
                raise ValueError("the first entry of a journal follows nothing")
            self.examination = Examination(self._keys, self._anchors, previous=self._previous, first=first)
        self._entries += 1
        self._about = row[0]
        self.examination.entry(row)

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        if not self._about or checkpoint.entry != self._about:
            raise ValueError(f"the checkpoint at entry {checkpoint.entry} does not stand behind its entry")
        self._about = 0
        self._checkpoints += 1
        self.examination.checkpoint(checkpoint)

    def result(self) -> Verified:
        """What was found, once all lines were fed."""
        if not self._broken:
            if not self._done:
                self.examination.problems.append("the file is cut off")
            elif not self._entries:
                self.examination.problems.append("the file holds no entry")
            self.examination.ended()
        return self.examination.result()


def _row(obj: Mapping[str, Any]) -> Row:
    if set(obj) != set(_NAMES):
        raise ValueError("it is no journal entry")
    row = tuple(raw_bytes(obj[name]) if name in _BYTES else obj[name] for name in _NAMES)
    if tuple(map(type, row)) != ROW_TYPES:
        raise ValueError("it is no journal entry")
    return row


def verify_lines(
    source: Iterable[bytes], keys: Collection[bytes] | None = None, anchors: Sequence[Checkpoint] = ()
) -> Verified:
    """Examine the lines of an export; see `Reader`."""
    reader = Reader(keys, anchors)
    for line in source:
        if not reader.feed(line):
            break
    return reader.result()
