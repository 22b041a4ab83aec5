"""Tampering with a journal: every single-byte edit, and more, of a signed sample. Each one has to be noticed.

python benchmarks/reliability/tamper.py [--quick] [--out result.json]

The sample is the journal of a small memory that was added to, corrected and partly forgotten, with checkpoints and some entries
after the last one. It is edited in two forms: the export for an auditor, and the values in the store's own tables.

- Exhaustive: each byte becomes each of the 255 others. What stands before the edit is examined once, and the examination goes on
  from there to the first problem. No key is expected, so that a signature has to give each edit away.
- Whole: each byte becomes one other, chosen by the seed, in a real file, which is then examined from the beginning, as a user would.
- Forged: what somebody does who knows the format. All hashes are computed anew after the edit; the checkpoints are kept, signed anew with
  another key while the right one is expected, or signed anew with the right key while an anchor lies elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

from remanence import Memory, Settings
from remanence.auditing import verify_export
from remanence.governance.audit import Examination, examine, holds, signed, verify_chain
from remanence.governance.auditfile import Reader
from remanence.governance.signing import SigningKey
from remanence.store.journal import GENESIS, Entry
from remanence.store.ledger import Checkpoint

EVERY, TAIL = 8, 3  # entries between checkpoints; entries after the last one


class Score:
    """What was tried and what was noticed."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.missed: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}

    def run(self, kind: str, edits: Iterable[tuple[str, bool]]) -> None:
        """Count edits; each comes as a place and whether it was noticed."""
        start = time.perf_counter()
        self.missed[kind] = []
        for place, noticed in edits:
            self.tried[kind] += 1
            if not noticed:
                self.missed[kind].append(place)
        self.seconds[kind] = time.perf_counter() - start
        missed = self.missed[kind]
        print(
            f"{kind:56} {self.tried[kind]:>10,} tried {len(missed):>4} missed {self.seconds[kind]:7.1f} s"
            + (f"  e.g. {missed[:3]}" if missed else ""),
            flush=True,
        )


# ── the sample ───────────────────────────────────────────────────────────────────────────────────────────────────────


def sample(folder: Path, entries: int) -> tuple[Path, Path, str]:
    """A store with that many journal entries, its export, and the public key."""
    settings = Settings(embedder="none", signing_key=folder / "signing.pem")
    path, exported = folder / "sample.rem", folder / "sample.jsonl"
    with Memory(path, settings) as memory:
        ids: list[str] = []
        number = 0
        while (written := memory._store.head()) < entries:
            if written and written % EVERY == 0 and written <= entries - TAIL:
                memory.audit.checkpoint()
            number += 1
            if number % 5 == 3:
                memory.correct(ids[-1], f"Now it is {number}.")
            elif number % 7 == 6:
                memory.forget(ids.pop(0))
            else:
                ids += memory.add(f"Note number {number}.", space=("home", "work")[number % 2])
        written = memory.audit.export(exported)
        public = memory.audit.public_key()
        found = memory.audit.verify()
        assert found.ok, found.problems
        assert found.unsigned, "the sample has to end with entries that are not signed"
        print(
            f"sample: {written.entries} entries, {written.checkpoints} checkpoints, {written.unsigned} entries not signed, "
            f"{exported.stat().st_size:,} bytes exported"
        )
    return path, exported, public


# ── the export ───────────────────────────────────────────────────────────────────────────────────────────────────────


def resumed(reader: Reader, rest: bytes) -> bool:
    """Whether a problem is found in what follows. The reader itself is left as it was."""
    own = copy.copy(reader)
    own.examination = copy.copy(reader.examination)
    own.examination.problems = []
    own.examination._signers = dict(reader.examination._signers)
    own.examination._anchors = copy.copy(reader.examination._anchors)
    for line in io.BytesIO(rest):
        if not own.feed(line) or own.examination.problems:
            return True
    return not own.result().ok


def other_bytes(data: bytes, keys: set[bytes] | None) -> Iterator[tuple[str, bool]]:
    """Each byte of an export as each other byte."""
    reader, offset = Reader(keys), 0
    for line in data.splitlines(keepends=True):
        rest = bytearray(data[offset:])
        for at in range(len(line)):
            kept = rest[at]
            for value in range(256):
                if value != kept:
                    rest[at] = value
                    yield f"byte {offset + at} as {value}", resumed(reader, bytes(rest))
            rest[at] = kept
        reader.feed(line)
        offset += len(line)
    assert reader.result().ok


def whole_files(data: bytes, path: Path, key: str, chance: random.Random) -> Iterator[tuple[str, bool]]:
    for at in range(len(data)):
        edited = bytearray(data)
        edited[at] ^= chance.randrange(1, 256)
        path.write_bytes(edited)
        yield f"byte {at}", not verify_export(path, key=key).ok


