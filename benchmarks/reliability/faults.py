"""Faults at every call that the store makes of the disk: errors, a full disk, torn writes, kills, and power failures.

    python benchmarks/reliability/faults.py                 every call of every kind of work
    python benchmarks/reliability/faults.py --every 7       every seventh

Each kind of work is done once to count its calls: opening, writing, syncing, truncating, deleting and renaming files, by
SQLite and by Python. Then it is done again for each call and each fault, on a fresh copy of the same store. The work has to
raise one of our errors or to be done in full; what was there before is there; `verify` is clean; the store goes on working in
the same process and after it is opened again; the same call again brings the work to its end; and no byte of what was
forgotten is left.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import disk
import operations
import power
import report
from crash import bytes_of, tokens_of
from disk import Call, Verdict
from operations import SETTINGS, Expected, Operation

from remanence import Memory
from remanence.errors import RemanenceError

OLD_FILES = Path(__file__).parents[2] / "tests" / "store" / "files"


@dataclass(frozen=True)
class Work:
    """Something to do on a store, and what is there before."""

    name: str
    files: dict[str, bytes]
    before: Expected
    operation: Operation | None
    whole: bool = False
    """Whether opening and closing the store belong to it."""


@dataclass
class Tally:
    calls: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    by_call: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Fault:
    """What happens at one call; with `lasting`, at all after it too."""

    name: str
    verdict: Verdict
    lasting: bool = False
    only: str = ""
    """The one kind of call that can fail this way; any, if empty."""


ERRORS = (
    Fault("error", Verdict.ERROR),
    Fault("lasting error", Verdict.ERROR, lasting=True),
    Fault("disk full for a moment", Verdict.FULL),
    Fault("disk full", Verdict.FULL, lasting=True),
    Fault("torn write, then an error", Verdict.TORN, only="write"),
)
KILLS = (Fault("killed", Verdict.KILL), Fault("killed in half a write", Verdict.TORN_KILL, only="write"))
POWER = ("power failure, nothing unsynced kept", "power failure, some of it kept", "power failure, other parts kept")


class At:
    """A judge that lets a fault happen at the n-th call, counted from 1, while it is switched on."""

    def __init__(self, number: int = 0, fault: Fault | None = None) -> None:
        self.number, self.fault = number, fault
        self.calls: list[Call] = []
        self.on = False

    def __call__(self, call: Call) -> Verdict:
        if not self.on:
            return Verdict.PASS
        self.calls.append(call)
        if self.fault is None or len(self.calls) < self.number:
            return Verdict.PASS
        if len(self.calls) > self.number and not self.fault.lasting:
            return Verdict.PASS
        if self.fault.verdict in (Verdict.TORN, Verdict.TORN_KILL) and call.kind != "write":
            return Verdict.ERROR
        return self.fault.verdict


# ── doing the work ───────────────────────────────────────────────────────────────────────────────────────────────────


def done(work: Work, folder: Path, judge: At, look: Callable[[Memory], None] = lambda _: None) -> str:
    """Do the work under a judge. Returns the name of what it raised, or "done". `look` sees the memory when the disk is well again."""
    outcome = "done"
    judge.on = work.whole
    with disk.watched(judge, folder):
        memory: Memory | None = None
        try:
            memory = Memory(folder / "m.rem", SETTINGS)
            judge.on = True
            if work.operation:
                operations.perform(memory, work.operation, folder)
        except RemanenceError as error:
            outcome = type(error).__name__
        finally:
            judge.on = False
            if memory is not None:
                if not work.whole:
                    look(memory)
                judge.on = work.whole
                memory.close()
                judge.on = False
    return outcome


def looked_at(work: Work) -> Callable[[Memory], None]:
    """The check of a memory that met a fault, in the process that met it."""

    def look(memory: Memory) -> None:
        operations.left_by(work.operation or {"op": "nothing"}, work.before, operations.image_of(memory))

    return look


def checked(work: Work, folder: Path, outcome: str) -> str:
    """Open the store again, hold it to what may be there, repeat the work. Returns what the work had left."""
    expected, operation = work.before.copy(), work.operation or {"op": "nothing"}
    with Memory(folder / "m.rem", SETTINGS) as memory:
        assert memory.verify(sample=0).ok
        left = operations.left_by(operation, expected, operations.image_of(memory))
        if operation["op"] in ("backup", "export"):
            there = (folder / operation["name"]).exists()
            assert there or outcome != "done", "the copy is not there although it was acknowledged"
        elif outcome == "done" and operation["op"] not in ("nothing", "reindex", "extract"):
            assert left == ("part" if operation["op"] in ("pair", "consolidate") else "all"), (
                f"acknowledged, and {left} of it is there"
            )
        if work.operation:
            operations.repeat(memory, operation, expected, folder)
        operations.compare(memory, expected)
        operations.compare_copies(expected, folder)
        memory.add("The store goes on.")
    with Memory(folder / "m.rem", SETTINGS) as memory:
        found = set(operations.TOKEN.findall(bytes_of(folder / "m.rem"))) & tokens_of(expected)
        assert not found, "bytes of what was forgotten are left"
    return left


def fresh(work: Work) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    power.laid_out(work.files, Path(folder.name))
    return folder


def with_error(work: Work, number: int, fault: Fault) -> str:
    with fresh(work) as name:
        folder = Path(name)
        outcome = done(work, folder, At(number, fault), looked_at(work))
        return f"{outcome}, {checked(work, folder, outcome)}"


def with_kill(work: Work, number: int, fault: Fault) -> str:
    with fresh(work) as name:
        folder = Path(name)
        process = os.fork()
        if process == 0:
            with suppress(BaseException):
                done(work, folder, At(number, fault))
            os._exit(1)
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status), "the process was to die and did not"
        assert os.WTERMSIG(status) == signal.SIGKILL
        return f"killed, {checked(work, folder, 'killed')}"


def without_power(work: Work, calls: Sequence[Call], number: int, chance: random.Random | None, folder: Path) -> str:
    """The power fails before the call of this number; after the last one, when the work was acknowledged."""
    platter = power.Platter({str(folder / name): content for name, content in work.files.items()})
    platter.play(calls[: number - 1])
    outcome = "done" if number > len(calls) else "cut off"
    with tempfile.TemporaryDirectory() as name:
        power.laid_out(platter.fail(chance), Path(name))
        return f"{outcome}, {checked(work, Path(name), outcome)}"


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def injected(work: Work, every: int, offset: int) -> Iterator[tuple[str, Call | None, Callable[[], str]]]:
    """All faults of some work: the fault's name, the call, and the trial itself."""
    with fresh(work) as name:
        folder, judge = Path(name), At()
        outcome = done(work, folder, judge)
        assert outcome == "done", outcome
        calls = judge.calls
        for number in range(1 + offset % every, len(calls) + 1, every):
            call = calls[number - 1]
            for fault in (*ERRORS, *KILLS):
                if fault.only in ("", call.kind):
                    attempt = with_kill if fault in KILLS else with_error
                    yield fault.name, call, lambda n=number, f=fault, a=attempt: a(work, n, f)
        for number in sorted({*range(1 + offset % every, len(calls) + 1, every), len(calls) + 1}):
            for which, kind in enumerate(POWER):
                chance = random.Random(f"{work.name} {number} {which}") if which else None
                call = calls[number - 1] if number <= len(calls) else None
                yield kind, call, lambda n=number, c=chance: without_power(work, calls, n, c, folder)


