"""Random work on a memory, and what the memory has to hold after it.

An operation is a plain dict, so that it goes over a pipe and into a log. `Expected` is the reference: a few dictionaries
that follow what was acknowledged, and know what an operation that was cut off may have left.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from remanence import Memory
from remanence.cubes import Extraction, Fact, MemCube, State
from remanence.errors import TransitionError, UnknownCubeError
from remanence.settings import Settings
from remanence.write.extract import Extracted

Operation = dict[str, Any]

_KEYS = tempfile.TemporaryDirectory()  # for the key that signs receipts: never the user's own
SETTINGS = Settings(embedder="hashing", busy_timeout=10, commit_every=4, signing_key=Path(_KEYS.name) / "signing.pem")
SPACES = ("default", "north")
_NAMES = ("Ana", "Bo", "Cem", "Dora", "Emil")
_TOKEN = re.compile(r"Zq[0-9a-f]{12}")
TOKEN = re.compile(_TOKEN.pattern.encode())


def text(chance: random.Random, lengths: Sequence[int] = (0, 0, 3, 20, 400)) -> str:
    """A text made of a token that no other text has, said so many more times: from one line to several pages of the file."""
    token, name = f"Zq{chance.getrandbits(48):012x}", chance.choice(_NAMES)
    said = f"{name} moved to {token} in May {2000 + chance.randrange(25)}."
    return " ".join([said, *[token] * chance.choice(lengths)])


def token_of(content: str) -> str:
    """The token of a text."""
    found = _TOKEN.search(content)
    assert found is not None, content
    return found.group()


# ── what a model would read ──────────────────────────────────────────────────────────────────────────────────────────


class Reader:
    """An extractor whose reading follows from the text alone, so that a reading can be checked word for word."""

    name = "reliability/1"

    def __init__(self) -> None:
        self.asked: list[MemCube] = []

    def extract(self, cubes: Sequence[MemCube]) -> Extracted:
        self.asked += cubes
        return Extracted(tuple(reading_of(cube.text) for cube in cubes))


def reading_of(content: str) -> Extraction:
    if not _TOKEN.search(content):  # a summary may quote nothing of it
        return Extraction()
    name, token = content.split(maxsplit=1)[0], token_of(content)
    return Extraction((name, token), (Fact(name, "moved to", token),), (), None)


# ── what is there ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Seen:
    """One memory, all versions."""

    space: str
    texts: tuple[str, ...]
    parents: tuple[str, ...] = ()
    state: str = "active"
    """Of the newest version."""
    hidden: bool = False
    """Whether the newest version is no current one."""
    policy: str = "{}"

    def to_json(self) -> list[Any]:
        return [self.space, list(self.texts), list(self.parents), self.state, self.hidden, self.policy]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Seen:
        return cls(data[0], tuple(data[1]), tuple(data[2]), *data[3:])


Image = Mapping[str, Seen]


def image_of(memory: Memory) -> dict[str, Seen]:
    """Everything that a memory holds, by id, in the order of writing."""
    found: dict[str, Seen] = {}
    for cube, _ in memory._store.everything():
        before = found[cube.id].texts if cube.id in found else ()
        found[cube.id] = Seen(
            cube.scope.space, (*before, cube.text), cube.provenance.derived_from, str(cube.state), cube.superseded_at is not None,
            json.dumps(cube.policy.to_json()),
        )  # fmt: skip
    return found


def ranked(memory: Memory, question: str, space: str) -> list[tuple[str, float]]:
    """What recall finds, with scores."""
    return [(hit.cube.text, round(hit.score, 4)) for hit in memory.recall(question, space=space, k=50)]


_STATES = {
    "freeze": State.FROZEN, "unfreeze": State.ACTIVE, "archive": State.ARCHIVED, "expire": State.EXPIRED, "restore": State.ACTIVE,
}  # fmt: skip
"""Steps of a memory's life, and the state that each leads to."""