def removed_and_put_in(data: bytes, keys: set[bytes] | None, chance: random.Random) -> Iterator[tuple[str, bool]]:
    """A byte less, a byte more, an end that came too soon: at every place."""
    reader, offset = Reader(keys), 0
    for line in data.splitlines(keepends=True):
        rest = data[offset:]
        for at in range(len(line)):
            yield f"byte {offset + at} removed", resumed(reader, rest[:at] + rest[at + 1 :])
            more = bytes([chance.choice([32, 10, 13, 0, rest[at], chance.randrange(256)])])
            yield f"{more!r} put in before {offset + at}", resumed(reader, rest[:at] + more + rest[at:])
            yield f"cut off at {offset + at}", resumed(reader, rest[:at])
        reader.feed(line)
        offset += len(line)


def rearranged(data: bytes, keys: set[bytes] | None) -> Iterator[tuple[str, bool]]:
    """Lines removed, doubled, and every two of them exchanged."""

    def noticed(lines: list[bytes]) -> bool:
        return resumed(Reader(keys), b"".join(lines))

    lines = data.splitlines(keepends=True)
    for at in range(len(lines)):
        yield f"line {at + 1} removed", noticed(lines[:at] + lines[at + 1 :])
        yield f"line {at + 1} doubled", noticed(lines[: at + 1] + lines[at:])
        for to in range(at):
            swapped = list(lines)
            swapped[at], swapped[to] = swapped[to], swapped[at]
            yield f"lines {to + 1} and {at + 1} exchanged", noticed(swapped)


# ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


def stored(value: object) -> bytes:
    """The bytes of a value in a column: a number has eight, the highest first."""
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    return value if isinstance(value, bytes) else str(value).encode()


def as_before(data: bytes, value: object) -> object:
    """Bytes as the kind of value that they were before. Text that is none any more stays bytes."""
    if isinstance(value, int):
        return int.from_bytes(data, "big", signed=True)
    if isinstance(value, bytes):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def others(value: object) -> Iterator[tuple[int, object]]:
    """A value with each byte as each other byte."""
    data = bytearray(stored(value))
    for at, kept in enumerate(data):
        for other in range(256):
            if other != kept:
                data[at] = other
                yield at, as_before(bytes(data), value)
        data[at] = kept


def journal_values(rows: list[tuple]) -> Iterator[tuple[str, bool]]:
    """Every column of every entry, by the examination of the chain from there."""
    previous = GENESIS
    for number, row in enumerate(rows):
        for column, name in enumerate(Entry._fields):
            for at, value in others(row[column]):
                edited = (*row[:column], value, *row[column + 1 :])
                found = any(verify_chain([edited, *rows[number + 1 :]], previous, number + 1))
                yield f"entry {number + 1}, {name}, byte {at} as {value!r}", found
        previous = row[9]


def checkpoint_values(checkpoints: list[Checkpoint]) -> Iterator[tuple[str, bool]]:
    """Every column of every checkpoint, by its signature. The examination also looks up its entry and its hash."""
    for checkpoint in checkpoints:
        for field in fields(Checkpoint):
            for at, value in others(getattr(checkpoint, field.name)):
                edited = replace(checkpoint, **{field.name: value})
                yield f"checkpoint at {checkpoint.entry}, {field.name}, byte {at}", not holds(edited)


def forgeries(rows: list[tuple], signed_to: int, *, cut: bool) -> Iterator[tuple[str, list[tuple]]]:
    """Journals that differ from the true one in what was signed, and whose chain holds."""

    def chained(entries: list[tuple]) -> list[tuple]:
        previous, found = GENESIS, []
        for number, row in enumerate(entries, 1):
            previous = Entry._make((number, *row[1:])).chained(previous)
            found.append((number, *row[1:9], previous))
        return found

    for at in range(signed_to):
        for column in range(1, 9):
            value = rows[at][column]
            other = value + 1 if isinstance(value, int) else value + value[:1] or b"x"
            edited = (*rows[at][:column], other, *rows[at][column + 1 :])
            yield f"entry {at + 1}, {Entry._fields[column]}", chained([*rows[:at], edited, *rows[at + 1 :]])
        yield f"entry {at + 1} removed", chained(rows[:at] + rows[at + 1 :])
        yield f"entry {at + 1} doubled", chained([*rows[:at], rows[max(at - 1, 0)], *rows[at:]])
        if cut:
            yield f"cut off before entry {at + 1}", rows[:at]
        for to in range(at):
            swapped = list(rows)
            swapped[at], swapped[to] = swapped[to], swapped[at]
            yield f"entries {to + 1} and {at + 1} exchanged", chained(swapped)


