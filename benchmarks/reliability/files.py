"""Files of every format so far, and files that were damaged.

    python benchmarks/reliability/files.py                 all files; 4,000 damaged copies
    python benchmarks/reliability/files.py --flips 400     fewer

Each file of `tests/store/files` is opened by this release: `verify` is clean, the export is the one that is kept beside it,
recall answers, and the store takes every kind of work. Then single bytes of the newest file are changed, one per copy, and a
process of its own opens, verifies and reads the copy. It must not crash; and where any row of any table reads otherwise than
before, `verify` has to say so, or the reading itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import operations
import report
from operations import Reader

from remanence import Memory
from remanence.errors import RemanenceError

FOLDER = Path(__file__).parents[2] / "tests" / "store" / "files"
SETTINGS = replace(operations.SETTINGS, busy_timeout=5, commit_every=256)
STRANGER = replace(SETTINGS, signing_key=SETTINGS.signing_key.with_name("none.pem"))
"""For damaged copies: no key of one's own, or every signature of the file's maker is one by somebody else."""
_PATIENCE = 30  # seconds for one damaged copy
_PER_CHILD = 250
UNCHECKED = frozenset(
    {
        "replays",
        "replies",
        "reply_sources",
        "notes",
        "usage",
        "extractions",
        "access_log",
        "copies",
        "principals",
        "questions",
        "tombstones",
        "receipts",
    }
)
"""Tables that nothing can be held against in full: caches, counters, the access log, and of extractions the vectors, of which
`verify` embeds some again and passes small differences. Damage there is measured, and may go unnoticed."""


# ── old files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def exported(memory: Memory, folder: Path) -> str:
    """The export without its first line, which names the version of the export itself."""
    path = folder / "export.jsonl"
    path.unlink(missing_ok=True)
    memory.export(path)
    return path.read_text(encoding="utf-8").partition("\n")[2]


def other(kept: str, now: str) -> Iterator[str]:
    """Where an export says less than, or other than, the one that was kept. Fields that came later are no difference."""
    before, after = kept.splitlines(), now.splitlines()
    if len(before) != len(after):
        yield f"the export has {len(after)} lines, not {len(before)}"
    for number, (old, new) in enumerate(zip(before, after, strict=False), 2):
        row = json.loads(new)
        if any(row.get(name) != value for name, value in json.loads(old).items()):
            yield f"line {number} of the export is another one"


def held(path: Path) -> list[str]:
    """Open a copy of a file of any format and use it. Returns what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied = with_payloads(path, folder / "m.rem")
        with Memory(copied, SETTINGS) as memory:
            wrong = list(memory.verify().problems)
            wrong += other(path.with_suffix(".jsonl").read_text(encoding="utf-8"), exported(memory, folder))
            wrong += used(memory)
        with Memory(copied, SETTINGS) as memory:
            wrong += memory.verify().problems
    return [f"{path.name}: {one}" for one in wrong]


def used(memory: Memory) -> Iterator[str]:
    """Do every kind of work with a store that holds Ana and her bees."""
    if "bees" not in "".join(hit.cube.text for hit in memory.recall("Where does Ana keep the bees?", k=3)):
        yield "recall does not find the bees"
    [new] = memory.add("Ana moved to Zq0123456789ab in May 2024.", idempotency_key="files")
    if memory.add("Ana moved to Zq0123456789ab in May 2024.", idempotency_key="files") != [new]:
        yield "an idempotency key is not known again"
    memory.correct(new, "Ana moved to Zqba9876543210 in June 2024.")
    memory.reindex()
    memory.pair()
    reader = Reader()
    memory.extract(_Only(reader))
    if not any(cube.id == new for cube in reader.asked):
        yield "the new memory was not read"
    if new not in {hit.cube.id for hit in memory.recall("Zqba9876543210", k=5)}:
        yield "recall does not find what was written"
    memory.forget(new)
    if new in {hit.cube.id for hit in memory.recall("Zqba9876543210", k=50)}:
        yield "recall finds what was forgotten"


class _Only:
    """Reads what has a token, and finds nothing in the rest."""

    name = Reader.name

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def extract(self, cubes: Any) -> Any:
        from remanence.cubes import Extraction
        from remanence.write.extract import Extracted

        read = [self._reader.extract([cube]).extractions[0] if "Zq" in cube.text else Extraction() for cube in cubes]
        return Extracted(tuple(read))


# ── damaged files ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Damage:
    """What came of changing single bytes."""

    flips: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unnoticed: Counter[str] = field(default_factory=Counter)
    """By table: rows that read otherwise, and nothing said so."""
    problems: list[str] = field(default_factory=list)


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes  # damaged text need not be text
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        names = [name.decode(errors="replace") for (name,) in found]
        found = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    return {name: [tuple(map(_same, row)) for row in rows] for name, rows in found.items()}