def run(works: Sequence[Work], every: int = 1) -> Tally:
    disk.install()
    tally = Tally()
    for place, work in enumerate(works):
        seen = set[int]()
        for fault, call, attempt in injected(work, every, place):
            tally.injected[fault] += 1
            tally.by_call[call.kind if call else "after the last call"] += 1
            if call is not None and id(call) not in seen:
                seen.add(id(call))
                tally.calls[work.name] += 1
            try:
                tally.outcomes[attempt()] += 1
            except Exception as error:  # noqa: BLE001 - a trial that fails is a finding, and the others go on
                where = f"{work.name}, {fault}, at {call and (call.kind, Path(call.name).suffix)} {sum(tally.injected.values())}"
                tally.problems.append(f"{where}: {type(error).__name__}: {error}"[:1500])
                if len(tally.problems) < 12:
                    traceback.print_exc()
    return tally


def run_all(found: Sequence[Work], every: int, jobs: int) -> Tally:
    """The same by several processes, each with some of the work."""
    tally = Tally()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for part in [pool.submit(_run_one, work.name, every) for work in found]:
            one = part.result()
            for name in ("calls", "injected", "by_call", "outcomes"):
                getattr(tally, name).update(getattr(one, name))
            tally.problems += one.problems
    return tally


def _run_one(name: str, every: int) -> Tally:
    return run([work for work in works() if work.name == name], every)