def forged(
    rows: list[tuple],
    checkpoints: list[Checkpoint],
    key: SigningKey | None,
    expected: set[bytes],
    anchor: Checkpoint | None,
) -> Iterator[tuple[str, bool]]:
    """Whether forgeries are found by the checkpoints, which `key` signed anew unless it is None."""
    # A journal cut off before its first checkpoint has nothing that a wrong key could have signed: that takes an anchor.
    for place, entries in forgeries(rows, checkpoints[-1].entry, cut=key is None or anchor is not None):
        kept = checkpoints
        if key is not None:
            kept = [
                signed(one.store, one.entry, entries[one.entry - 1][9], one.at, key)
                for one in checkpoints
                if one.entry <= len(entries)
            ]
        examination = Examination(expected, [anchor] if anchor else [])
        examine(entries, kept, examination, len(entries))
        yield place, not examination.result().ok


def in_the_store(
    path: Path, settings: Settings, table: str, columns: Iterable[str], chance: random.Random
) -> Iterator[tuple[str, bool]]:
    """Every byte of every value of a table as one other, in the file, and a verification of the whole journal."""
    names = list(columns)
    with (
        Memory(path, settings) as memory,
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
    ):
        # the edits are put back at once, so that they need not survive a power cut
        connection.execute("PRAGMA synchronous = OFF")
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        for row in connection.execute(f"SELECT rowid, {', '.join(names)} FROM {table}").fetchall():
            for name, value in zip(names, row[1:], strict=True):
                for at in range(len(stored(value))):
                    data = bytearray(stored(value))
                    data[at] ^= chance.randrange(1, 256)
                    after = as_before(bytes(data), value)
                    as_text = isinstance(value, str) and isinstance(after, bytes)
                    hole = "CAST(? AS TEXT)" if as_text else "?"
                    connection.execute("BEGIN")
                    place = f"{table} {row[0]}, {name}, byte {at}"
                    try:
                        connection.execute(f"UPDATE {table} SET {name} = {hole} WHERE rowid = ?", (after, row[0]))
                        connection.execute("COMMIT")
                    except sqlite3.IntegrityError:  # the number of another row: SQLite itself refuses
                        connection.execute("ROLLBACK")
                        continue
                    yield place, not memory.audit.verify().ok
                    key = after if name == "entry" else row[0]
                    connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (value, key))
        assert memory.audit.verify().ok, "the store was not put back"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="a smaller sample")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    options = parser.parse_args()
    score, chance = Score(), random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, exported, public = sample(folder, 11 if options.quick else options.entries)
        settings = Settings(embedder="none", signing_key=folder / "signing.pem")
        measure(score, chance, path, exported, public, settings)
    missed = sum(map(len, score.missed.values()))
    print(f"{score.tried.total():,} edits, {missed} not noticed")
    if options.out:
        result = {
            kind: {"tried": score.tried[kind], "missed": places, "seconds": round(score.seconds[kind], 1)}
            for kind, places in score.missed.items()
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(bool(missed))


def measure(score: Score, chance: random.Random, path: Path, exported: Path, public: str, settings: Settings) -> None:
    data, keys = exported.read_bytes(), {bytes.fromhex(public)}
    key, stranger = SigningKey.open(settings.signing_key), SigningKey.open(path.with_name("stranger.pem"))
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM journal ORDER BY entry").fetchall()
    with Memory(path, settings) as memory:
        checkpoints = list(memory.audit.checkpoints())
    score.run("export: each byte as each other", other_bytes(data, None))
    score.run(
        "export: each byte as one other, whole file", whole_files(data, path.with_name("e.jsonl"), public, chance)
    )
    score.run("export: bytes removed, put in, end cut off", removed_and_put_in(data, None, chance))
    score.run("export: lines removed, doubled, exchanged", rearranged(data, None))
    score.run("journal: each byte of each value as each other", journal_values(rows))
    score.run("checkpoints: each byte of each value as each other", checkpoint_values(checkpoints))
    anchor = checkpoints[-1]
    score.run("forged: hashes anew, checkpoints kept", forged(rows, checkpoints, None, keys, None))
    score.run(
        "forged: signed with another key, the right one expected", forged(rows, checkpoints, stranger, keys, None)
    )
    score.run(
        "forged: signed with another key, an anchor elsewhere",
        forged(rows, checkpoints, stranger, {stranger.public}, anchor),
    )
    score.run("forged: signed with the right key, an anchor elsewhere", forged(rows, checkpoints, key, keys, anchor))
    kept = [field.name for field in fields(Checkpoint) if field.name != "store"]
    for table, columns in (("journal", Entry._fields), ("checkpoints", kept)):
        score.run(f"{table} in the store: each byte as one other", in_the_store(path, settings, table, columns, chance))


if __name__ == "__main__":
    sys.exit(main())