def _same(value: Any) -> Any:
    """A time with another character between day and hour is the same time."""
    is_time = isinstance(value, bytes) and value[4:5] == value[7:8] == b"-" and value[13:14] == b":"
    return value[:10] + b"T" + value[11:] if is_time else value


def tried(path: Path, before: dict[str, list[tuple[Any, ...]]], questions: Iterable[str]) -> tuple[str, list[str]]:
    """Open, verify and read one damaged copy. Returns what came of it, and the tables that changed without a word."""
    try:
        with Memory(path, STRANGER) as memory:
            noticed = not memory.verify().ok or not memory.audit.verify().ok
            noticed |= not all(memory.receipts.verify(receipt, again=False).ok for receipt in memory.receipts.list())
            for question in questions:
                memory.recall(question)
            list(memory._store.everything())
    except RemanenceError as error:
        return f"refused: {type(error).__name__}", []
    if noticed:
        return "found by verify", []
    try:
        after = content(path)
    except UnicodeDecodeError:  # the name of a column
        return "unnoticed", ["sqlite_master"]
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    return ("without effect" if not changed else "unnoticed"), changed


def damaged(path: Path, flips: int, seed: int = 1) -> Damage:
    """Change one byte in each of so many copies, in processes of their own: one that crashes is noticed."""
    chance, damage = random.Random(seed), Damage()
    with tempfile.TemporaryDirectory() as folder:
        path = with_payloads(path, Path(folder) / "m.rem")
        with Memory(path, STRANGER) as memory:  # brings it to the present format and rules
            memory.reindex()
        return _damaged(path, flips, chance, damage)


def with_payloads(path: Path, target: Path) -> Path:
    """A copy of a store, and of the files of its caches and adapters."""
    shutil.copy(path, target)
    if (payloads := Path(f"{path}.payloads")).is_dir():
        shutil.copytree(payloads, f"{target}.payloads")
    return target


def _damaged(path: Path, flips: int, chance: random.Random, damage: Damage) -> Damage:
    image = path.read_bytes()
    places = [(chance.randrange(len(image)), chance.randrange(1, 256)) for _ in range(flips)]
    before = content(path)
    undamaged = tried(path, before, ["Where are the bees?"])
    if undamaged != ("without effect", []):
        damage.problems.append(f"the undamaged file: {undamaged}")
    for at in range(0, flips, _PER_CHILD):
        _batch(image, places[at : at + _PER_CHILD], before, damage, path)
    return damage


def _batch(image: bytes, places: list[tuple[int, int]], before: dict[str, Any], damage: Damage, whole: Path) -> None:
    """`whole` is the store before the damage: its payloads are not damaged."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            _child(image, places, before, write_end, whole)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as lines:
        answers = [json.loads(line) for line in lines]
    _, status = os.waitpid(process, 0)
    for (outcome, changed), (place, mask) in zip(answers, places, strict=False):
        damage.flips += 1
        damage.outcomes[outcome] += 1
        damage.unnoticed.update(changed)
        if {*changed} - UNCHECKED or outcome.startswith("error"):
            damage.problems.append(f"byte {place} changed by {mask:#x}: {outcome} {changed}")
    if len(answers) < len(places):
        place, mask = places[len(answers)]
        damage.flips += 1
        damage.problems.append(f"byte {place} changed by {mask:#x}: the process ended with status {status}")
        _batch(image, places[len(answers) + 1 :], before, damage, whole)


def _child(image: bytes, places: list[tuple[int, int]], before: dict[str, Any], out: int, whole: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.rem"
        for place, mask in places:
            for old in path.parent.glob("m.rem*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            with_payloads(whole, path)
            path.write_bytes(image[:place] + bytes((image[place] ^ mask,)) + image[place + 1 :])
            signal.alarm(_PATIENCE)  # a loop without end is a crash too
            try:
                answer: tuple[str, list[str]] = tried(path, before, ["Where are the bees?"])
            except Exception as error:  # noqa: BLE001 - an error that is not ours is the finding
                traceback.print_exc()
                answer = f"error: {type(error).__name__}", []
            signal.alarm(0)
            os.write(out, json.dumps(answer).encode() + b"\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    files = sorted(FOLDER.glob("*.rem"))
    problems = [problem for path in files for problem in held(path)]
    damage = damaged(files[-1], options.flips, options.seed)
    noticed = sum(count for what, count in damage.outcomes.items() if what not in ("without effect", "unnoticed"))
    changing = noticed + damage.outcomes["unnoticed"]
    result = {
        "files": [path.name for path in files], "damaged": files[-1].name, "bytes": files[-1].stat().st_size, "flips": damage.flips,
        "outcomes": dict(damage.outcomes.most_common()), "unnoticed by table": dict(damage.unnoticed),
        "noticed of those with an effect": round(noticed / changing, 4) if changing else None,
        "problems": problems + damage.problems[:50], "seed": options.seed,
    }  # fmt: skip
    return report.keep("files", result, started)


if __name__ == "__main__":
    sys.exit(main())
