"""Histories of several processes on one store, written down by each and checked together.

    python benchmarks/reliability/histories.py                                  8 processes, 20,000 operations
    python benchmarks/reliability/histories.py --processes 4 --operations 2000  fewer

Each process does random operations and writes down when it asked, when it was answered, and what. The clock is one for all
processes of a machine (CLOCK_MONOTONIC), so that an operation which ended before another began surely came first. In the
manner of Jepsen (Kingsbury and Alvaro, "Elle", VLDB 2020) nobody looks inside the store: `anomalies` finds in the merged
history what no store that does one thing after another could have answered.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import report

from remanence import Memory
from remanence.cubes import MemCube
from remanence.errors import UnknownCubeError, UnknownSpaceError
from remanence.settings import Settings

SPACES = ("north", "south", "west")
_WEIGHTS = {
    "add": 24, "correct": 22, "get": 24, "history": 6, "recall": 12, "list": 4, "keyed": 6, "forget": 1,
}  # fmt: skip


class Version(NamedTuple):
    """One version of one memory as somebody saw it."""

    id: str
    version: int
    text: str
    space: str


@dataclass(frozen=True, slots=True)
class Event:
    """One operation of one process, from asking to answer, in nanoseconds."""

    process: int
    begin: int
    end: int
    op: str
    space: str
    """The space that was asked; empty where none was named."""
    asked: Any = None
    seen: tuple[Version, ...] = ()
    """What it wrote or what it was shown."""
    gone: tuple[str, ...] = ()
    """Ids that were forgotten by it, or that it was told are unknown."""
    whole: bool = False
    """Whether `seen` is all that the space holds."""

    def line(self) -> str:
        return json.dumps(
            [self.process, self.begin, self.end, self.op, self.space, self.asked, self.seen, self.gone, self.whole]
        )

    @classmethod
    def of(cls, line: str) -> Event:
        process, begin, end, op, space, asked, seen, gone, whole = json.loads(line)
        asked = Version(*asked) if op == "recall" and asked is not None else asked
        return cls(process, begin, end, op, space, asked, tuple(Version(*one) for one in seen), tuple(gone), whole)


WRITES = ("add", "correct", "keyed", "forget")


# ── one process ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Worker:
    """Does random operations on memories that it hears of from its own reads and writes."""

    def __init__(self, memory: Memory, number: int, seed: int) -> None:
        self.memory, self.number, self.chance = memory, number, random.Random(1000 * seed + number)
        self.known: dict[str, list[Version]] = {space: [] for space in SPACES}
        self.hot: dict[str, str] = {}
        self.count = 0

    def text(self) -> str:
        self.count += 1
        return f"Worker {self.number} wrote card {self.number}x{self.count} about the {self.chance.choice(['kiln', 'boat', 'roof'])}."

    def step(self) -> Event:
        op = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        space = self.chance.choice(SPACES)
        if not self.known[space] and op not in ("add", "keyed", "list"):
            op = "add"
        begin = time.monotonic_ns()
        asked, seen, gone, whole = getattr(self, f"_{op}")(space)
        end = time.monotonic_ns()
        for one in seen:
            self._hear(one)
        return Event(self.number, begin, end, op, space, asked, tuple(seen), tuple(gone), whole)

    def _hear(self, one: Version) -> None:
        known = self.known.setdefault(one.space, [])
        known.append(one)
        if len(known) > 40:  # the latest are the ones that others work on too
            del known[: len(known) // 2]

    def _pick(self, space: str) -> str:
        """Often the memory that all processes know of, so that they meet."""
        if space in self.hot and self.chance.random() < 0.6:
            return self.hot[space]
        return self.chance.choice(self.known[space]).id

    def _add(self, space: str) -> Any:
        texts = [self.text() for _ in range(self.chance.choice([1, 1, 2]))]
        ids = self.memory.add(texts, space=space)
        return None, [Version(one, 1, text, space) for one, text in zip(ids, texts, strict=True)], (), False

    def _keyed(self, space: str) -> Any:
        """The same call that other processes make at about the same time: one of them writes."""
        number = time.monotonic_ns() // 2_000_000_000
        key, text = f"{space} {number}", f"The message {number} of all for {space}."
        ids = self.memory.add(text, space=space, idempotency_key=key)  # none, once the memory was forgotten
        if ids:
            self.hot[space] = ids[-1]
        return key, [Version(one, 1, text, space) for one in ids], (), False

    def _correct(self, space: str) -> Any:
        one, text = self._pick(space), self.text()
        try:
            return None, [_seen(self.memory.correct(one, text, space=space))], (), False
        except UnknownCubeError:
            return None, (), (one,), False

    def _get(self, space: str) -> Any:
        one = self._pick(space)
        try:
            return None, [_seen(self.memory.get(one, space=space))], (), False
        except UnknownCubeError:
            return None, (), (one,), False

    def _history(self, space: str) -> Any:
        one = self._pick(space)
        try:
            return None, [_seen(cube) for cube in self.memory.history(one, space=space)], (), False
        except UnknownCubeError:
            return None, (), (one,), False

    def _recall(self, space: str) -> Any:
        one = self.chance.choice(self.known[space])
        return one, [_seen(hit.cube) for hit in self.memory.recall(one.text, space=space, k=5)], (), False

    def _list(self, space: str) -> Any:
        try:
            return None, [_seen(cube) for cube in self.memory.list(space=space, limit=10_000)], (), True
        except UnknownSpaceError:
            return None, (), (), True

    def _forget(self, space: str) -> Any:
        some = sorted({self.chance.choice(self.known[space]).id for _ in range(3)})
        try:
            return None, (), self.memory.forget(some, space=space).ids, False
        except UnknownCubeError:
            return "refused", (), (), False


def _seen(cube: MemCube) -> Version:
    return Version(cube.id, cube.version, cube.text, cube.scope.space)


def settings(path: Path) -> Settings:
    """One key for all processes, made by whoever needs it first."""
    key = path.with_name("signing.pem")
    return Settings(embedder="hashing", busy_timeout=120, durability="normal", signing_key=key)


def work(path: Path, number: int, count: int, seed: int, start: Any) -> None:
    """One process: wait for the others, then work and write down."""
    with Memory(path, settings(path)) as memory, Path(f"{path}.{number}.log").open("w", encoding="utf-8") as log:
        worker = Worker(memory, number, seed)
        start.wait(60)
        log.writelines(worker.step().line() + "\n" for _ in range(count))


# ── what no store may answer ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Life:
    """What happened to one memory."""

    writes: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """By version: who was told that he wrote it."""
    texts: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    space: str = ""
    forgets: list[Event] = field(default_factory=list)
    sights: list[tuple[Event, int]] = field(default_factory=list)
    """Reads and writes that showed it, with the newest version that they showed."""
    missed: list[Event] = field(default_factory=list)
    """Operations that were told that it is unknown."""


def anomalies(history: Iterable[Event], final: Mapping[str, Sequence[Version]]) -> dict[str, list[str]]:
    """What is wrong with a history, by kind; `final` holds all versions of every memory that is left.

    Kinds: lost update, wrong text, stale read, read from the future, backwards, cross-space read, resurrection, early loss,
    missing from a list, torn batch, own write not recalled, key used twice, unknown writer.
    """
    events = sorted(history, key=lambda one: one.begin)
    lives = _lives(events)
    found: dict[str, list[str]] = defaultdict(list)
    for kind, what in _problems(events, lives, final):
        found[kind].append(what)
    return dict(found)


def _lives(events: Sequence[Event]) -> dict[str, _Life]:
    lives: dict[str, _Life] = defaultdict(_Life)
    for event in events:
        newest: dict[str, int] = {}
        for one in event.seen:
            if event.op in WRITES:
                lives[one.id].writes[one.version].append(event)
                lives[one.id].texts[one.version].add(one.text)
                lives[one.id].space = one.space
            newest[one.id] = max(one.version, newest.get(one.id, 0))
        for cube_id, version in newest.items():
            if event.op != "keyed":  # the answer to a repeated call is an id; it says nothing of the present
                lives[cube_id].sights.append((event, version))
        for cube_id in event.gone:
            (lives[cube_id].forgets if event.op == "forget" else lives[cube_id].missed).append(event)
    return lives


Found = Iterator[tuple[str, str]]


def _problems(events: Sequence[Event], lives: Mapping[str, _Life], final: Mapping[str, Sequence[Version]]) -> Found:
    for cube_id, life in lives.items():
        yield from _updates(cube_id, life, final.get(cube_id, ()))
        yield from _order(cube_id, life)
        yield from _ends(cube_id, life, cube_id in final)
    for event in events:
        yield from _shown(event, lives)
    yield from _whole(events, lives)
    yield from _recalled(events, lives)
    yield from _keys(events, lives)


def _updates(cube_id: str, life: _Life, final: Sequence[Version]) -> Found:
    """Each version has one writer and stays; versions follow one another without a gap."""
    for version, writers in life.writes.items():
        if len(writers) > 1 and not all(one.op == "keyed" for one in writers):
            yield "lost update", f"{len(writers)} processes were told that they wrote version {version} of {cube_id}"
    if final:
        there = {one.version: one.text for one in final}
        if sorted(there) != list(range(1, len(final) + 1)):
            yield "lost update", f"the versions of {cube_id} are {sorted(there)}"
        for version, texts in life.texts.items():
            if there.get(version) not in texts:
                yield "lost update", f"version {version} of {cube_id} was acknowledged and is {there.get(version)!r}"
    elif not life.forgets:
        yield "lost update", f"{cube_id} was acknowledged and is not there"


def _order(cube_id: str, life: _Life) -> Found:
    """In real time: nobody sees an older version than somebody saw or wrote before he asked, nor one that nobody has begun to write."""
    ended = sorted(life.sights, key=lambda sight: sight[0].end)
    at, newest, own = 0, 0, Counter[int]()
    for event, version in sorted(life.sights, key=lambda sight: sight[0].begin):
        while at < len(ended) and ended[at][0].end < event.begin:
            seen, process = ended[at][1], ended[at][0].process
            newest, own[process] = max(newest, seen), max(own[process], seen)
            at += 1
        if version < newest:
            kind = "backwards" if version < own[event.process] else "stale read"
            what = f"version {version} of {cube_id} after {newest} had been seen or written"
            yield kind, f"process {event.process} saw {what}"
        if event.op not in WRITES and all(writer.begin > event.end for writer in life.writes.get(version, [])):
            kind = "read from the future" if life.writes.get(version) else "unknown writer"
            yield kind, f"process {event.process} saw version {version} of {cube_id}"


def _ends(cube_id: str, life: _Life, is_left: bool) -> Found:
    """Nobody sees a memory after it was forgotten; nobody is told that one is unknown before somebody began to forget it."""
    if life.forgets:
        over = min(event.end for event in life.forgets)
        for event, _ in life.sights:
            if event.begin > over:
                yield "resurrection", f"process {event.process} saw {cube_id} after it was forgotten"
        if is_left:
            yield "resurrection", f"{cube_id} was forgotten and is there at the end"
        if len(life.forgets) > 1:
            yield "resurrection", f"{cube_id} was forgotten {len(life.forgets)} times"
    first = min((event.begin for event in life.forgets), default=None)
    for event in life.missed:
        if first is None or event.end < first:
            yield "early loss", f"process {event.process} was told that {cube_id} is unknown"


def _shown(event: Event, lives: Mapping[str, _Life]) -> Found:
    """Each version is shown with its own text, in its own space."""
    for one in event.seen:
        if event.space and one.space != event.space:
            yield (
                "cross-space read",
                f"{event.op} in {event.space} by process {event.process} showed {one.id} of {one.space}",
            )
        if one.id in lives and lives[one.id].space not in ("", one.space):
            yield "cross-space read", f"{one.id} of {lives[one.id].space} was shown as one of {one.space}"
        texts = lives[one.id].texts.get(one.version)
        if texts and one.text not in texts:
            yield "wrong text", f"version {one.version} of {one.id} was shown as {one.text!r}"


def _whole(events: Sequence[Event], lives: Mapping[str, _Life]) -> Found:
    """A list of a space holds every memory that was acknowledged before and not forgotten, and all or nothing of one batch."""
    born = {
        one.id: (event, one.space) for event in events if event.op in ("add", "keyed") for one in event.seen
    }  # of several answers for one key any will do
    batches = [event for event in events if event.op == "add" and len(event.seen) > 1]
    for event in (event for event in events if event.whole):
        ids = {one.id for one in event.seen}
        for cube_id, (birth, space) in born.items():
            if (
                space == event.space
                and birth.end < event.begin
                and cube_id not in ids
                and not _may_be_gone(lives[cube_id], event)
            ):
                yield "missing from a list", f"process {event.process} was not shown {cube_id}"
        for batch in batches:
            there = [one.id in ids for one in batch.seen]
            if batch.space == event.space and any(there) and not all(there):
                lost = next(one.id for one, is_there in zip(batch.seen, there, strict=True) if not is_there)
                if not _may_be_gone(lives[lost], event):
                    yield (
                        "torn batch",
                        f"process {event.process} was shown one half of what process {batch.process} wrote at once",
                    )


def _may_be_gone(life: _Life, event: Event) -> bool:
    return any(forget.begin < event.end for forget in life.forgets)


def _recalled(events: Sequence[Event], lives: Mapping[str, _Life]) -> Found:
    """Who asks with the words of a memory is shown it, unless it was corrected or forgotten meanwhile."""
    for event in events:
        if event.op == "recall" and event.asked is not None:
            wanted: Version = event.asked
            life = lives[wanted.id]
            changed = any(
                writer.begin < event.end for version, writers in life.writes.items() if version > wanted.version for writer in writers
            )  # fmt: skip
            if not changed and not _may_be_gone(life, event) and wanted.id not in {one.id for one in event.seen}:
                yield "own write not recalled", f"process {event.process} asked with the words of {wanted.id}"


def _keys(events: Sequence[Event], lives: Mapping[str, _Life]) -> Found:
    """One key gives one memory to all who use it, or none once that was forgotten."""
    by_key: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.op == "keyed":
            by_key[event.asked].append(event)
    for key, answers in by_key.items():
        ids = {one.id for event in answers for one in event.seen}
        if len(ids) > 1:
            yield "key used twice", f"the key {key!r} gave {sorted(ids)}"
        for event in answers:
            if not event.seen and not any(_may_be_gone(lives[one], event) for one in ids):
                yield "early loss", f"process {event.process} was told that the memory of the key {key!r} is gone"


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Outcome:
    """What was done and found."""

    history: list[Event]
    found: dict[str, list[str]]
    verified: bool
    problems: list[str]


def run(processes: int, operations: int, seed: int = 1) -> Outcome:
    """Let so many processes work on one new file, and check what they say."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.rem"
        Memory(path, settings(path)).close()
        spawn = multiprocessing.get_context("spawn")
        start = spawn.Barrier(processes)
        each = [operations // processes + (n < operations % processes) for n in range(processes)]
        workers = [spawn.Process(target=work, args=(path, n, each[n], seed, start)) for n in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        history = [
            Event.of(line) for n in range(processes) for line in Path(f"{path}.{n}.log").read_text(encoding="utf-8").splitlines()
        ]  # fmt: skip
        problems = [f"process {n} ended with {one.exitcode}" for n, one in enumerate(workers) if one.exitcode]
        with Memory(path, settings(path)) as memory:
            checked = memory.verify()
            final: dict[str, list[Version]] = defaultdict(list)
            for cube, _ in memory._store.everything():
                final[cube.id].append(_seen(cube))
    found = anomalies(history, final)
    problems += [f"verify: {one}" for one in checked.problems]
    problems += [f"{kind}: {len(some)}, such as: {some[0]}" for kind, some in found.items()]
    return Outcome(history, found, checked.ok, problems)


def raced(history: Sequence[Event]) -> dict[str, int]:
    """How much of the history really ran side by side: without that, nothing was tried."""
    events = sorted(history, key=lambda one: one.begin)
    side_by_side = sum(1 for one, other in pairwise(events) if other.begin < one.end)
    written: dict[str, set[int]] = defaultdict(set)
    for event in events:
        if event.op in ("add", "correct", "keyed"):
            for one in event.seen:
                written[one.id].add(event.process)
    return {
        "operations that began while another ran": side_by_side,
        "memories written by more than one process": sum(1 for some in written.values() if len(some) > 1),
        "most versions of one memory": max((one.version for event in events for one in event.seen), default=0),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    outcome = run(options.processes, options.operations, options.seed)
    result = {
        "processes": options.processes, "operations": len(outcome.history),
        "by operation": dict(sorted(Counter(event.op for event in outcome.history).items())), "raced": raced(outcome.history),
        "verified": outcome.verified, "anomalies": sum(map(len, outcome.found.values())), "problems": outcome.problems,
        "seed": options.seed,
    }  # fmt: skip
    if len(outcome.history) < options.operations:
        result["problems"].append("some operations were not done")
    return report.keep("histories", result, started)


if __name__ == "__main__":
    sys.exit(main())