def works() -> list[Work]:
    """Every kind of work there is, on one small store."""
    chance, expected = random.Random(7), Expected()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Memory(folder / "m.rem", SETTINGS) as memory:
            texts = [operations.text(chance, (0, 0, 9)) for _ in range(11)]
            adds = [{"op": "add", "texts": some, "space": "default", "key": None} for some in (texts[:8], texts[8:])]
            for kind in ("add", "correct", "extract", "pair", "add", "forget", "freeze", "archive", "nearly"):
                operation = adds.pop(0) if kind == "add" else operations.choose(chance, expected, {kind: 1})
                expected.apply(operation, operations.perform(memory, operation, folder))
                expected.mark(datetime.now(UTC).isoformat())
            left = Path(shutil.copytree(folder, folder / "left"))  # with a log, as a killed process leaves it
        base = {"m.rem": (folder / "m.rem").read_bytes()}
        with_log = {one.name: one.read_bytes() for one in left.iterdir() if not one.name.endswith("-shm")}
    some = [operations.text(chance, (0, 9, 400)) for _ in range(10)]
    found = [
        Work("create a store", {}, Expected(), None, whole=True),
        Work("open and close", base, expected, None, whole=True),
        Work("recover a log", with_log, expected, None, whole=True),
        Work("add one", base, expected, {"op": "add", "texts": some[:1], "space": "default"}),
        Work("add three batches", base, expected, {"op": "add", "texts": some, "space": "new", "key": "k"}),
        Work("open, add, close", base, expected, {"op": "add", "texts": some[:2], "space": "default"}, whole=True),
    ]
    kinds = [kind for kind in operations.WEIGHTS if kind not in ("add", "again", "nearly")]
    found += [Work(kind, base, expected, operations.choose(chance, expected, {kind: 1})) for kind in kinds]
    assert all(work.operation is None or work.operation["op"] in work.name for work in found)
    return found + old_files()


def old_files() -> list[Work]:
    """Files of earlier formats are brought to the present one at their first opening."""
    found: list[Work] = []
    for path in sorted(OLD_FILES.glob("*.rem")):
        with tempfile.TemporaryDirectory() as name:
            shutil.copy(path, Path(name) / "m.rem")
            with Memory(Path(name) / "m.rem", SETTINGS) as memory:
                expected = Expected(operations.image_of(memory))
        found.append(Work(f"migrate {path.stem}", {"m.rem": path.read_bytes()}, expected, None, whole=True))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="try every n-th call only")
    parser.add_argument("--only", help="one kind of work")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    if missing := disk.available():
        print(missing, file=sys.stderr)
        return 2
    started = time.monotonic()
    chosen = [work for work in works() if options.only in (None, work.name)]
    tally = run_all(chosen, options.every, options.jobs)
    result: dict[str, Any] = {
        "points": tally.calls.total(), "injected": tally.injected.total(), "calls": dict(tally.calls),
        "by fault": dict(tally.injected), "by call": dict(tally.by_call), "outcomes": dict(tally.outcomes.most_common()),
        "every": options.every, "problems": tally.problems,
    }  # fmt: skip
    return report.keep("faults", result, started)


if __name__ == "__main__":
    sys.exit(main())