# ── the reference ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Expected:
    """What a store has to hold by what was acknowledged."""

    cubes: dict[str, Seen] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    """Tokens of what was forgotten, by id."""
    keys: dict[str, list[Any]] = field(default_factory=dict)
    """Idempotency keys: space, texts, ids."""
    read: set[tuple[str, int]] = field(default_factory=set)
    copies: dict[str, dict[str, Seen]] = field(default_factory=dict)
    """What was there when a backup or an export was acknowledged, by the name of its file."""
    marks: list[list[Any]] = field(default_factory=list)
    """Some times, and the texts that were current then, by id: where a rollback can lead."""

    def to_json(self) -> dict[str, Any]:
        """What the next process has to know to choose its work."""
        return {
            "cubes": {one: seen.to_json() for one, seen in self.cubes.items()},
            "keys": self.keys,
            "marks": self.marks,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expected:
        return cls(
            {one: Seen.from_json(seen) for one, seen in data["cubes"].items()},
            keys=dict(data["keys"]),
            marks=list(data["marks"]),
        )

    def in_state(self, *states: str) -> list[str]:
        """Memories that were not made from others and whose newest version is in one of these states."""
        return [one for one, seen in self.cubes.items() if seen.state in states and not seen.parents]

    def descendants(self, ids: Sequence[str]) -> list[str]:
        """What was made from these, from that, and so on."""
        found = list(ids)
        for one in found:
            found += [child for child, seen in self.cubes.items() if one in seen.parents and child not in found]
        return found[len(ids) :]

    def retire(self, ids: Sequence[str]) -> None:
        for one in self.descendants(ids):
            if not self.cubes[one].hidden:
                self.cubes[one] = replace(self.cubes[one], state="archived", hidden=True)

    def apply(self, operation: Operation, result: Any) -> None:
        """Take in one operation that was acknowledged with this result."""
        _APPLY.get(operation["op"], _unchanged)(self, operation, result)

    def mark(self, at: str) -> None:
        """Remember what is current now, at this time."""
        current = {one: seen.texts[-1] for one, seen in self.cubes.items() if not seen.hidden and not seen.parents}
        self.marks = [*self.marks[-2:], [at, current]]

    def copy(self) -> Expected:
        return Expected(
            dict(self.cubes), dict(self.gone), dict(self.keys), set(self.read), dict(self.copies), list(self.marks)
        )


def _apply_add(self: Expected, operation: Operation, ids: Sequence[str]) -> None:
    assert len(ids) == len(operation["texts"])
    for one, content in zip(ids, operation["texts"], strict=True):
        assert one not in self.gone, "an id came again"
        self.cubes.setdefault(one, Seen(operation["space"], (content,)))
    if operation.get("key"):
        self.keys[operation["key"]] = [operation["space"], list(operation["texts"]), list(ids)]


def _apply_correct(self: Expected, operation: Operation, _result: Any) -> None:
    seen = self.cubes[operation["id"]]
    if seen.texts[-1] != operation["text"]:
        self.cubes[operation["id"]] = replace(seen, texts=(*seen.texts, operation["text"]))
        self.retire([operation["id"]])


def _apply_forget(self: Expected, operation: Operation, _result: Any) -> None:
    erased = {one: self.cubes.pop(one) for one in [*operation["ids"], *self.descendants(operation["ids"])]}
    for one, seen in erased.items():
        self.gone[one] = sorted({token for content in seen.texts for token in _TOKEN.findall(content)})
    for one in sorted({parent for seen in erased.values() for parent in seen.parents}):
        if one in self.cubes and self.cubes[one].state == "merged":  # what spoke for it is gone
            _bring_back(self, one)
    self.read = {(one, version) for one, version in self.read if one in self.cubes}
    self.keys = {key: row for key, row in self.keys.items() if not set(row[2]) & set(self.gone)}


def _apply_pair(self: Expected, _operation: Operation, result: Mapping[str, Sequence[Any]]) -> None:
    self.cubes |= {one: Seen.from_json(seen) for one, seen in result.items()}


def _apply_extract(self: Expected, _operation: Operation, result: Sequence[Sequence[Any]]) -> None:
    self.read |= {(one, version) for one, version in result}


def _apply_copy(self: Expected, operation: Operation, _result: Any) -> None:
    self.copies[operation["name"]] = dict(self.cubes)


def _apply_state(self: Expected, operation: Operation, _result: Any) -> None:
    one, state = operation["id"], _STATES[operation["op"]].value
    seen = self.cubes[one]
    if operation["op"] in ("archive", "expire"):
        self.cubes[one] = replace(seen, state=state, hidden=True)
        self.retire([one])
    elif operation["op"] == "restore":
        _bring_back(self, one)
    else:
        self.cubes[one] = replace(seen, state=state)


def _bring_back(self: Expected, one: str) -> None:
    seen = self.cubes[one]
    self.cubes[one] = replace(seen, state="active", hidden=False, texts=(*seen.texts, seen.texts[-1]))
    if (one, len(seen.texts)) in self.read:
        self.read.add((one, len(seen.texts) + 1))


def _apply_govern(self: Expected, operation: Operation, result: Mapping[str, Sequence[Any]]) -> None:
    image = {one: Seen.from_json(seen) for one, seen in result.items()}
    assert check_governed(self, operation, image) == "all", "a memory is not governed as was acknowledged"
    self.cubes = image


def check_governed(before: Expected, operation: Operation, image: Image) -> str:
    """Only policies changed: that of the memory, and of what was made from it, which is closed first. Returns how far it came."""
    made = before.descendants([operation["id"]])
    assert image.keys() == before.cubes.keys()
    for one, seen in image.items():
        assert replace(seen, policy="") == replace(before.cubes[one], policy=""), "governing changed a memory"
        assert seen == before.cubes[one] or one in (operation["id"], *made), "another memory was governed"
    closed = json.loads(image[operation["id"]].policy) == operation["policy"]
    open_ones = [one for one in made if "sensitivity" not in json.loads(image[one].policy)]
    assert not (closed and open_ones), "what was made from a memory with a label has none"
    return "all" if closed else "part"


def _apply_rollback(self: Expected, operation: Operation, result: Mapping[str, Sequence[Any]]) -> None:
    image = {one: Seen.from_json(seen) for one, seen in result.items()}
    check_rollback(self.cubes, operation, image)
    self.cubes = image


def check_rollback(before: Image, operation: Operation, image: Image) -> None:
    """After a rollback a space says what it said then, but for what was forgotten, is frozen, or had expired."""
    [then] = [current for at, current in operation["marks"] if at == operation["to"]]
    assert image.keys() == before.keys()
    for one, seen in image.items():
        old = before[one]
        assert seen.texts[: len(old.texts)] == old.texts, "a rollback rewrote the past"
        if old.space != operation["space"] or old.state in ("frozen", "expired"):
            assert seen == old, "a rollback changed what it was not to touch"
        elif not old.parents:
            assert then.get(one) == (None if seen.hidden else seen.texts[-1]), "a rollback led elsewhere"


def _apply_consolidate(self: Expected, _operation: Operation, result: Mapping[str, Sequence[Any]]) -> None:
    image = {one: Seen.from_json(seen) for one, seen in result.items()}
    check_consolidated(self.cubes, image)
    self.cubes = image


def check_consolidated(before: Image, image: Image) -> None:
    """Consolidation loses nothing: what it takes out of sight another memory speaks for, and what it makes names its sources."""
    for one, old in before.items():
        if old.parents:
            continue
        seen, count = image[one], len(old.texts)
        assert seen.texts[:count] == old.texts, "consolidation rewrote a memory"
        assert {*seen.texts[count:]} <= {old.texts[-1]}, "consolidation changed a memory"
        assert seen.policy == old.policy
        if seen.hidden and not old.hidden:
            speakers = [other for other in image.values() if not other.hidden and one in other.parents]
            assert seen.state == "merged", "consolidation put a memory away"
            assert speakers, "nothing speaks for a memory that was merged"
        if old.hidden and not seen.hidden:
            assert old.state == "merged", "consolidation brought back what it had not merged"
    assert all(seen.parents and {*seen.parents} <= {*image} for one, seen in image.items() if one not in before)


def _unchanged(_self: Expected, _operation: Operation, _result: Any) -> None:
    return


_APPLY: dict[str, Callable[[Expected, Operation, Any], None]] = {
    "add": _apply_add, "correct": _apply_correct, "forget": _apply_forget, "pair": _apply_pair, "extract": _apply_extract,
    "backup": _apply_copy, "export": _apply_copy, "govern": _apply_govern,
    "rollback": _apply_rollback, "consolidate": _apply_consolidate, **dict.fromkeys(_STATES, _apply_state),
}  # fmt: skip


# ── choosing and doing ───────────────────────────────────────────────────────────────────────────────────────────────

WEIGHTS: dict[str, int] = {
    "add": 30, "correct": 18, "forget": 12, "extract": 8, "pair": 8, "reindex": 4, "backup": 4, "export": 4, "again": 4,
    "freeze": 3, "unfreeze": 3, "archive": 4, "expire": 3, "restore": 5, "govern": 4,
    "rollback": 3, "consolidate": 4, "nearly": 6,
}  # fmt: skip
_FROM = {"unfreeze": ("frozen",), "restore": ("archived", "expired")}
"""The states that an operation begins in; the others begin with an active memory."""


def choose(chance: random.Random, expected: Expected, kinds: Mapping[str, int] = WEIGHTS) -> Operation:
    """The next operation, one that the memory can do."""
    active = expected.in_state("active")
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    some = expected.in_state(*_FROM.get(kind, ("active",)))
    if (
        len(active) < 6
        or not some
        or (kind == "again" and not expected.keys)
        or (kind == "rollback" and not expected.marks)
    ):
        kind = "add"
    if kind == "again":
        key = chance.choice(list(expected.keys))
        space, texts, _ = expected.keys[key]
        return {"op": "add", "texts": texts, "space": space, "key": key}
    if kind == "add":
        texts = [text(chance) for _ in range(chance.choice([1, 1, 2, 4, 10]))]
        key = f"key {chance.getrandbits(32)}" if chance.random() < 0.3 else None
        return {"op": "add", "texts": texts, "space": chance.choice(SPACES), "key": key}
    if kind == "correct":
        return {"op": "correct", "id": chance.choice(some), "text": text(chance)}
    if kind == "forget":
        return {"op": "forget", "ids": chance.sample(some, chance.randrange(1, 4))}
    if kind in ("backup", "export"):
        return {"op": kind, "name": f"{kind} {chance.getrandbits(32)}"}
    if kind in _STATES:
        return {"op": kind, "id": chance.choice(some)}
    if kind == "nearly":
        seen = expected.cubes[chance.choice(some)]
        return {
            "op": "add",
            "texts": [seen.texts[-1].replace("moved", "really moved", 1)],
            "space": seen.space,
            "key": None,
        }
    if kind == "rollback":
        return {
            "op": kind,
            "to": chance.choice(expected.marks)[0],
            "space": expected.cubes[chance.choice(some)].space,
            "marks": expected.marks,
        }
    if kind == "govern":
        policy = {"sensitivity": chance.choice(["health", "money"]), "priority": float(chance.randrange(1, 9))}
        return {"op": kind, "id": chance.choice(some), "policy": policy}
    return {"op": kind}


def perform(memory: Memory, operation: Operation, folder: Path) -> Any:
    """Do it, and say what came of it in plain JSON."""
    kind = operation["op"]
    if kind == "add":
        return list(memory.add(operation["texts"], space=operation["space"], idempotency_key=operation.get("key")))
    if kind == "correct":
        return memory.correct(operation["id"], operation["text"]).version
    if kind == "forget":
        return list(memory.forget(operation["ids"]).ids)
    if kind == "pair":
        before = {cube.id for cube, _ in memory._store.everything()}
        memory.pair()
        return {one: seen.to_json() for one, seen in image_of(memory).items() if one not in before}
    if kind == "extract":
        reader = Reader()
        memory.extract(reader)
        return [[cube.id, cube.version] for cube in reader.asked]
    if kind == "reindex":
        return memory.reindex()
    if kind in _STATES:
        return str(getattr(memory.lifecycle, kind)(operation["id"]).state)
    if kind == "govern":
        memory.lifecycle.govern(operation["id"], **operation["policy"])
        return {one: seen.to_json() for one, seen in image_of(memory).items()}
    if kind == "rollback":
        memory.rollback(operation["to"], space=operation["space"])
        return {one: seen.to_json() for one, seen in image_of(memory).items()}
    if kind == "consolidate":
        memory.consolidate()
        return {one: seen.to_json() for one, seen in image_of(memory).items()}
    return str(getattr(memory, kind)(folder / operation["name"]))


# ── what is found afterwards ─────────────────────────────────────────────────────────────────────────────────────────


def left_by(operation: Operation, before: Expected, image: Image) -> str:
    """What an operation that was cut off left: "none", "all" or, where it works in batches, "part". Adopts nothing.

    Raises
    ------
    AssertionError
        The store holds something that neither the state before nor the operation explains.
    """
    after = before.copy()
    new = {one: seen for one, seen in image.items() if one not in before.cubes}
    kind = operation["op"]
    if dict(image) == before.cubes:
        return "none"
    if kind == "add":
        texts = [seen.texts[-1] for seen in new.values()]
        assert texts == operation["texts"][: len(texts)], "an add left something else than the beginning of its list"
        assert len(texts) in (len(operation["texts"]), *range(0, len(operation["texts"]), SETTINGS.commit_every)), (
            "a batch is torn"
        )
        after.cubes |= new
        what = "all" if len(texts) == len(operation["texts"]) else "part"
    elif kind == "pair":
        assert all(seen.parents and {*seen.parents} <= {*before.cubes} for seen in new.values())
        after.cubes |= new
        what = "part"
    elif kind == "rollback":
        check_rollback(before.cubes, operation, image)
        return "all"
    elif kind == "consolidate":
        check_consolidated(before.cubes, image)
        return "part"
    elif kind == "govern":
        return check_governed(before, operation, image)
    else:
        after.apply(operation, None)
        what = "all"
    assert dict(image) == after.cubes, (
        f"{kind} left a state that is neither the one before nor the one after: {differences(image, after.cubes)}"
    )
    return what


def repeat(memory: Memory, operation: Operation, expected: Expected, folder: Path) -> None:
    """Do an operation that was cut off once more, as its caller would: it has to be done once, whatever was left. Adopts the result."""
    if operation["op"] in ("backup", "export") and (folder / operation["name"]).exists():
        expected.copies[operation["name"]] = dict(expected.cubes)
        return
    try:
        result = perform(memory, operation, folder)
    except (UnknownCubeError, TransitionError):  # done already, as its caller then learns
        assert operation["op"] == "forget" or operation["op"] in _STATES, operation
        result = None
    if operation["op"] == "pair":  # what the first try made belongs to it
        result = {one: seen.to_json() for one, seen in image_of(memory).items() if one not in expected.cubes}
    expected.apply(operation, result)


def differences(image: Image, wanted: Image) -> dict[str, tuple[Seen | None, Seen | None]]:
    """What is there and what was to be there, of each memory that differs."""
    names = [one for one in {**image, **wanted} if image.get(one) != wanted.get(one)]
    return {one: (image.get(one), wanted.get(one)) for one in names}


def compare(memory: Memory, expected: Expected) -> None:
    """Hold a store to the reference.

    Raises
    ------
    AssertionError
        It holds something else, or `verify` finds fault.
    """
    checked = memory.verify(sample=8)
    assert checked.ok, checked.problems
    image = image_of(memory)
    assert image == expected.cubes, differences(image, expected.cubes)
    readings = memory._store.derived.readings(None)
    assert expected.read <= readings.keys(), "a reading was lost"
    for (one, version), (extractor, content) in readings.items():
        assert extractor != Reader.name or content == reading_of(image[one].texts[version - 1])
    for one in expected.gone:
        assert one not in image, "something forgotten is there"
    for space, texts, ids in expected.keys.values():
        assert all(image[one].space == space and image[one].texts[0] in texts for one in ids)


def compare_index(memory: Memory, chance: random.Random, folder: Path) -> None:
    """Recall over the store's own keys finds what it finds over keys that were derived anew from an export."""
    path = folder / f"fresh {chance.getrandbits(32)}"
    memory.export(path)
    with Memory(":memory:", SETTINGS) as fresh:
        fresh.import_(path)
        for space in set(memory.spaces()) & set(fresh.spaces()):
            some = memory.list(space=space, limit=100)
            for question in [
                chance.choice(some).text[:60] if some else "moved",
                f"Where does {chance.choice(_NAMES)} live?",
            ]:
                assert ranked(memory, question, space) == ranked(fresh, question, space), (
                    "the index differs from a fresh one"
                )
    path.unlink()


def compare_copies(expected: Expected, folder: Path) -> int:
    """Open the backups and exports that were acknowledged. Returns how many; empties the list."""
    for name, cubes in expected.copies.items():
        path = folder / name
        with Memory(path if name.startswith("backup") else ":memory:", SETTINGS) as copy:
            if name.startswith("export"):
                copy.import_(path)
            assert copy.verify().ok
            assert image_of(copy) == cubes, "a copy differs from what was there"
        path.unlink()
    count = len(expected.copies)
    expected.copies.clear()
    return count


def said(**event: Any) -> bytes:
    """One line for a pipe or a log."""
    return json.dumps(event).encode() + b"\n"
